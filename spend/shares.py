"""Sums of which a few owners are shown apart, and all others together as owner 0. They add up exactly."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Case, F, IntegerField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce

from spend.activity import SUMS
from spend.closed_days import NOTED
from spend.leaders import leaders, leaders_of_all
from spend.models import Activity, DailyTotal
from spend.query import Days

#: By column, whom of its owners to show apart; None for each of them.
Shown = Mapping[str, Sequence[int] | None]
#: Columns that totals tell apart, too.
_TOTALED = frozenset({"organization_id"})
_SUMMED = tuple(Sum(name) for name in SUMS)


@dataclass(frozen=True)
class Shares:
    """Activity, and where it is that of everybody in some days, its totals: then only rows of those shown are read."""

    rows: QuerySet[Activity]
    totals: QuerySet[DailyTotal] | None = None
    days: Days | None = None
    failures: bool = True
    """Whether attempts that failed are told; else nobody is left over who did nothing else."""

    def leaders(self, column: str, most: int) -> list[int]:
        if self.totals is not None and column in _TOTALED:
            return leaders(self.totals, column, most)
        if self.totals is None or self.days is None or most > NOTED:
            return leaders(self.rows, column, most)
        return leaders_of_all(column, most, self.days)

    def named(self, column: str, pks: Sequence[int]) -> list[tuple[Any, ...]]:
        """(owner, then each of SUMS) of these owners alone."""
        return _grouped(self.rows.filter(**{f"{column}__in": pks}), (column,), {})

    def only(self, column: str) -> "Shares":
        """Calls that have an owner of this kind."""
        totals = self.totals
        if totals is not None and column == "team_id":
            totals = totals.filter(of_team=True)
        elif column != "organization_id":
            totals = None
        return replace(self, rows=self.rows.filter(**{f"{column}__gt": 0}), totals=totals)

    def of_no_team(self) -> "Shares":
        totals = None if self.totals is None else self.totals.filter(of_team=False)
        return replace(self, rows=self.rows.filter(team_id=0), totals=totals)

    def sums(self, labels: Sequence[str], shown: Shown) -> list[tuple[Any, ...]]:
        """(labels..., an owner for each column of `shown`, then each of SUMS)."""
        if self.totals is None or any(pks is None and column not in _TOTALED for column, pks in shown.items()):
            return _grouped(self.rows, labels, shown)
        found, before = [], Q()
        for column, pks in shown.items():
            if column not in _TOTALED:
                owned = Q(**{f"{column}__in": pks})
                found += _grouped(self.rows.filter(owned & ~before if before else owned), labels, shown)
                before |= owned
        # The totals last: what is posted meanwhile belongs to the others, and the whole is as it is now.
        others = _others(self.totals, found, labels, shown)
        told = len(SUMS) if self.failures else SUMS.index("failed_requests")
        return found + [row for row in others if any(row[len(labels) + len(shown) :][:told])]


def _grouped(rows: QuerySet[Any], labels: Sequence[str], shown: Shown) -> list[tuple[Any, ...]]:
    owners = {f"shown_{column}": owner(column, pks) for column, pks in shown.items()}
    return list(rows.order_by().annotate(**owners).values_list(*labels, *owners).annotate(*_SUMMED))


def _others(
    totals: QuerySet[DailyTotal], found: Iterable[tuple[Any, ...]], labels: Sequence[str], shown: Shown
) -> list[tuple[Any, ...]]:
    """What is left of the totals."""
    width, kept = len(labels) + len(shown), [column in _TOTALED for column in shown]
    whole = _grouped(totals, labels, {column: pks if column in _TOTALED else () for column, pks in shown.items()})
    left = {row[:width]: list(row[width:]) for row in whole}
    for row in found:
        owned = (pk if keep else 0 for keep, pk in zip(kept, row[len(labels) : width], strict=True))
        rest = left.setdefault((*row[: len(labels)], *owned), [0] * len(SUMS))
        for n, amount in enumerate(row[width:]):
            rest[n] -= amount
    return [(*row, *sums) for row, sums in left.items()]


def owner(column: str, pks: Sequence[int] | None) -> Any:
    """SQL for the owner of a row if it is to be shown apart, else 0."""
    if pks is None:
        return Coalesce(F(column), Value(0), output_field=IntegerField())
    if not pks:
        return Value(0)
    return Case(When(**{f"{column}__in": pks}, then=F(column)), default=Value(0), output_field=IntegerField())
