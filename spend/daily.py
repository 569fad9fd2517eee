"""What was used per day and kind of call, out of the daily rollup: rows, whose days may be those of another zone.

A zone's day is the UTC day, less what its last hours move to the day after (or its first to the day before). Only
these hours are read from the ledger, so that zones cost little and add up exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Self

from django.db.models import Case, Count, F, IntegerField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, TruncDate

from spend.activity import SUMS
from spend.models import Activity, Hold, LedgerEntry, Refusal
from spend.query import Days
from teams.callers import Caller

OWNERS = ("organization_id", "team_id", "user_id", "key_id", "customer_id")
KINDS = ("model", "upstream_model", "provider", "call_type")
_LABELS = ("day", *OWNERS, "tag", *KINDS)
_NO_SUMS = (0,) * len(SUMS)
_LEDGER_SUMS: dict[str, Any] = {
    f"sum_of_{name}": Count("pk", filter=Q(kind="charge")) if name == "requests" else Sum(name) for name in SUMS
}
#: SQL takes only so many alternatives in one condition.
_MIDNIGHTS_AT_ONCE = 200


@dataclass(slots=True)
class Sums:
    """Amount in nano-USD, charged calls, tokens by class, and attempts that failed."""

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

    def rows(self) -> list[Row]:
        """All of them, the newest day first."""
        if not self.days.zone.utcoffset(None):
            return [*self.page(0, None), *self._failures()]
        found: dict[tuple[Any, ...], Row] = {}
        for row in self.page(0, None):
            _add(found, row, row.day)
        for row, to in self._moved():
            _add(found, row, row.day, -1)
            _add(found, row, to)
        kept = [row for row in found.values() if row.sums and self.days.first <= row.day <= self.days.last]
        return [*sorted(kept, key=_newest_first), *self._failures()]

    def turned_to(self, start: int, size: int) -> tuple[list[Row], int]:
        """Some of `rows`, and how many there are; without reading the others, unless another zone's days need them."""
        if self.days.zone.utcoffset(None):
            rows = self.rows()
            return rows[start : start + size], len(rows)
        count, failures, end = self._activity().count(), self._failures(), start + size
        shown = [*self.page(start, end), *failures[max(0, start - count) : max(0, end - count)]]
        return shown, count + len(failures)

    def page(self, start: int, end: int | None) -> Iterator[Row]:
        """Rows of UTC days, the newest first; failures come after them."""
        rows = self._activity().order_by("-day", "-pk")[start:end]
        return map(Row.of, rows.values_list(*_LABELS, *SUMS))

    def summed(self, most_keys: int) -> list[Row]:
        """As `rows`, but only the keys that spent most apart; all others together as key 0."""
        rows = self._activity()
        if self.days.zone.utcoffset(None):
            return self.rows()
        keys = rows.order_by().values("key_id").annotate(total=Sum("amount_nano")).order_by("-total", "key_id")
        top = list(keys.values_list("key_id", flat=True)[: most_keys + 1])
        if len(top) <= most_keys:
            return self.rows()
        shown = Case(When(key_id__in=top[:most_keys], then=F("key_id")), default=Value(0), output_field=IntegerField())
        grouped = (
            rows.order_by()
            .annotate(shown=shown)
            .values_list(*("shown" if name == "key_id" else name for name in _LABELS))
            .annotate(*(Sum(name) for name in SUMS))
            .order_by("-day")
        )
        return [*map(Row.of, grouped), *self._failures()]

    def _activity(self) -> QuerySet[Activity]:
        rows = Activity.objects.visible_to(self.caller).filter(self.where)
        rows = rows.filter(day__gte=self.days.first, day__lte=self.days.last)
        if self.tags is None:
            return rows.filter(tag="")
        return rows.filter(tag__in=self.tags) if self.tags else rows.exclude(tag="")

    def _failures(self) -> list[Row]:
        """Attempts that failed, and calls that were refused."""
        attempts, refusals = Hold.objects.visible_to(self.caller).failed(), Refusal.objects.visible_to(self.caller)
        within = Q(admitted_at__gte=self.days.start, admitted_at__lt=self.days.end)
        rows = [
            row
            for failed in (attempts, refusals)
            for group in _grouped(failed.filter(self.where, within), self.days.zone).annotate(failed=Count("pk"))
            for row in self._exploded((*group[:-1], *_NO_SUMS, group[-1]))
        ]
        return sorted(rows, key=_newest_first)

    def _moved(self) -> Iterator[tuple[Row, date]]:
        """Sums of the hours around midnights that belong to another day than in UTC, and which."""
        by = self.days.zone.utcoffset(None) or timedelta(0)
        first = datetime.combine(self.days.first, time(), UTC)
        midnights = [first + timedelta(days=n) for n in range((self.days.last - self.days.first).days + 2)]
        for start in range(0, len(midnights), _MIDNIGHTS_AT_ONCE):
            hours = Q()
            for midnight in midnights[start : start + _MIDNIGHTS_AT_ONCE]:
                from_, to = sorted((midnight, midnight - by))
                hours |= Q(admitted_at__gte=from_, admitted_at__lt=to)
            entries = LedgerEntry.objects.visible_to(self.caller).filter(self.where).filter(hours)
            for group in _grouped(entries, UTC).annotate(**_LEDGER_SUMS):
                for row in self._exploded(group):
                    yield row, row.day + timedelta(days=1 if by > timedelta(0) else -1)

    def _exploded(self, group: tuple[Any, ...]) -> Iterator[Row]:
        """One row for all, or one for each of the tags that are asked for."""
        day_and_owners, kinds, tags, sums = group[:6], group[6:10], group[10], group[11:]
        for tag in [""] if self.tags is None else tags:
            if not self.tags or tag in self.tags:
                yield Row.of((*day_and_owners, tag, *kinds, *sums))


def _grouped(rows: QuerySet[Any], zone: tzinfo) -> QuerySet[Any, Any]:
    owners = {f"by_{name}": Coalesce(F(name), Value(0)) for name in OWNERS}
    dated: QuerySet[Any, Any] = rows.order_by().annotate(on=TruncDate("admitted_at", tzinfo=zone), **owners)
    return dated.values_list("on", *owners, *KINDS, "tags")


def _add(found: dict[tuple[Any, ...], Row], row: Row, day: date, sign: int = 1) -> None:
    labels = (day, *(getattr(row, name) for name in _LABELS[1:]))
    if labels not in found:
        found[labels] = Row.of(labels)
    found[labels].sums.add(row.sums, sign)


def _newest_first(row: Row) -> int:
    return -row.day.toordinal()
