"""What many scopes have spent, for lists: a fixed number of queries, whatever the number of rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Q, Sum

from spend.models import LedgerEntry, Rollup
from spend.rollups import COLUMNS, QUARTER, quarter_of
from teams.models import Limits, Membership, Organization
from teams.scopes import scope_kind, scope_pk
from teams.windows import window_at


def spent_now(rows: Iterable[Limits], *, now: datetime) -> dict[str, int]:
    """Nano-USD that each row's scope spent in its budget window at `now`; without a window, ever.

    The rows come with their organization selected, so that no row costs a query of its own.
    """
    starts = {
        row.scope: window_at(row.budget_duration, now, zone=ZoneInfo(zone_of(row)), anchor=row.budget_started_at).start
        for row in rows
    }
    return spent_since(starts)


def spent_since(starts: Mapping[str, datetime | None]) -> dict[str, int]:
    """Nano-USD posted on each scope for calls admitted from its instant on (None: from the beginning)."""
    spent = dict.fromkeys(starts, 0)
    whole = _whole_quarters(starts)
    for scope, amount in _sums(whole):
        spent[scope] += amount
    for scope, amount in _edges(starts):
        spent[scope] += amount
    return spent


def zone_of(row: Limits) -> str:
    """Reporting zone of the organization that a scope belongs to."""
    if isinstance(row, Organization):
        return row.timezone
    if isinstance(row, Membership):
        return row.team.organization.timezone
    organization: Organization | None = getattr(row, "organization", None)
    return organization.timezone if organization else "UTC"


def _whole_quarters(starts: Mapping[str, datetime | None]) -> dict[datetime | None, list[str]]:
    grouped: dict[datetime | None, list[str]] = defaultdict(list)
    for scope, start in starts.items():
        grouped[_next_quarter(start) if start else None].append(scope)
    return grouped


def _sums(grouped: Mapping[datetime | None, list[str]]) -> Iterable[tuple[str, int]]:
    if not grouped:
        return ()
    wanted = Q()
    for start, scopes in grouped.items():
        wanted |= Q(scope__in=scopes, quarter__gte=start) if start else Q(scope__in=scopes)
    rows = Rollup.objects.filter(wanted).order_by().values("scope").annotate(total=Sum("amount_nano"))
    return rows.values_list("scope", "total")


def _edges(starts: Mapping[str, datetime | None]) -> Iterable[tuple[str, int]]:
    """Entries between a window's start and the quarter of an hour after it, where the two differ."""
    wanted, found = Q(), []
    for scope, start in starts.items():
        if start is None or _next_quarter(start) == start:
            continue
        column = COLUMNS.get(scope_kind(scope))
        owner = Q(**{column: scope_pk(scope)}) if column else Q()
        wanted |= owner & Q(admitted_at__gte=start, admitted_at__lt=_next_quarter(start))
    if not wanted:
        return ()
    for amount, at, scopes in LedgerEntry.objects.filter(wanted).values_list("amount_nano", "admitted_at", "scopes"):
        for scope in scopes:
            start = starts.get(scope)
            if start and start <= at < _next_quarter(start):
                found.append((scope, amount))
    return found


def _next_quarter(at: datetime) -> datetime:
    floor = quarter_of(at)
    return floor if floor == at else floor + QUARTER
