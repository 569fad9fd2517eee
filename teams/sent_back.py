"""Rows of ours that clients read, change and send back. Pure: no I/O.

What such a body says of spending and of the ends of windows is what was read, not what is wished: acted upon, it would
undo what was spent since.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime

from teams.terms import Terms

#: As far as clients round instants.
_CLOSE = timedelta(milliseconds=1)


def is_sent_back(body: Mapping[str, Any], row: Terms) -> bool:
    """Whether the body has the instant at which the row was made, which only our answers have."""
    made = instant(body.get("created_at"))
    return made is not None and row.created_at is not None and abs(made - row.created_at) < _CLOSE


def instant(value: Any) -> datetime | None:
    """What an answer of ours says in a text; None if that is no instant."""
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
