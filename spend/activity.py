"""Sums of the ledger per day and everything that reports tell apart, added in the transaction of each posting.

Attempts that failed have no entry; they are counted in the transaction that voids their hold.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection

from spend.bulk import Insert
from spend.models import Activity, DailyTotal, Hold, LedgerEntry
from spend.wire import Intent, Posting

#: What one row is about, in the order of its unique constraint (rows are added in sorted order).
LABELS = (
    "key_id", "day", "model", "upstream_model", "provider", "call_type", "tag", "customer_id", "user_id", "team_id",
    "organization_id",
)  # fmt: skip
SUMS = (
    "amount_nano", "requests", "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens",
    "failed_requests",
)  # fmt: skip
_ADDED = ", ".join(f"{name} = spend_activity.{name} + excluded.{name}" for name in SUMS)
#: The same for all keys of an organization together.
TOTAL_LABELS = ("day", "organization_id", "of_team", "model", "upstream_model", "provider", "call_type")
ADDED_TOTALS = ", ".join(f"{name} = spend_dailytotal.{name} + excluded.{name}" for name in SUMS)
_ONCE_TOTAL = f"({', '.join(TOTAL_LABELS)}) DO UPDATE SET {ADDED_TOTALS}"
_ADD_TOTAL = Insert(DailyTotal, (*TOTAL_LABELS, *SUMS), conflict=_ONCE_TOTAL)
#: PostgreSQL does both at once, which costs a call much less; it comes to the totals, which many postings have in
#: common, after all rows of activity.
_FROM_GIVEN = ", ".join("team_id > 0" if name == "of_team" else name for name in TOTAL_LABELS)
_ADD_BOTH = (
    f"INSERT INTO spend_dailytotal ({', '.join((*TOTAL_LABELS, *SUMS))}) "  # noqa: S608
    f"SELECT {_FROM_GIVEN}, {', '.join(f'sum({name})' for name in SUMS)} FROM given WHERE tag = '' "
    f"GROUP BY {_FROM_GIVEN} ORDER BY {_FROM_GIVEN} ON CONFLICT {_ONCE_TOTAL}"
)
_ADD = Insert(Activity, (*LABELS, *SUMS), conflict=f"({', '.join(LABELS)}) DO UPDATE SET {_ADDED}", with_it=_ADD_BOTH)

_Amounts = tuple[int, int, int, int, int, int, int]


@dataclass(slots=True)
class Deed:
    """What one entry adds to the row of its kind, and to one more for each of its tags."""

    labels: tuple[int, date, str, str, str, str]
    tags: Iterable[str]
    owners: tuple[int, int, int, int]
    amounts: _Amounts

    @classmethod
    def of_posting(cls, posting: Posting) -> "Deed":
        usage = posting.usage
        amounts = (posting.amount_nano or 0, 1, usage.input, usage.output, usage.cached, usage.cache_write, 0)
        return cls._of_intent(posting.intent, amounts)

    @classmethod
    def of_failure(cls, intent: Intent) -> "Deed":
        return cls._of_intent(intent, (0, 0, 0, 0, 0, 0, 1))

    @classmethod
    def of_orphan(cls, hold: Hold) -> "Deed":
        return cls._of_row(hold, (hold.amount_nano, 1, hold.input_estimate, hold.output_cap, 0, 0, 0))

    @classmethod
    def of_correction(cls, entry: LedgerEntry) -> "Deed":
        return cls._of_row(entry, (entry.amount_nano, 0, 0, 0, 0, 0, 0))

    @classmethod
    def _of_intent(cls, intent: Intent, amounts: _Amounts) -> "Deed":
        owners = intent.owners
        return cls(
            (owners.key_id, _day(intent.admitted_at), intent.model, intent.upstream_model, intent.provider,
             intent.call_type),
            intent.tags,
            (intent.customer_id or 0, owners.user_id or 0, owners.team_id or 0, owners.organization_id),
            amounts,
        )  # fmt: skip

    @classmethod
    def _of_row(cls, row: Hold | LedgerEntry, amounts: _Amounts) -> "Deed":
        labels = (row.key_id or 0, _day(row.admitted_at), row.model, row.upstream_model, row.provider, row.call_type)
        owners = (row.customer_id or 0, row.user_id or 0, row.team_id or 0, row.organization_id)
        return cls(labels, row.tags, owners, amounts)


def add(deeds: Iterable[Deed]) -> None:
    """Add entries, and attempts that failed, to their rows."""
    rows: dict[tuple[Any, ...], _Amounts] = {}
    for deed in deeds:
        a, b, c, d, e, f, g = deed.amounts
        for tag in ("", *deed.tags):
            row = (*deed.labels, tag, *deed.owners)
            known = rows.get(row)
            rows[row] = deed.amounts if known is None else (
                known[0] + a, known[1] + b, known[2] + c, known[3] + d, known[4] + e, known[5] + f, known[6] + g
            )  # fmt: skip
    given = [(*row, *rows[row]) for row in sorted(rows)]
    _ADD.run(given)
    if connection.vendor != "postgresql":
        _ADD_TOTAL.run(_totals(given))


def _totals(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    totals: dict[tuple[Any, ...], list[int]] = {}
    for _, day, model, upstream, provider, call_type, tag, _, _, team, organization, *amounts in rows:
        if not tag:
            sums = totals.setdefault(
                (day, organization, team > 0, model, upstream, provider, call_type), [0] * len(SUMS)
            )
            for n, amount in enumerate(amounts):
                sums[n] += amount
    return [(*row, *totals[row]) for row in sorted(totals)]


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()
