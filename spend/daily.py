"""What was used per day and kind of call, out of the daily rollup: rows, whose days may be those of another zone.

A zone's day is the UTC day, less what its last hours move to the day after (or its first to the day before). Only
these hours are read call by call, so that zones cost little and add up exactly.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from operator import attrgetter
from typing import Any, Self

from django.db.models import Count, Q, QuerySet, Sum, Value
from django.db.models.functions import TruncDate

from spend import noted_days
from spend.activity import SUMS
from spend.models import Activity, DailyTotal, Hold, LedgerEntry, Refusal
from spend.query import Days
from spend.shares import Shares, Shown, owner
from teams.callers import Caller

OWNERS = ("organization_id", "team_id", "user_id", "key_id", "customer_id")
KINDS = ("model", "upstream_model", "provider", "call_type")
_LABELS = ("day", *OWNERS, "tag", *KINDS)
_NO_KINDS = dict.fromkeys(KINDS, "")
_EVERY: Shown = dict.fromkeys(OWNERS)
#: All that a refused call does not have.
_NO_SUMS = (0,) * (len(SUMS) - 1)
#: What `SUMS` are of entries of the ledger, and of holds of attempts that failed.
_OF_ENTRIES: dict[str, Any] = {f"sum_of_{name}": Sum(name) for name in SUMS[:-1]} | {
    "sum_of_requests": Count("pk", filter=Q(kind="charge")), "sum_of_failed_requests": Value(0),
}  # fmt: skip
_OF_FAILED: dict[str, Any] = {f"sum_of_{name}": Value(0) for name in SUMS[:-1]} | {
    "sum_of_failed_requests": Count("pk"),
}  # fmt: skip
_get_labels = attrgetter(*_LABELS[1:])
#: SQL takes only so many alternatives in one condition.
_MIDNIGHTS_AT_ONCE = 200


@dataclass(slots=True)
class Sums:
    """Amount in nano-USD, charged calls, tokens by class, and calls and attempts that failed: as `SUMS`."""

    nano: int = 0
    calls: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    failed: int = 0

    def add(self, other: "Sums", sign: int = 1) -> None:
        self.nano += sign * other.nano
        self.calls += sign * other.calls
        self.input += sign * other.input
        self.output += sign * other.output
        self.cached += sign * other.cached
        self.cache_write += sign * other.cache_write
        self.failed += sign * other.failed

    def __bool__(self) -> bool:
        return bool(self.nano or self.calls or self.failed or self.input or self.output)


@dataclass(slots=True)
class Row:
    day: date
    organization_id: int
    team_id: int
    user_id: int
    key_id: int
    customer_id: int
    tag: str
    model: str
    upstream_model: str
    provider: str
    call_type: str
    sums: Sums

    @classmethod
    def of(cls, values: tuple[Any, ...]) -> Self:
        return cls(*(*values[: len(_LABELS)], Sums(*values[len(_LABELS) :])))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls, of those the caller may see: conditions on owners and kinds, and the tags (None: each call once)."""

    caller: Caller
    days: Days
    where: Q
    tags: tuple[str, ...] | None = None
    """Count calls once for each of their tags among these; empty for all tags."""
    totals: Q | None = None
    """Which of the daily totals are the same calls, where there are such: of everybody, and nothing left out."""
    kinds: tuple[str, ...] = KINDS
    """By what `rows` and `summed` tell calls of the same owners apart."""
    route: str = ""
    """By which teams show their plain members more than the members' own calls."""

    def rows(self, shown: Shown = _EVERY) -> list[Row]:
        """Sums of the owners to be shown apart, the newest day first; all others are 0."""
        found: dict[tuple[Any, ...], Row] = {}
        for row in self._activity_rows(shown):
            _add(found, row, row.day)
        for row, to in self._moved(shown, self._in_utc().days) if self.days.zone.utcoffset(None) else ():
            _add(found, row, row.day, -1)
            _add(found, row, to)
        kept = [row for row in found.values() if row.sums and self._is_within(row.day)]
        return [*sorted(kept, key=_newest_first), *self._refused(shown)]

    def summed(self, columns: Sequence[str], most: int) -> list[Row]:
        """As `rows`, but of each column only those that spent most apart."""
        return self.rows({column: self._leaders(column, most) for column in columns})

    def _leaders(self, column: str, most: int) -> list[int]:
        """Who spent most; where these are few, also those of whom calls were refused, whom no sums of activity name."""
        found = self._shares().leaders(column, most)
        refused = self._refusals().filter(Q(**{f"{column}__gt": 0}) & ~Q(**{f"{column}__in": found})).order_by(column)
        return [*found, *refused.values_list(column, flat=True).distinct()[:most]][:most]

    def in_stretches(self, most: int) -> Iterator[Self]:
        """The same of some days after the other, the oldest first, and never of more than so many calls (or one day).

        How busy everybody was tells how busy those were who are asked for, at most.
        """
        totals = DailyTotal.objects.filter(day__gte=self.days.first, day__lte=self.days.last).order_by()
        calls = dict(totals.values_list("day").annotate(calls=Sum("requests") + Sum("failed_requests")))
        first, known = self.days.first, 0
        for day in self.days:
            busy = calls.get(day, 0)
            if known + busy > most and day > first:
                yield replace(self, days=replace(self.days, first=first, last=day - timedelta(days=1)))
                first, known = day, 0
            known += busy
        yield replace(self, days=replace(self.days, first=first))

    def turned_to(self, start: int, size: int) -> tuple[list[Row], int]:
        """Some rows, the newest UTC day first, and how many there are; without reading the others."""
        end, in_utc = start + size, self._in_utc()
        by_day = in_utc._rows_by_day()
        count, rows = sum(by_day.values()), in_utc._some_rows(by_day, start, size)
        shown = list(self._shifted(rows)) if self.days.zone.utcoffset(None) and rows else rows
        refused, all_refused = self._some_refused(max(0, start - count), max(0, end - count))
        return [*shown, *refused], count + all_refused

    def _rows_by_day(self) -> dict[date, int]:
        """How many rows each day has, those of everybody as they are noted."""
        rows, counts = self._activity(), dict[date, int]()
        if self.totals is not None:
            noted, others = noted_days.as_noted(self.days)
            counts = {day: one.rows_of_teams if self.totals else one.rows for day, one in noted.items()}
            rows = rows.filter(day__in=others)
        return counts | dict(rows.order_by().values_list("day").annotate(n=Count("pk")))

    def _some_rows(self, by_day: Mapping[date, int], start: int, size: int) -> list[Row]:
        """Days before these rows are passed over unread."""
        for day in sorted(by_day, reverse=True):
            if start < by_day[day]:
                rows = self._activity().filter(day__lte=day).order_by("-day", "-id").values_list(*_LABELS, *SUMS)
                return [Row.of(row) for row in rows[start : start + size]]
            start -= by_day[day]
        return []

    def _in_utc(self) -> Self:
        """The same of all UTC days that the zone's days reach into."""
        first, last = self.days.start.astimezone(UTC), self.days.end.astimezone(UTC) - timedelta(microseconds=1)
        return replace(self, days=Days(first.date(), last.date()))

    def _shifted(self, rows: Sequence[Row]) -> Iterator[Row]:
        """What of each row belongs to its day in the zone, and what to the day beside it."""
        keys = {row.key_id for row in rows}
        only = Q(key_id__in=keys) | Q(key_id__isnull=True) if 0 in keys else Q(key_id__in=keys)
        moved: dict[tuple[Any, ...], tuple[Row, date]] = {}
        for some, day in self._moved(_EVERY, {row.day for row in rows}, only):
            known, _ = moved.setdefault(_labels(some, some.day), (some, day))
            if known is not some:
                known.sums.add(some.sums)
        for row in rows:
            part, to = moved.get(_labels(row, row.day), (None, row.day))
            if part is not None:
                row.sums.add(part.sums, -1)
                part.day = to
            yield from (each for each in (row, part) if each and each.sums and self._is_within(each.day))

    def _is_within(self, day: date) -> bool:
        return self.days.first <= day <= self.days.last

    def _activity_rows(self, shown: Shown) -> Iterator[Row]:
        labels = ("day", *self.kinds) if self.tags is None else ("day", *self.kinds, "tag")
        for day, *rest in self._shares().sums(labels, shown):
            tags, values = rest[len(self.kinds) : len(labels) - 1], rest[len(labels) - 1 :]
            owned = dict(zip(shown, values, strict=False))
            yield self._row(day, rest, tags[0] if tags else "", owned, values[len(shown) :])

    def _shares(self) -> Shares:
        totals = None
        if self.totals is not None:
            rows = DailyTotal.objects.filter(day__gte=self.days.first, day__lte=self.days.last)
            totals = rows.filter(self.totals)
        return Shares(self._activity(), totals, self.days)

    def _activity(self) -> QuerySet[Activity]:
        rows = Activity.objects.visible_to(self.caller, self.route).filter(self.where)
        rows = rows.filter(day__gte=self.days.first, day__lte=self.days.last)
        if self.tags is None:
            return rows.filter(tag="")
        return rows.filter(~Q(tag=""), tag__in=self.tags) if self.tags else rows.filter(~Q(tag=""))

    def _refusals(self) -> QuerySet[Refusal]:
        """Calls that were refused count as failed. They are no part of the books, so nobody sums them up."""
        wanted = self.where & Q(admitted_at__gte=self.days.start, admitted_at__lt=self.days.end)
        wanted = wanted if self.tags is None else wanted & ~Q(tags=[])
        return Refusal.objects.visible_to(self.caller, self.route).filter(wanted)

    def _some_refused(self, start: int, end: int) -> tuple[list[Row], int]:
        """Some refusals, each a row of its own (with tags, sums of them), and how many there are."""
        if self.tags is not None:
            sums = self._refused(_EVERY)
            return sums[start:end], len(sums)
        rows, found = self._refusals(), list[Row]()
        dated = rows.annotate(on=TruncDate("admitted_at", tzinfo=self.days.zone)).order_by("-admitted_at", "pk")
        for day, *rest in dated.values_list("on", *OWNERS, *self.kinds)[start:end] if end > start else ():
            owned = dict(zip(OWNERS, rest, strict=False))
            found.append(self._row(day, rest[len(OWNERS) :], "", owned, (*_NO_SUMS, 1)))
        return found, rows.count()

    def _refused(self, shown: Shown) -> list[Row]:
        grouped = self._grouped(self._refusals(), self.days.zone, shown).annotate(refused=Count("pk"))
        rows = [row for *group, n in grouped for row in self._exploded(group, shown, (*_NO_SUMS, n))]
        return sorted(rows, key=_newest_first)

    def _moved(self, shown: Shown, days: Iterable[date], only: Q | None = None) -> Iterator[tuple[Row, date]]:
        """Sums of the hours of UTC days that belong to another day in the zone, and to which."""
        by = self.days.zone.utcoffset(None) or timedelta(0)
        ends = timedelta(days=1 if by > timedelta(0) else 0)
        midnights = [datetime.combine(day, time(), UTC) + ends for day in days]
        sources: tuple[tuple[Any, dict[str, Any]], ...] = (
            (LedgerEntry.objects, _OF_ENTRIES), (Hold.objects.failed(), _OF_FAILED),
        )  # fmt: skip
        for start in range(0, len(midnights), _MIDNIGHTS_AT_ONCE):
            hours = Q()
            for midnight in midnights[start : start + _MIDNIGHTS_AT_ONCE]:
                from_, to = sorted((midnight, midnight - by))
                hours |= Q(admitted_at__gte=from_, admitted_at__lt=to)
            for calls, sums in sources:
                wanted = self.where & hours & only if only else self.where & hours
                rows = calls.visible_to(self.caller, self.route).filter(wanted)
                for group in self._grouped(rows, UTC, shown).annotate(**sums):
                    for row in self._exploded(group[: -len(SUMS)], shown, group[-len(SUMS) :]):
                        yield row, row.day + timedelta(days=1 if by > timedelta(0) else -1)

    def _grouped(self, rows: QuerySet[Any], zone: tzinfo, shown: Shown) -> QuerySet[Any, Any]:
        owners = {f"shown_{column}": owner(column, pks) for column, pks in shown.items()}
        dated: QuerySet[Any, Any] = rows.order_by().annotate(on=TruncDate("admitted_at", tzinfo=zone), **owners)
        return dated.values_list("on", *owners, *self.kinds, *(() if self.tags is None else ("tags",)))

    def _exploded(self, group: Sequence[Any], shown: Shown, sums: Sequence[int]) -> Iterator[Row]:
        """One row for all, or one for each of the tags that are asked for."""
        day, owned, rest = group[0], dict(zip(shown, group[1:], strict=False)), group[1 + len(shown) :]
        for tag in [""] if self.tags is None else rest[len(self.kinds)]:
            if not self.tags or tag in self.tags:
                yield self._row(day, rest, tag, owned, sums)

    def _row(self, day: date, kinds: Iterable[str], tag: str, owned: dict[str, int], sums: Iterable[int]) -> Row:
        """Of `kinds` the first are those that are told apart; the others are empty."""
        known = (_NO_KINDS | dict(zip(self.kinds, kinds, strict=False))).values()
        return Row.of((day, *(owned.get(name) or 0 for name in OWNERS), tag, *known, *sums))


def _labels(row: Row, day: date) -> tuple[Any, ...]:
    return (day, *_get_labels(row))


def _add(found: dict[tuple[Any, ...], Row], row: Row, day: date, sign: int = 1) -> None:
    labels = _labels(row, day)
    if labels not in found:
        found[labels] = Row.of(labels)
    found[labels].sums.add(row.sums, sign)


def _newest_first(row: Row) -> int:
    return -row.day.toordinal()
