"""Direct access to a running Latchkey's tables, for rows by the million that no API call should have to write.

New rows are copies of one that Latchkey wrote itself, with what must differ replaced. So they stay complete when a
table gets a column more.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

_BATCH = 100_000
_DAYS = 90
#: Calls in a row that one key makes, and how many keys call at all.
_BURST, _CALLERS = 20, 1000
_MODELS = 5
#: Rollup columns that count or label; the others are sums of the ledger's columns of the same name.
_ROLLUP_NOT_SUMS = ("id", "scope", "model", "quarter", "requests")


@dataclass
class Books:
    """Either engine's tables; exactly one of the two is given."""

    sqlite: Path | None = None
    postgres: str = ""

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements in one transaction; returns the rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        with self._connection() as connection:
            for statement in statements:
                cursor = connection.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def count(self, table: str) -> int:
        return int(self.execute(f"SELECT count(*) FROM {table}")[0][0])

    def add_keys(self, until: int) -> None:
        """Fill up with keys that nobody has, copies of the key `bench`, until there are so many."""
        have = self.count("keys_virtualkey")
        values = {"public_id": "'k' || n", "token": "'bulk-' || n", "alias": "NULL"}
        for start in range(have + 1, until + 1, _BATCH):
            numbers = self._numbers(start, min(until, start + _BATCH - 1))
            self.execute(self._copies("keys_virtualkey", "t.alias = 'bench'", numbers, values))
        self.analyze()

    def add_ledger_rows(self, until: int) -> None:
        """Fill up with postings of the last 90 days, each with its hold and its share of the rollups.

        Needs one real posting, and keys from `add_keys` to share them out to.
        """
        have = self.count("spend_ledgerentry")
        entry, hold, key = self.execute("SELECT id, hold_id, key_id FROM spend_ledgerentry ORDER BY id LIMIT 1")[0]
        first, keys = self.execute("SELECT min(id), count(*) FROM keys_virtualkey WHERE token LIKE 'bulk-%'")[0]
        key_id = f"({first} + (n / {_BURST}) % {min(keys, _CALLERS)})"
        at = self._instant(f"{time.time() - 3600:.0f} - n * {_DAYS * 86400 / max(1, until)}")
        common = {
            "key_id": key_id,
            "model": f"'model-' || n % {_MODELS}",
            "scopes": self._with_key(key, key_id),
            "admitted_at": at,
        }
        holds = common | {"id": "'bulk' || n", "lease_until": at}
        entries = common | {
            "hold_id": "'bulk' || n", "finished_at": at, "posted_at": at, "request_id": "'bulk-' || n",
        }  # fmt: skip
        with self._without_indexes("spend_hold", "spend_ledgerentry"):
            for start in range(have + 1, until + 1, _BATCH):
                numbers = self._numbers(start, min(until, start + _BATCH - 1))
                last = self.execute("SELECT max(id) FROM spend_ledgerentry")[0][0]
                self.execute(
                    self._copies("spend_hold", f"t.id = '{hold}'", numbers, holds),
                    self._copies("spend_ledgerentry", f"t.id = {entry}", numbers, entries),
                    self._rollups(f"e.id > {last}"),
                    self._activity(f"e.id > {last}"),
                )
        self.execute("DELETE FROM spend_dailytotal", self._totals())
        # Days that Latchkey has summed up already have more calls now, which it takes for posted in time.
        self.execute(*(f"DELETE FROM spend_{table}" for table in ("summedday", "ownertotal", "scopetotal")))
        self.analyze()

    def analyze(self) -> None:
        """What autovacuum does on PostgreSQL sooner or later, done before the measurement."""
        if self.sqlite is None:
            with psycopg.connect(self.postgres, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")

    @contextmanager
    def _without_indexes(self, *tables: str) -> Iterator[None]:
        """Indexes that enforce nothing are made again afterwards: much faster than row by row."""
        names = ", ".join(f"'{table}'" for table in tables)
        query = (
            f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ({names}) AND indexdef NOT LIKE '%UNIQUE%'"
            if self.sqlite is None
            else "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT LIKE '%UNIQUE%' "
            f"AND tbl_name IN ({names})"
        )
        indexes = self.execute(query)
        self.execute("SELECT 1", *(f'DROP INDEX "{name}"' for name, _ in indexes))
        try:
            yield
        finally:
            self.execute("SELECT 1", *(definition for _, definition in indexes))

    def _copies(self, table: str, template: str, numbers: str, values: Mapping[str, str]) -> str:
        columns = [name for name in self._columns(table) if name != "id" or "id" in values]
        chosen = ", ".join(values.get(name, f't."{name}"') for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        return f"INSERT INTO {table} ({names}) SELECT {chosen} FROM {table} t, {numbers} WHERE {template}"

    def _rollups(self, which: str) -> str:
        """The rollups of new postings, as `spend.rollups.add` would have written them."""
        ledger = set(self._columns("spend_ledgerentry"))
        summed = [name for name in self._columns("spend_rollup") if name not in _ROLLUP_NOT_SUMS and name in ledger]
        each, quarter = (
            ("jsonb_array_elements_text(e.scopes) AS s(value)", "date_bin('15 min', e.admitted_at, 'epoch')")
            if self.sqlite is None
            else (
                "json_each(e.scopes) AS s",
                "strftime('%Y-%m-%d %H:%M:%S', strftime('%s', e.admitted_at) / 900 * 900, 'unixepoch')",
            )
        )
        names = ", ".join(["scope", "quarter", "model", "requests", *summed])
        sums = ", ".join(["count(*)", *(f"sum(e.{name})" for name in summed)])
        updates = ", ".join(f"{name} = spend_rollup.{name} + excluded.{name}" for name in ["requests", *summed])
        return (
            f"INSERT INTO spend_rollup ({names}) SELECT s.value, {quarter}, e.model, {sums} "
            f"FROM spend_ledgerentry e, {each} WHERE {which} GROUP BY 1, 2, 3 "
            f"ON CONFLICT (scope, quarter, model) DO UPDATE SET {updates}"
        )

    def _activity(self, which: str) -> str:
        """The activity of new postings, as `spend.activity.add` would have written it; they carry no tags."""
        day = "(e.admitted_at AT TIME ZONE 'UTC')::date" if self.sqlite is None else "date(e.admitted_at)"
        owners = [f"{name}_id" for name in ("key", "customer", "user", "team", "organization")]
        labels = {"day": day, "tag": "''"} | {name: f"coalesce(e.{name}, 0)" for name in owners}
        labels |= {name: f"e.{name}" for name in ("model", "upstream_model", "provider", "call_type")}
        ledger = set(self._columns("spend_ledgerentry"))
        known = [name for name in self._columns("spend_activity") if name not in {"id", "requests", *labels}]
        summed = [name for name in known if name in ledger]
        names, sums = ", ".join(["requests", *summed]), ", ".join(["count(*)", *(f"sum(e.{name})" for name in summed)])
        updates = ", ".join(f"{name} = spend_activity.{name} + excluded.{name}" for name in ["requests", *summed])
        return (
            f"INSERT INTO spend_activity ({', '.join(labels)}, {names}) SELECT {', '.join(labels.values())}, {sums} "
            f"FROM spend_ledgerentry e WHERE {which} GROUP BY {', '.join(map(str, range(1, len(labels) + 1)))} "
            f"ON CONFLICT ({', '.join(labels)}) DO UPDATE SET {updates}"
        )

    def _totals(self) -> str:
        """The totals of all activity, of which there are few."""
        labels = "day, organization_id, model, upstream_model, provider, call_type"
        sums = [
            name for name in self._columns("spend_dailytotal") if name not in {"id", "of_team", *labels.split(", ")}
        ]
        return (
            f"INSERT INTO spend_dailytotal ({labels}, of_team, {', '.join(sums)}) SELECT {labels}, team_id > 0, "
            f"{', '.join(f'sum({name})' for name in sums)} FROM spend_activity WHERE tag = '' "
            f"GROUP BY {labels}, team_id > 0"
        )

    def _with_key(self, old: int, new: str) -> str:
        """The scopes of a posting with another key among them."""
        text, back = ("t.scopes", "") if self.sqlite else ("t.scopes::text", "::jsonb")
        return f"replace({text}, '\"key:{old}\"', '\"key:' || {new} || '\"'){back}"

    def _instant(self, seconds: str) -> str:
        """An instant from seconds since 1970, as Django writes it."""
        if self.sqlite is None:
            return f"to_timestamp({seconds})"
        return f"strftime('%Y-%m-%d %H:%M:%f000', {seconds}, 'unixepoch')"

    def _numbers(self, first: int, last: int) -> str:
        """A table `s` with a column `n`."""
        if self.sqlite is None:
            return f"generate_series({first}, {last}) AS s(n)"
        count = f"WITH RECURSIVE c(n) AS (VALUES({first}) UNION ALL SELECT n + 1 FROM c WHERE n < {last})"
        return f"({count} SELECT n FROM c) AS s"

    def _columns(self, table: str) -> list[str]:
        query = (
            f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
            if self.sqlite is None
            else f"SELECT name FROM pragma_table_info('{table}')"
        )
        return [row[0] for row in self.execute(query)]

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """Foreign keys are not checked row by row, nor is every batch awaited on the disk: these rows are made up."""
        if self.sqlite is None:
            with psycopg.connect(self.postgres) as opened:
                opened.execute("SET session_replication_role = replica")
                opened.execute("SET synchronous_commit = off")
                yield opened
            return
        # Immediate: what has read before it writes is refused at once if somebody else has written meanwhile.
        connection = sqlite3.connect(self.sqlite, timeout=60, isolation_level="IMMEDIATE")
        try:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA cache_size = -1000000")
            with connection:
                yield connection
        finally:
            connection.close()
