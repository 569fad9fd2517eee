"""JSON that can only be read one way. Pure.

Duplicate keys, NaN, infinities, lone surrogates and bottomless nesting are refused, because a validator
and an upstream may read them differently. What is accepted is written again before it goes on.
"""

import math
import re
from typing import Any

import jiter

MAX_DEPTH = 100
_PLACE = re.compile(r"line \d+ column \d+")
#: What the reader's words are about, where that does not go without saying.
_MEANINGS = {
    "duplicate key": "a key appears twice in one object of the body",
    "recursion limit": f"the body is nested deeper than {MAX_DEPTH} levels",
    "hex escape": "the body has a lone surrogate, or an escape that is cut short",
    "code point": "the body is not UTF-8",
}


class NotStrictJSON(ValueError):
    """The message says what is wrong with the text."""


def loads(raw: bytes) -> dict[str, Any]:
    """Parse an object. Raises NotStrictJSON."""
    try:
        value = jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise NotStrictJSON(_reason(str(error))) from error
    if not isinstance(value, dict):
        raise NotStrictJSON("the body must be a JSON object")
    _check(value)
    return value


def _reason(told: str) -> str:
    meant = next((ours for theirs, ours in _MEANINGS.items() if theirs in told), "the body is not JSON")
    place = _PLACE.search(told)
    # The reader quotes what it stumbled over, which may be anything; where that is will do.
    return f"{meant} ({place[0]})" if place else meant


def _check(root: dict[str, Any]) -> None:
    """Depth, and numbers that JSON can write but its readers cannot hold; level by level, without recursion."""
    level: list[dict[str, Any] | list[Any]] = [root]
    for _ in range(MAX_DEPTH):
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    raise NotStrictJSON(f"the body is nested deeper than {MAX_DEPTH} levels")


def _children(value: dict[str, Any] | list[Any]) -> list[dict[str, Any] | list[Any]]:
    """The objects and lists in one; a number that cannot travel on is refused."""
    found = []
    for child in value.values() if isinstance(value, dict) else value:
        kind = type(child)
        if kind is dict or kind is list:
            found.append(child)
        elif kind is int and not -(2**63) <= child < 2**64:
            raise NotStrictJSON("the body has an integer beyond 64 bits")
        elif kind is float and not math.isfinite(child):
            raise NotStrictJSON("the body has a number that is out of range")
    return found
