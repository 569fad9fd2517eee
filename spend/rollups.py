"""Rollups of the ledger and the sums read from them.

Rows are added in sorted order within the posting's transaction, so concurrent postings never lock each
other out. Every time zone's offset is a multiple of fifteen minutes, so days of every zone add up.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models import QuerySet, Sum

from spend.bulk import Insert
from spend.models import Hold, LedgerEntry, Rollup
from spend.resets import forgiven
from spend.wire import CounterLoad, CounterRef, Posting
from teams.budgets import matches
from teams.models import Organization
from teams.scopes import PLATFORM_SCOPE, ScopeKind, scope_kind, scope_name, scope_pk, share_of

QUARTER = timedelta(minutes=15)
_ADD = Insert(
    Rollup,
    ("scope", "quarter", "model", "amount_nano", "requests", "input_tokens", "output_tokens"),
    conflict="""(scope, quarter, model) DO UPDATE SET
        amount_nano = spend_rollup.amount_nano + excluded.amount_nano,
        requests = spend_rollup.requests + excluded.requests,
        input_tokens = spend_rollup.input_tokens + excluded.input_tokens,
        output_tokens = spend_rollup.output_tokens + excluded.output_tokens""",
)
#: The ledger column that attributes an entry to a scope of each kind; tags have none, and the platform needs none.
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


def next_quarter(at: datetime) -> datetime:
    """Where the first whole quarter of an hour from `at` on begins."""
    floor = quarter_of(at)
    return floor if floor == at else floor + QUARTER


@dataclass(frozen=True, slots=True)
class Sums:
    """What one entry adds to the rollup of each of its scopes; amounts in nano-USD."""

    scopes: Sequence[str]
    admitted_at: datetime
    model: str
    amounts: tuple[int, int, int, int]

    @classmethod
    def of_posting(cls, posting: Posting) -> "Sums":
        intent, usage = posting.intent, posting.usage
        amounts = (posting.amount_nano or 0, 1, usage.input, usage.output)
        return cls(intent.scopes, intent.admitted_at, intent.model, amounts)

    @classmethod
    def of_orphan(cls, hold: Hold) -> "Sums":
        amounts = (hold.amount_nano, 1, hold.input_estimate, hold.output_cap)
        return cls(hold.scopes, hold.admitted_at, hold.model, amounts)

    @classmethod
    def of_correction(cls, entry: LedgerEntry) -> "Sums":
        return cls(entry.scopes, entry.admitted_at, entry.model, (entry.amount_nano, 0, 0, 0))


def add(entries: Iterable[Sums]) -> None:
    """Add entries to the rollup rows of all their scopes."""
    rows: dict[tuple[str, datetime, str], tuple[int, int, int, int]] = {}
    for entry in entries:
        quarter, (amount, requests, tokens_in, tokens_out) = quarter_of(entry.admitted_at), entry.amounts
        for scope in entry.scopes:
            known = rows.get((scope, quarter, entry.model), (0, 0, 0, 0))
            rows[scope, quarter, entry.model] = (
                known[0] + amount, known[1] + requests, known[2] + tokens_in, known[3] + tokens_out
            )  # fmt: skip
    _ADD.run([(*row, *rows[row]) for row in sorted(rows)])


def spent_between(scope: str, start: datetime | None, end: datetime | None) -> int:
    """Nano-USD posted on a scope for calls admitted in `[start, end)`; None means unbounded."""
    rows, ragged = _whole_quarters(scope, start, end)
    whole: int = rows.aggregate(total=Sum("amount_nano"))["total"] or 0
    return whole + sum(amount for edge in ragged for _, _, amount in _entry_amounts(scope, *edge))


@contextmanager
def snapshot() -> Iterator[None]:
    """A transaction that sees the books as they were at its first look; within another one, as that one sees them."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def load_counter(ref: CounterRef) -> CounterLoad:
    """What the ledger knows of one window, in one snapshot: a hold is either still pending or in the sum."""
    with snapshot():
        return CounterLoad(tuple(sorted(counted_by_slice(ref).items())), _pending_on(ref))


def counted_by_slice(ref: CounterRef) -> dict[int, int]:
    """Nano-USD that count in a window, by slice: what was posted and carried over, less what was forgiven."""
    spent = _spent_by_slice(ref)
    for number, amount in forgiven([ref]).get(ref.counter, {}).items():
        spent[number] = spent.get(number, 0) - amount
    return spent


