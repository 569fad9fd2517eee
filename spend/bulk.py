"""Writing many rows at once without a model instance for each: what the gateway does all day.

A batch travels as one statement. Column types come from the models, so both engines store exactly what
the ORM would.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import orjson
from django.db import connection, models

Row = tuple[Any, ...]


class Insert:
    """INSERT of rows given as tuples in the order of `columns`.

    `conflict` says what becomes of a row whose key exists; by default it is left as it is.
    """

    def __init__(self, model: type[models.Model], columns: Sequence[str], *, conflict: str = "DO NOTHING") -> None:
        fields = {field.column: field for field in model._meta.concrete_fields}
        self._fields = [fields[name] for name in columns]
        self._columns, self._conflict = tuple(columns), conflict
        self._into = f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"
        self._texts = [i for i, f in enumerate(self._fields) if isinstance(f, models.JSONField | models.DateTimeField)]

    def run(self, rows: Sequence[Row]) -> int:
        """Returns how many rows were written: new ones, and those that `conflict` updated."""
        if not rows:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(self._plain, [self.given(rows)])
            return int(cursor.rowcount)

    def given(self, rows: Sequence[Row]) -> str:
        """The rows as the parameter of `statement`."""
        on_postgres = connection.vendor == "postgresql"
        return _objects(self._columns, rows) if on_postgres else _lists(self._texts, rows)

    def statement(self, *, where: str) -> str:
        """SQL that writes those of the `given` rows that a condition on them (or a join before it) leaves over."""
        return f"{self._into} SELECT given.* FROM {self._source} {where} ON CONFLICT {self._conflict}"  # noqa: S608

    @cached_property
    def _plain(self) -> str:
        return self.statement(where="WHERE true")

    @cached_property
    def _source(self) -> str:
        if connection.vendor == "postgresql":
            types = ", ".join(f"{field.column} {field.db_type(connection)}" for field in self._fields)
            return f"jsonb_to_recordset(%s::jsonb) AS given({types})"
        # One step, during which other threads run Python; row by row they get in each other's way.
        values = ", ".join(f"value ->> {i} AS {name}" for i, name in enumerate(self._columns))
        return f"(SELECT {values} FROM json_each(%s)) AS given"  # noqa: S608


def as_text(at: datetime) -> str:
    """An instant as SQLite keeps it for Django: UTC, without an offset."""
    return str(at.astimezone(UTC).replace(tzinfo=None))


def _objects(columns: tuple[str, ...], rows: Sequence[Row]) -> str:
    return orjson.dumps([dict(zip(columns, row, strict=True)) for row in rows]).decode()


def _lists(texts: Sequence[int], rows: Sequence[Row]) -> str:
    """Rows as SQLite keeps their values: instants and JSON as text."""
    stored = [list(row) for row in rows]
    for values in stored:
        for i in texts:
            value = values[i]
            if value is not None:
                values[i] = as_text(value) if isinstance(value, datetime) else orjson.dumps(value).decode()
    return orjson.dumps(stored).decode()
