"""JSON that can only be read one way. Pure.

Duplicate keys, NaN, infinities, lone surrogates and bottomless nesting are refused, because a validator
and an upstream may read them differently. What is accepted is written again before it goes on.
"""

import json
import math
import re
from typing import Any

MAX_DEPTH = 100


_LONG_NUMBER = re.compile(rb"[0-9]{19}")


class NotStrictJSON(ValueError):
    """The message says what is wrong with the text."""


def loads(raw: bytes) -> dict[str, Any]:
    """Parse an object. Raises NotStrictJSON."""
    try:
        text = raw.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise NotStrictJSON("the body is not UTF-8") from error
    except RecursionError as error:
        raise NotStrictJSON(f"the body is nested deeper than {MAX_DEPTH} levels") from error
    except NotStrictJSON:
        raise
    except ValueError as error:
        raise NotStrictJSON(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise NotStrictJSON("the body must be a JSON object")
    if _needs_a_closer_look(raw):
        _check(value)
    return value


def _needs_a_closer_look(raw: bytes) -> bool:
    """Whether the text could hold what `_check` refuses; most texts have too few brackets and no such marks."""
    return raw.count(b"{") + raw.count(b"[") > MAX_DEPTH or b"\\u" in raw or _LONG_NUMBER.search(raw) is not None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise NotStrictJSON(f"the key {twice[:64]!r} appears twice in one object")
    return value


def _constant(name: str) -> Any:
    raise NotStrictJSON(f"{name} is not a JSON number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotStrictJSON(f"the number {text[:32]} is out of range")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_float)


def _check(root: dict[str, Any]) -> None:
    """Depth, integers beyond 64 bits and lone surrogates, without recursion."""
    waiting: list[tuple[Any, int]] = [(root, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise NotStrictJSON(f"the body is nested deeper than {MAX_DEPTH} levels")
        children = (*value, *value.values()) if isinstance(value, dict) else value
        waiting += [(child, depth + 1) for child in children if not _is_leaf(child)]


def _is_leaf(value: Any) -> bool:
    """Whether a value has no children; a leaf that cannot travel on is refused."""
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise NotStrictJSON("the body has an integer beyond 64 bits")
    return not isinstance(value, dict | list)


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise NotStrictJSON("the body has a lone surrogate in a string") from error