def _spent_by_slice(ref: CounterRef) -> dict[int, int]:
    start, end = ref.window.start, ref.window.end
    if not ref.window.slice_seconds:
        if not ref.model:
            return {0: spent_between(ref.scope, start, end)}
        by_name = sum(nano for model, nano in _by_model(ref.scope, start, end) if matches(ref.model, model))
        return {0: by_name + spent_between(share_of(ref.scope, ref.model), start, end)}
    spent: dict[int, int] = defaultdict(int)
    for at, model, amount in _amounts(ref, ref.scope):
        if not ref.model or matches(ref.model, model):
            spent[ref.window.slice_of(at)] += amount
    if ref.model:
        for at, _, amount in _amounts(ref, share_of(ref.scope, ref.model)):
            spent[ref.window.slice_of(at)] += amount
    return spent or {0: 0}


def _amounts(ref: CounterRef, scope: str) -> Iterator[tuple[datetime, str, int]]:
    """What was posted on a scope, or a share of one, in a window: finely enough for its slices."""
    start, end = ref.window.start, ref.window.end
    if start and ref.window.slice_seconds % QUARTER.seconds:
        return _entry_amounts(scope, start, datetime.max.replace(tzinfo=UTC))
    return _amounts_between(scope, start, end)


def _by_model(scope: str, start: datetime | None, end: datetime | None) -> Iterator[tuple[str, int]]:
    """(model, nano-USD) posted on a scope in `[start, end)`, a model perhaps several times."""
    rows, ragged = _whole_quarters(scope, start, end)
    yield from rows.order_by().values_list("model").annotate(total=Sum("amount_nano"))
    for begin, stop in ragged:
        yield from ((model, amount) for _, model, amount in _entry_amounts(scope, begin, stop))


def _amounts_between(scope: str, start: datetime | None, end: datetime | None) -> Iterator[tuple[datetime, str, int]]:
    """(instant, model, nano-USD) posted on a scope in `[start, end)`: whole quarters, and entries at the edges."""
    rows, ragged = _whole_quarters(scope, start, end)
    yield from rows.values_list("quarter", "model", "amount_nano")
    for begin, stop in ragged:
        yield from _entry_amounts(scope, begin, stop)


def _whole_quarters(
    scope: str, start: datetime | None, end: datetime | None
) -> tuple[QuerySet[Rollup], list[tuple[datetime, datetime]]]:
    """The rollups of the quarters that lie wholly in `[start, end)`, and what is left of it before and after them."""
    rows = _rows_of(scope)
    first, last = next_quarter(start) if start else None, quarter_of(end) if end else None
    if start and first and end and last and first > last:
        return rows.none(), [(start, end)]
    ragged = []
    if start and first:
        rows, ragged = rows.filter(quarter__gte=first), [(start, first)]
    if last and end:
        rows = rows.filter(quarter__lt=last)
        ragged.append((last, end))
    return rows, ragged


def _pending_on(ref: CounterRef) -> tuple[tuple[str, int, float, int], ...]:
    """Open holds of the window's scope, also those that were admitted before the window had a budget."""
    pending = Hold.objects.filter(state=Hold.State.PENDING)
    column = COLUMNS.get(scope_kind(ref.scope))
    if column:
        pending = pending.filter(**{column: scope_pk(ref.scope)})
    rows = pending.values_list("pk", "amount_nano", "lease_until", "scopes", "model", "admitted_at")
    return tuple(
        (pk, amount, lease.timestamp(), ref.window.slice_of(at))
        for pk, amount, lease, scopes, model, at in rows
        if ref.has(scopes, model, at)
    )


def _entry_amounts(scope: str, start: datetime, end: datetime) -> Iterator[tuple[datetime, str, int]]:
    """Entries of the ragged edge of a window that does not start or end on a quarter of an hour."""
    if start >= end:
        return
    entries = LedgerEntry.objects.filter(admitted_at__gte=start, admitted_at__lt=end)
    column = COLUMNS.get(scope_kind(scope))
    if column:
        entries = entries.filter(**{column: scope_pk(scope)})
    for at, model, amount, scopes in entries.values_list("admitted_at", "model", "amount_nano", "scopes"):
        if scope in scopes or scope == PLATFORM_SCOPE:
            yield at, model, amount


def _rows_of(scope: str) -> QuerySet[Rollup]:
    """The platform has no rows of its own: it is the sum of all organizations, who need not queue for one row then."""
    if scope == PLATFORM_SCOPE:
        # By name, not by how names begin: so the index serves, which begins with the scope.
        pks = Organization.objects.values_list("pk", flat=True)
        return Rollup.objects.filter(scope__in=[scope_name(ScopeKind.ORGANIZATION, pk) for pk in pks])
    return Rollup.objects.filter(scope=scope)
