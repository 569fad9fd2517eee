"""How soon a commit must be on the disk."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def synced_with_the_next() -> Iterator[None]:
    """On SQLite, transactions that reach the disk with the next one that waits for it, which an intent does.

    A process that is killed loses nothing of them. A machine that loses power may: their holds are still pending then,
    and are charged as held. PostgreSQL, which others wait for as well, syncs every commit.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous = FULL")
