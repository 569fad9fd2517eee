"""Rollups of the ledger and the sums read from them.

Rows are added in sorted order within the posting's transaction, so concurrent postings never lock each
other out. Every time zone's offset is a multiple of fifteen minutes, so days of every zone add up.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models import Sum

from spend.models import Hold, LedgerEntry, Rollup
from spend.wire import CounterLoad
from teams.scopes import ScopeKind, scope_kind, scope_pk

QUARTER = timedelta(minutes=15)
_ADD = """
INSERT INTO spend_rollup (scope, quarter, model, amount_nano, requests, input_tokens, output_tokens)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (scope, quarter, model) DO UPDATE SET
    amount_nano = spend_rollup.amount_nano + excluded.amount_nano,
    requests = spend_rollup.requests + excluded.requests,
    input_tokens = spend_rollup.input_tokens + excluded.input_tokens,
    output_tokens = spend_rollup.output_tokens + excluded.output_tokens
"""
#: The ledger column that attributes an entry to a scope of each kind; tags have none.
COLUMNS = {
    ScopeKind.ORGANIZATION: "organization_id",
    ScopeKind.TEAM: "team_id",
    ScopeKind.MEMBER: "member_id",
    ScopeKind.USER: "user_id",
    ScopeKind.KEY: "key_id",
    ScopeKind.CUSTOMER: "customer_id",
}


def quarter_of(at: datetime) -> datetime:
    at = at.astimezone(UTC)
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def add(entries: Iterable[LedgerEntry]) -> None:
    """Add entries to the rollup rows of all their scopes."""
    sums: dict[tuple[str, datetime, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for entry in entries:
        requests = 1 if entry.kind == LedgerEntry.Kind.CHARGE else 0
        for scope in entry.scopes:
            row = sums[scope, quarter_of(entry.admitted_at), entry.model]
            for i, value in enumerate((entry.amount_nano, requests, entry.input_tokens, entry.output_tokens)):
                row[i] += value
    if not sums:
        return
    adapt = connection.ops.adapt_datetimefield_value
    rows = [(scope, adapt(quarter), model, *sums[scope, quarter, model]) for scope, quarter, model in sorted(sums)]
    with connection.cursor() as cursor:
        cursor.executemany(_ADD, rows)


def spent_between(scope: str, start: datetime | None, end: datetime | None) -> int:
    """Nano-USD posted on a scope for calls admitted in `[start, end)`; None means unbounded."""
    rows = Rollup.objects.filter(scope=scope)
    if start is None or end is None:
        return rows.aggregate(total=Sum("amount_nano"))["total"] or 0
    first, last = _ceiling(start), quarter_of(end)
    if first >= last:
        return _entries_between(scope, start, end)
    whole = rows.filter(quarter__gte=first, quarter__lt=last).aggregate(total=Sum("amount_nano"))["total"] or 0
    return whole + _entries_between(scope, start, first) + _entries_between(scope, last, end)


def load_counter(scope: str, counter: str, start: datetime | None, end: datetime | None) -> CounterLoad:
    """What the ledger knows of one window, in one snapshot: a hold is either still pending or in the sum."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return CounterLoad(spent_between(scope, start, end), _pending_on(counter, scope))


def _pending_on(counter: str, scope: str) -> tuple[tuple[str, int, float], ...]:
    pending = Hold.objects.filter(state=Hold.State.PENDING)
    column = COLUMNS.get(scope_kind(scope))
    if column:
        pending = pending.filter(**{column: scope_pk(scope)})
    rows = pending.values_list("pk", "amount_nano", "lease_until", "counters")
    return tuple((pk, amount, lease.timestamp()) for pk, amount, lease, counters in rows if counter in counters)


def _entries_between(scope: str, start: datetime, end: datetime) -> int:
    """The ragged edge of a window that does not start or end on a quarter of an hour."""
    if start >= end:
        return 0
    entries = LedgerEntry.objects.filter(admitted_at__gte=start, admitted_at__lt=end)
    column = COLUMNS.get(scope_kind(scope))
    if column:
        entries = entries.filter(**{column: scope_pk(scope)})
    return sum(amount for amount, scopes in entries.values_list("amount_nano", "scopes") if scope in scopes)


def _ceiling(at: datetime) -> datetime:
    floor = quarter_of(at)
    return floor if floor == at else floor + QUARTER
