"""Direct access to a running Latchkey's tables, for rows by the million that no API call should have to write."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg


@dataclass
class Books:
    """Either engine's tables; exactly one of the two is given."""

    sqlite: Path | None = None
    postgres: str = ""

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connection() as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        if self.sqlite is not None:
            connection = sqlite3.connect(self.sqlite, timeout=60)
            with connection:
                yield connection
            connection.close()
        else:
            with psycopg.connect(self.postgres) as opened:
                yield opened
