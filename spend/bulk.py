"""Writing many rows at once without a model instance for each: what the gateway does all day.

Rows travel as JSON in one parameter to PostgreSQL, which knows the types of columns from the models, and as one
parameter for each value to SQLite, which lives in the same process. Both store exactly what the ORM would.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import orjson
from django.db import connection, models
from django.db.backends.utils import CursorWrapper

Row = tuple[Any, ...]
#: Rows that one statement takes on SQLite, which prepares each of these sizes once.
_SIZES = (64, 16, 4, 3, 2, 1)


def elements(of: str) -> str:
    """SQL for a table `t` of the texts in a JSON list: a row for each, its `value`."""
    if connection.vendor == "postgresql":
        return f"jsonb_array_elements_text({of}) AS t(value)"
    return f"json_each({of}) AS t"


class _Given(ABC):
    """Rows given as tuples in the order of `columns`, for a statement about all of them."""

    def __init__(self, model: type[models.Model], columns: Sequence[str]) -> None:
        fields = {field.column: field for field in model._meta.concrete_fields}
        self._fields = [fields[name] for name in columns]
        self._columns, self._table = tuple(columns), model._meta.db_table
        self._texts = [i for i, f in enumerate(self._fields) if isinstance(f, models.JSONField | models.DateTimeField)]
        self._plain: dict[int, str] = {}

    @property
    def width(self) -> int:
        return len(self._columns)

    def run_and_tell(self, rows: Sequence[Row]) -> set[Any]:
        """Returns the ids of the rows that were written."""
        return {pk for cursor in self._run(rows, f" RETURNING {self._table}.id") for (pk,) in cursor.fetchall()}

    def _run(self, rows: Sequence[Row], returning: str = "") -> Iterator[CursorWrapper]:
        for some in _portions(rows):
            if len(some) not in self._plain:
                self._plain[len(some)] = self._whole(len(some))
            with connection.cursor() as cursor:
                execute(cursor, self._plain[len(some)] + returning, self.parameters(some))
                yield cursor

    @abstractmethod
    def _whole(self, rows: int) -> str:
        """SQL for so many rows."""

    def given(self, rows: int) -> str:
        """The rows as a table expression `given`, whose placeholders are for `parameters`."""
        if connection.vendor == "postgresql":
            return f"given AS (SELECT * FROM jsonb_to_recordset(%s::jsonb) AS given({self._types}))"  # noqa: S608
        row = f"({', '.join('?' * len(self._columns))})"
        return f"given({', '.join(self._columns)}) AS (VALUES {', '.join([row] * rows)})"

    def parameters(self, rows: Sequence[Row]) -> list[Any]:
        if connection.vendor == "postgresql":
            return [orjson.dumps([dict(zip(self._columns, row, strict=True)) for row in rows]).decode()]
        return [value for row in rows for value in self._stored(row)]

    def _stored(self, row: Row) -> list[Any]:
        """A row as SQLite keeps its values: instants and JSON as text."""
        values = list(row)
        for i in self._texts:
            value = values[i]
            if value is not None:
                values[i] = as_text(value) if isinstance(value, datetime) else orjson.dumps(value).decode()
        return values

    @cached_property
    def _types(self) -> str:
        return ", ".join(f"{field.column} {field.db_type(connection)}" for field in self._fields)


class Insert(_Given):
    """INSERT of rows.

    `conflict` says what becomes of a row whose key exists; by default it is left as it is. `with_it` is a statement
    about the `given` rows that PostgreSQL carries out in the same breath; SQLite knows nothing like it.
    """

    def __init__(
        self, model: type[models.Model], columns: Sequence[str], *, conflict: str = "DO NOTHING", with_it: str = ""
    ) -> None:
        super().__init__(model, columns)
        self._conflict, self._with_it = conflict, with_it
        self._into = f"INSERT INTO {self._table} ({', '.join(columns)})"

    def run(self, rows: Sequence[Row]) -> int:
        """Returns how many rows were written: new ones, and those that `conflict` updated."""
        return sum(int(cursor.rowcount) for cursor in self._run(rows))

    def _whole(self, rows: int) -> str:
        return f"WITH {self.given(rows)}{self._further} {self.statement('WHERE true')}"

    @property
    def _further(self) -> str:
        return f", with_it AS ({self._with_it})" if self._with_it and connection.vendor == "postgresql" else ""

    def statement(self, where: str) -> str:
        """SQL that writes those of the `given` rows that a condition on them (or a join before it) leaves over."""
        return f"{self._into} SELECT given.* FROM given {where} ON CONFLICT {self._conflict}"  # noqa: S608


class Update(_Given):
    """UPDATE of rows by their `id`, which is the first of `columns`, where they are as `where` says."""

    def __init__(self, model: type[models.Model], columns: Sequence[str], *, where: str) -> None:
        super().__init__(model, columns)
        self._set, self._where = ", ".join(f"{name} = given.{name}" for name in columns[1:]), where

    def _whole(self, rows: int) -> str:
        return (
            f"WITH {self.given(rows)} UPDATE {self._table} SET {self._set} FROM given "  # noqa: S608
            f"WHERE {self._table}.id = given.id AND {self._where}"
        )


def execute(cursor: CursorWrapper, statement: str, parameters: Sequence[Any]) -> None:
    """Execute SQL whose placeholders are the database's own: on SQLite, Django would look for its own in all of it."""
    if connection.vendor == "postgresql":
        cursor.execute(statement, parameters)
        return
    with connection.wrap_database_errors:
        sqlite3.Cursor.execute(cursor.cursor, statement, parameters)


def as_text(at: datetime) -> str:
    """An instant as SQLite keeps it for Django: UTC, without an offset."""
    return at.astimezone(UTC).isoformat(" ")[:-6]


def _portions(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    if connection.vendor == "postgresql":
        yield from (rows,) if rows else ()
        return
    first = 0
    for size in _SIZES:
        while len(rows) - first >= size:
            yield rows[first : first + size]
            first += size
