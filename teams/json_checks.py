"""What kind of JSON a column holds, as a rule of the database (the same on SQLite and PostgreSQL), and names in it."""

from typing import Any

from django.db.models import CharField, Func, Q, Value
from django.db.models.lookups import Exact


class JsonKind(Func):
    """`array`, `object`, ... as the database calls the value of a JSON column."""

    function = "JSON_TYPE"
    arity = 1
    output_field = CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSONB_TYPEOF", **extra)


def is_json(column: str, kind: str) -> Q:
    """The condition that a column holds JSON of one kind: `array` or `object`."""
    return Q(Exact(JsonKind(column), Value(kind)))


def names_in(value: object) -> list[str]:
    """Names out of `metadata`, where clients may write anything."""
    return [name for name in value if isinstance(name, str) and 0 < len(name) <= 255] if isinstance(value, list) else []
