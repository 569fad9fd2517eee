"""Writing intents down only while the epochs that they were held in stand.

One statement that commits by itself: callers wait for it, and every trip to the database would add to each call.
"""

from collections.abc import Sequence
from functools import cache

import orjson
from django.db import connection

from spend.bulk import execute
from spend.rows import HOLDS, hold_row
from spend.wire import Intent

#: Its organization's epoch stands and who judged it still judges; none judges a degraded one.
_STANDS = """JOIN organizations ON organizations.id = given.organization_id AND organizations.epoch = given.epoch
    AND (organizations.sql_until IS NULL OR given.degraded)"""
_PLATFORM = "(SELECT epoch FROM platform)"
_STANDS_ABOVE = f"WHERE given.platform_epoch IS NULL OR given.platform_epoch = {_PLATFORM}"
_ANY = "WHERE true"
#: Rows that one statement takes on SQLite, which keeps each of these prepared: for every number, they would fill 25 MB.
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_MOST = _SIZES[-1]


def write(intents: Sequence[Intent]) -> set[str]:
    """Write pending holds; returns the ids of those written.

    Rows of epochs are locked (shared) until the commit, the platform's before those of organizations: a rebuild that
    raises an epoch waits for this, or this waits for it, sees the raised epoch and refuses. None slips between.
    """
    written: set[str] = set()
    for first in range(0, len(intents), _MOST):
        written |= _write(intents[first : first + _MOST])
    return written


def _write(intents: Sequence[Intent]) -> set[str]:
    organizations = sorted({intent.owners.organization_id for intent in intents})
    above = any(intent.platform_epoch is not None for intent in intents)
    rows = HOLDS.parameters([hold_row(intent) for intent in intents])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_on_postgres(above=above), [organizations, *rows])
        else:
            size = next(size for size in _SIZES if size >= len(intents))
            # Rows of nulls make up the number: they are in no organization, and so none is written.
            rows += [None] * (HOLDS.width * (size - len(intents)))
            execute(cursor, _on_sqlite(size, above=above), [orjson.dumps(organizations).decode(), *rows])
        return {hold_id for (hold_id,) in cursor.fetchall()}


@cache
def _on_postgres(*, above: bool) -> str:
    return _statement(1, "id = ANY(%s)", "FOR SHARE", above=above)


@cache
def _on_sqlite(intents: int, *, above: bool) -> str:
    """It has one writer, so nothing needs a lock."""
    return _statement(intents, "id IN (SELECT value FROM json_each(?))", "", above=above)


def _statement(intents: int, among: str, share: str, *, above: bool) -> str:
    platform = f"platform AS (SELECT epoch FROM teams_platform {share})," if above else ""  # noqa: S608
    first = f"{_PLATFORM} IS NOT NULL AND" if above else ""
    return (
        f"WITH {platform} organizations AS ("  # noqa: S608
        f"SELECT id, epoch, sql_until FROM teams_organization WHERE {first} {among} ORDER BY id {share}), "
        f"{HOLDS.given(intents)} {HOLDS.statement(f'{_STANDS} {_STANDS_ABOVE if above else _ANY}')} RETURNING id"
    )
