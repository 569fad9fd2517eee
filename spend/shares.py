"""Sums of which a few owners are shown apart, and all others together as owner 0. They add up exactly."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Case, F, IntegerField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce

from spend import noted_days
from spend.activity import SUMS
from spend.closed_days import NOTED
from spend.leaders import leaders, leaders_of_all
from spend.models import Activity, DailyTeam, DailyTotal
from spend.query import Days

#: By column, whom of its owners to show apart; None for each of them.
Shown = Mapping[str, Sequence[int] | None]
#: Columns that totals tell apart, too.
_TOTALED = frozenset({"organization_id"})
#: The same of sums that are noted for each team.
_OF_TEAMS = _TOTALED | {"team_id"}
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
        before, found = Q(), list[tuple[Any, ...]]()
        for column, pks in shown.items():
            if column not in _TOTALED:
                owned = Q(**{f"{column}__in": pks})
                if column == "team_id" and pks is not None and self.days:
                    found += self._of_teams(self.days, pks, found, labels, shown)
                else:
                    found += _grouped(self.rows.filter(owned & ~before if before else owned), labels, shown)
                before |= owned
        # The totals last: what is posted meanwhile belongs to the others, and the whole is as it is now.
        return found + self._others((self.totals,), found, labels, shown)

    def _of_teams(
        self, days: Days, pks: Sequence[int], found: Iterable[tuple[Any, ...]], labels: Sequence[str], shown: Shown
    ) -> list[tuple[Any, ...]]:
        """What is left of these teams' sums, which are noted of most days."""
        noted, others = noted_days.as_noted(days)
        teams = DailyTeam.objects.filter(team_id__in=pks, day__in=list(noted))
        rows = self.rows.filter(team_id__in=pks, day__in=others)
        place, wanted = len(labels) + list(shown).index("team_id"), set(pks)
        theirs = [row for row in found if row[place] in wanted]
        return self._others((teams, rows), theirs, labels, shown, _OF_TEAMS)

    def _others(
        self,
        wholes: Iterable[QuerySet[Any]],
        found: Iterable[tuple[Any, ...]],
        labels: Sequence[str],
        shown: Shown,
        kept: Container[str] = _TOTALED,
    ) -> list[tuple[Any, ...]]:
        """What is left of sums once those found are taken away; only owners of the `kept` kinds are told apart."""
        width, keeps = len(labels) + len(shown), [column in kept for column in shown]
        left: dict[tuple[Any, ...], list[int]] = {}
        owners = {column: pks if keep else () for keep, (column, pks) in zip(keeps, shown.items(), strict=True)}
        wholly = [row for whole in wholes for row in _grouped(whole, labels, owners)]
        for sign, rows in ((1, wholly), (-1, found)):
            for row in rows:
                owned = (pk if keep else 0 for keep, pk in zip(keeps, row[len(labels) : width], strict=True))
                sums = left.setdefault((*row[: len(labels)], *owned), [0] * len(SUMS))
                for n, amount in enumerate(row[width:]):
                    sums[n] += sign * amount
        told = len(SUMS) if self.failures else SUMS.index("failed_requests")
        return [(*row, *sums) for row, sums in left.items() if any(sums[:told])]


def _grouped(rows: QuerySet[Any], labels: Sequence[str], shown: Shown) -> list[tuple[Any, ...]]:
    owners = {f"shown_{column}": owner(column, pks) for column, pks in shown.items()}
    return list(rows.order_by().annotate(**owners).values_list(*labels, *owners).annotate(*_SUMMED))


def owner(column: str, pks: Sequence[int] | None) -> Any:
    """SQL for the owner of a row if it is to be shown apart, else 0."""
    if pks is None:
        return Coalesce(F(column), Value(0), output_field=IntegerField())
    if not pks:
        return Value(0)
    return Case(When(**{f"{column}__in": pks}, then=F(column)), default=Value(0), output_field=IntegerField())
