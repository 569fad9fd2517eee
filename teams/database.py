"""What a failure of the database means for those who asked it."""

from django.db import Error, InterfaceError, OperationalError

#: How SQLSTATE begins where the server answers and writes nothing: it only reads, has no room, or its disk fails.
_REFUSED = ("25006", "53", "58")
#: The same by SQLite's names of errors.
_REFUSED_BY_SQLITE = ("SQLITE_READONLY", "SQLITE_FULL")


def refuses_writes(error: Error) -> bool:
    """Whether the database answers, and takes nothing that is written: an outage, and nobody's mistake.

    It took nothing of the transaction either.
    """
    state = getattr(error.__cause__, "sqlstate", None) or ""
    name = getattr(error.__cause__, "sqlite_errorname", None) or ""
    return state.startswith(_REFUSED) or name.startswith(_REFUSED_BY_SQLITE)


def is_away(error: Exception) -> bool:
    """Whether it is the database that fails, and not what was asked of it."""
    return isinstance(error, OperationalError | InterfaceError) or (isinstance(error, Error) and refuses_writes(error))
