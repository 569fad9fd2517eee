"""Reading the query parameters that spend reports share. Raises ApiError 400 naming the parameter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import NoReturn

from teams.api_types import ApiError
from teams.money import nano_from_usd

_MOST_DAYS = 3660
#: Late enough for whoever means no end, with room for the instant after it.
_FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days, both ends included, by the clocks of `zone`."""

    first: date
    last: date
    zone: timezone = UTC

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))

    @property
    def start(self) -> datetime:
        return datetime.combine(self.first, time(), self.zone)

    @property
    def end(self) -> datetime:
        """The instant after the last day."""
        return datetime.combine(self.last + timedelta(days=1), time(), self.zone)


def days(query: Query, *, zone: timezone = UTC, default: Days | None = None) -> Days:
    """start_date and end_date; both are required unless there is a `default`."""
    first = day(query, "start_date") or (default and default.first) or _missing("start_date")
    last = day(query, "end_date") or (default and default.last) or _missing("end_date")
    refuse_odd_range(first, last)
    return Days(first, last, zone)


def _missing(name: str) -> NoReturn:
    raise ApiError(400, f"{name}: this field is required; write a date, e.g. 2026-01-31", param=name)


def last_days(now: datetime, count: int = 30) -> Days:
    today = now.astimezone(UTC).date()
    return Days(today - timedelta(days=count - 1), today)


def refuse_odd_range(start: date, end: date) -> None:
    if start > end:
        raise ApiError(400, "end_date: lies before start_date", param="end_date")
    if (end - start).days > _MOST_DAYS or end.year > 9000 or start.year < 2:
        raise ApiError(400, "end_date: at most ten years after start_date", param="end_date")


def day(query: Query, name: str) -> date | None:
    """A date, or the date of an instant."""
    text = query.get(name) or ""
    if not text:
        return None
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text).date()
    except ValueError as error:
        raise ApiError(400, f"{name}: write a date, e.g. 2026-01-31", param=name) from error


def instant(query: Query, name: str, *, last: bool = False) -> datetime:
    """'YYYY-MM-DD HH:MM:SS' in UTC; a mere date means its start, or with `last` its end."""
    text = query.get(name) or ""
    try:
        if len(text) == 10:
            at = datetime.combine(date.fromisoformat(text), time.max if last else time())
        else:
            at = datetime.fromisoformat(text)
        return min(at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC), _FOR_EVER)
    except (ValueError, OverflowError) as error:
        raise ApiError(
            400, f"{name}: this field is required; write an instant in UTC, e.g. 2026-01-31 13:00:00", param=name
        ) from error


def offset_zone(query: Query) -> timezone:
    """`timezone`: minutes that UTC is ahead of local time, as browsers count (-60 is Berlin in winter)."""
    text = query.get("timezone") or "0"
    sign, digits = ("-", text[1:]) if text[:1] == "-" else ("", text)
    if not digits.isascii() or not digits.isdigit() or len(digits) > 6 or int(digits) > 14 * 60 or int(digits) % 15:
        raise ApiError(
            400, "timezone: minutes that UTC is ahead of local time, in quarters of an hour, e.g. -60", param="timezone"
        )
    return timezone(timedelta(minutes=-int(f"{sign}{digits}")))


def nano(query: Query, name: str) -> int:
    try:
        return nano_from_usd(Decimal(query[name]))
    except (ValueError, ArithmeticError) as error:
        raise ApiError(400, f"{name}: write an amount in USD", param=name) from error


def names(query: Query, name: str) -> list[str]:
    """A list with commas."""
    return [part.strip() for part in (query.get(name) or "").split(",") if part.strip()]
