"""Writing intents down only while the epochs that they were held in stand.

One statement that commits by itself: callers wait for it, and every trip to the database would add to each call.
"""

from collections.abc import Sequence
from functools import cache

from django.db import connection

from spend.rows import HOLDS, hold_row
from spend.wire import Intent

#: Its organization's epoch stands and who judged it still judges; none judges a degraded one.
_STANDS = """JOIN organizations ON organizations.id = given.organization_id AND organizations.epoch = given.epoch
    AND (organizations.sql_until IS NULL OR given.degraded)"""
_PLATFORM = "(SELECT epoch FROM platform)"
_STANDS_ABOVE = f"WHERE given.platform_epoch IS NULL OR given.platform_epoch = {_PLATFORM}"


def write(intents: Sequence[Intent]) -> set[str]:
    """Write pending holds; returns the ids of those written.

    Rows of epochs are locked (shared) until the commit, the platform's before those of organizations: a rebuild that
    raises an epoch waits for this, or this waits for it, sees the raised epoch and refuses. None slips between.
    """
    organizations = sorted({intent.owners.organization_id for intent in intents})
    above = any(intent.platform_epoch is not None for intent in intents)
    statement = _statement(len(organizations), above=above)
    with connection.cursor() as cursor:
        cursor.execute(statement, [*organizations, HOLDS.given([hold_row(intent) for intent in intents])])
        return {hold_id for (hold_id,) in cursor.fetchall()}


@cache
def _statement(organizations: int, *, above: bool) -> str:
    share = "FOR SHARE" if connection.features.has_select_for_update else ""
    marks = ", ".join(["%s"] * organizations)
    platform = f"platform AS (SELECT epoch FROM teams_platform {share})," if above else ""  # noqa: S608
    first = f"{_PLATFORM} IS NOT NULL AND" if above else ""
    written = HOLDS.statement(where=f"{_STANDS} {_STANDS_ABOVE if above else 'WHERE true'}")
    return (
        f"WITH {platform} organizations AS ("  # noqa: S608
        f"SELECT id, epoch, sql_until FROM teams_organization WHERE {first} id IN ({marks}) ORDER BY id {share}) "
        f"{written} RETURNING id"
    )
