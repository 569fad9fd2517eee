"""What Latchkey wrote down: ledger, holds and rollups in SQL, counters in the counter store. Reads only."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import redis

from teams.scopes import store_prefix


@dataclass(frozen=True, slots=True)
class Entry:
    """One ledger entry beside its hold. Amounts in nano-USD."""

    call: str
    hold: str
    kind: str
    amount: int
    held: int
    source: str
    attempt: int
    response_id: str
    counters: tuple[str, ...]
    scopes: tuple[str, ...]
    admitted_at: datetime
    posted_at: datetime
    lease_until: datetime
    overrun: bool


@dataclass(frozen=True, slots=True)
class Counter:
    spent: int
    held: int


_ENTRIES = """
SELECT e.request_id, e.hold_id, e.kind, e.amount_nano, h.amount_nano, e.usage_source, h.attempt, e.response_id,
       h.counters, e.scopes, e.admitted_at, e.posted_at, h.lease_until, e.overrun
FROM spend_ledgerentry e JOIN spend_hold h ON h.id = e.hold_id WHERE e.organization_id = {mark} ORDER BY e.id
"""


_SWEPT = """
SELECT count(*) FROM spend_hold h LEFT JOIN spend_ledgerentry e ON e.hold_id = h.id AND e.kind = 'charge'
WHERE h.organization_id = {mark}
AND (h.key_id IS NULL OR (e.usage_source = 'estimated_orphan' AND e.posted_at > h.lease_until))
"""


class Books:
    """Either engine's tables, and its counters."""

    def __init__(self, *, postgres: str = "", sqlite: Path | None = None, store_url: str) -> None:
        self._postgres, self._sqlite = postgres, sqlite
        self.store = redis.Redis.from_url(store_url, decode_responses=True, socket_timeout=5)

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """`{mark}` in the SQL stands for a parameter."""
        mark = "%s" if self._postgres else "?"
        with self._connection() as connection:
            return connection.execute(sql.replace("{mark}", mark), values).fetchall()

    def execute(self, sql: str) -> None:
        """A statement on the tables themselves, as somebody with the gateway's password could send it."""
        with self._connection() as connection:
            connection.execute(sql)
            connection.commit()

    def entries(self, organization: int) -> list[Entry]:
        return [_entry(row) for row in self.query(_ENTRIES, organization)]

    def pending(self, organization: int) -> int:
        sql = "SELECT count(*) FROM spend_hold WHERE organization_id = {mark} AND state = 'pending'"
        count: int = self.query(sql, organization)[0][0]
        return count

    def swept(self, organization: int) -> int:
        """Holds that the sweeper ended: tombstones, which belong to no key, and orphans charged beyond their lease."""
        return int(self.query(_SWEPT, organization)[0][0])

    def rollups(self) -> dict[str, tuple[int, int]]:
        """(nano-USD, requests) of every scope, all time."""
        rows = self.query("SELECT scope, sum(amount_nano), sum(requests) FROM spend_rollup GROUP BY scope")
        return {scope: (int(nano), int(requests)) for scope, nano, requests in rows}

    def epoch(self, organization: int) -> int:
        """The epoch that stands in SQL."""
        epoch: int = self.query("SELECT epoch FROM teams_organization WHERE id = {mark}", organization)[0][0]
        return epoch

    def counters(self, organization: int) -> dict[str, Counter]:
        """`<scope>|<window>` -> what is spent and held there, in the epoch that the store knows."""
        base = self._base(organization)
        found = {}
        for key in self.store.scan_iter(f"{base}:w:*", count=1000):
            spent, held = self.store.hmget(key, "s", "h")
            found[key.removeprefix(f"{base}:w:")] = Counter(int(spent or 0), int(held or 0))
        return found

    def held(self, organization: int) -> int:
        """Nano-USD held on all counters together."""
        return sum(counter.held for counter in self.counters(organization).values())

    def holds_in_store(self, organization: int, *, of_every_epoch: bool) -> int:
        """Holds that the store still has; of every epoch also the intents of earlier ones that SQL does not have."""
        epoch = self.store.get(f"{store_prefix(organization)}:epoch")
        held = int(self.store.zcard(f"{store_prefix(organization)}:{epoch}:holds"))
        if not of_every_epoch:
            return held
        left = {key.rpartition(":")[2] for key, record in self.records(organization).items() if '"i":' in record}
        in_sql = self.query("SELECT id FROM spend_hold WHERE organization_id = {mark}", organization)
        return held + len(left - {str(hold_id) for (hold_id,) in in_sql})

    def records(self, organization: int) -> dict[str, str]:
        """What the store keeps of single holds, in every epoch."""
        keys = self.store.scan_iter(f"{store_prefix(organization)}:*:hold:*", count=1000)
        return {key: str(self.store.get(key)) for key in keys}

    def slots(self, organization: int) -> int:
        """Parallel slots in use, all scopes together."""
        keys = self.store.scan_iter(f"{store_prefix(organization)}:p:*", count=1000)
        return sum(int(self.store.zcard(key)) for key in keys)

    def _base(self, organization: int) -> str:
        prefix = store_prefix(organization)
        return f"{prefix}:{self.store.get(f'{prefix}:epoch')}"

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        if self._sqlite is None:
            with psycopg.connect(self._postgres, connect_timeout=5) as connection:
                yield connection
            return
        lite = sqlite3.connect(self._sqlite, timeout=20)
        try:
            yield lite
        finally:
            lite.close()


def window_of(counter: str) -> tuple[str, datetime | None, datetime | None]:
    """`key:3|10s@1700000000` -> its scope, and when the window starts and ends (None: open).

    Only for durations in seconds this rig computes an end; longer windows outlast a scenario.
    """
    scope, _, window = counter.partition("|")
    duration, at, start = window.partition("@")
    if not at:
        return scope, None, None
    opened = datetime.fromtimestamp(int(start), UTC)
    return scope, opened, opened + timedelta(seconds=int(duration[:-1])) if duration.endswith("s") else None


def _entry(row: tuple[Any, ...]) -> Entry:
    values = list(row)
    for place in (8, 9):
        values[place] = tuple(_list(values[place]))
    for place in (10, 11, 12):
        values[place] = _instant(values[place])
    values[13] = bool(values[13])
    return Entry(*values)


def _list(value: Any) -> list[str]:
    return json.loads(value) if isinstance(value, str) else value


def _instant(value: Any) -> datetime:
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
