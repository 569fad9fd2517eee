"""Budget windows as arithmetic: which window an instant falls in. Pure: no Django, no I/O.

Nothing is ever reset: a window is computed from the instant of admission and the organization's
time zone, and a new window is simply a new counter. The alignment of each duration (days at
midnight, weeks on Monday, months on the 1st, `30d` meaning a month) follows the reset table that
clients of LiteLLM's management API rely on.

`rolling 24h` is a ceiling for *any* 24 hours. Such a window is cut into slices, and a slice leaves it
whole, once its last instant is older than the duration: never too early, at most one slice late.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_WORDS = {"hourly": "1h", "daily": "1d", "weekly": "7d", "monthly": "30d"}
_DURATION = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d|w|mo)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_ROLLING = "rolling "
_SLICES = 24
#: Lengths that slices are rounded down to multiples of: rollups are per quarter of an hour.
_SLICE_UNITS = (900, 60, 1)


class BadDuration(ValueError):
    """The text is not a duration; the message says what is accepted."""


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open interval `[start, end)`; both are None for a budget without a duration (a lifetime).

    A rolling window has no end; `slice_seconds` is the length of its slices, and 0 for every other.
    """

    duration: str
    start: datetime | None
    end: datetime | None
    slice_seconds: int = 0

    @property
    def ident(self) -> str:
        """Short text that tells this window from every other of its scope. A rolling one is always the same."""
        if self.slice_seconds:
            return self.duration
        return f"{self.duration}@{int(self.start.timestamp())}" if self.start else "lifetime"

    def slice_of(self, at: datetime) -> int:
        """Number of the slice that an instant falls in, counted from 1970; 0 where there are no slices."""
        return int(at.timestamp()) // self.slice_seconds if self.slice_seconds else 0

    @property
    def first_slice(self) -> int:
        """The oldest slice that counts."""
        return self.slice_of(self.start) if self.start else 0


def parse_duration(text: str) -> tuple[int, str]:
    """`"30d"` -> `(30, "d")`. Units: s, m, h, d, w, mo; words: hourly, daily, weekly, monthly."""
    match = _DURATION.fullmatch(_WORDS.get(text, text))
    if match is None:
        raise BadDuration(f"'{text}' is not a duration: write a whole number and s, m, h, d, w or mo, e.g. '30d'")
    count, unit = int(match[1]), match[2]
    if unit == "mo" and count != 1:
        raise BadDuration(f"'{text}' is not supported: the only month duration is '1mo'")
    if unit != "mo" and count * _SECONDS[unit] > 36525 * 86400:
        raise BadDuration(f"'{text}' is longer than a hundred years")
    return count, unit


def parse_budget_duration(text: str) -> tuple[int, str]:
    """The duration of a budget: as `parse_duration`, or `rolling` and a duration of a minute or more."""
    count, unit = parse_duration(text.removeprefix(_ROLLING))
    if text.startswith(_ROLLING) and (unit == "mo" or count * _SECONDS[unit] < 60):
        raise BadDuration(f"'{text}' is not supported: a rolling window is at least 'rolling 60s', and not in months")
    return count, unit


def duration_delta(text: str) -> timedelta:
    """Exact length of a duration, for validity periods (`1mo` counts as 30 days)."""
    count, unit = parse_duration(text)
    return timedelta(days=30) if unit == "mo" else timedelta(seconds=count * _SECONDS[unit])


def length_of(duration: str) -> timedelta:
    """How long a budget lasts: one without a duration for ever, a rolling one as long as its window."""
    return duration_delta(duration.removeprefix(_ROLLING)) if duration else timedelta.max


def window_at(duration: str, at: datetime, *, zone: ZoneInfo, anchor: datetime) -> Window:
    """The window of `duration` that contains the aware instant `at`.

    `anchor` is when the budget was set; it places windows of N days that no calendar unit aligns.
    """
    if not duration:
        return Window("", None, None)
    count, unit = parse_budget_duration(duration)
    if duration.startswith(_ROLLING):
        return _rolling(duration, count * _SECONDS[unit], at)
    if unit == "mo" or (count, unit) == (30, "d"):
        start, end = _month(at.astimezone(zone), zone)
    elif (count, unit) in ((7, "d"), (1, "w")):
        local = at.astimezone(zone).date()
        start, end = _days(local - timedelta(days=local.weekday()), 7, zone)
    elif unit in ("d", "w"):
        start, end = _anchored_days(count * (7 if unit == "w" else 1), at, zone, anchor)
    elif (count, unit) == (24, "h"):
        start, end = _days(at.astimezone(zone).date(), 1, zone)
    else:
        start, end = _within_day(count * _SECONDS[unit], at, zone)
    return Window(duration, start, end)


def window_of(ident: str, now: datetime, *, zone: ZoneInfo) -> Window:
    """The window that an `ident` names; of a rolling one, what counts at `now`. Raises ValueError."""
    if ident == "lifetime":
        return Window("", None, None)
    duration, _, start = ident.partition("@")
    at = datetime.fromtimestamp(int(start), UTC) if start else now
    return window_at(duration, at, zone=zone, anchor=at)


def _rolling(duration: str, seconds: int, at: datetime) -> Window:
    length = next(seconds // _SLICES // unit * unit for unit in _SLICE_UNITS if seconds // _SLICES >= unit)
    oldest = (int(at.timestamp()) - seconds) // length * length
    return Window(duration, datetime.fromtimestamp(oldest, UTC), None, length)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """First instant of a local day in UTC terms, also on days that skip midnight."""
    return datetime.fromtimestamp(datetime.combine(day, time(), zone).timestamp(), zone)


def _month(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    first = local.date().replace(day=1)
    return midnight(first, zone), midnight((first + timedelta(days=32)).replace(day=1), zone)


def _days(first: date, count: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    return midnight(first, zone), midnight(first + timedelta(days=count), zone)


def _anchored_days(count: int, at: datetime, zone: ZoneInfo, anchor: datetime) -> tuple[datetime, datetime]:
    first = anchor.astimezone(zone).date()
    passed = (at.astimezone(zone).date() - first).days // count
    return _days(first + timedelta(days=passed * count), count, zone)


def _within_day(seconds: int, at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Windows shorter than a day divide the local day; the last one of a day ends at midnight."""
    opening, closing = _days(at.astimezone(zone).date(), 1, zone)
    if seconds >= 86400:
        start = at.timestamp() // seconds * seconds
        return datetime.fromtimestamp(start, zone), datetime.fromtimestamp(start + seconds, zone)
    start = opening.timestamp() + (at.timestamp() - opening.timestamp()) // seconds * seconds
    end = min(start + seconds, closing.timestamp())
    return datetime.fromtimestamp(start, zone), datetime.fromtimestamp(end, zone)
