"""Reading usage out of answers, and server-sent events out of a byte stream. Pure."""

from collections.abc import Iterator
from typing import Any

import orjson

from spend.pricing import Usage


def usage_of(answer: Any) -> Usage | None:
    """Usage of an OpenAI answer or chunk; None if it reports none or nonsense."""
    found = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        return None
    prompt, completion = _number(found, "prompt_tokens"), _number(found, "completion_tokens", default=0)
    if prompt is None or completion is None:
        return None
    details = found.get("prompt_tokens_details")
    cached = _number(details, "cached_tokens", default=0) if isinstance(details, dict) else 0
    more = found.get("completion_tokens_details")
    reasoning = _number(more, "reasoning_tokens", default=0) if isinstance(more, dict) else 0
    return Usage(prompt, completion, cached=min(cached or 0, prompt), reasoning=reasoning or 0)


def _number(values: dict[str, Any], name: str, default: int | None = None) -> int | None:
    value = values.get(name)
    if value is None:
        return default
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else None


def loads(raw: bytes) -> Any:
    """Parsed JSON, or None for anything else."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


class EventSplitter:
    """Cuts a byte stream into whole server-sent events, so that no character is ever split."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Every event that is complete now, each with the blank line that ends it."""
        self._rest += chunk
        while (cut := _end_of_event(self._rest)) is not None:
            event, self._rest = self._rest[:cut], self._rest[cut:]
            yield event

    def rest(self) -> bytes:
        """What came after the last complete event."""
        rest, self._rest = self._rest, b""
        return rest


def _end_of_event(data: bytes) -> int | None:
    ends = [at + len(mark) for mark in (b"\n\n", b"\r\n\r\n") if (at := data.find(mark)) >= 0]
    return min(ends, default=None)


def data_of(event: bytes) -> bytes:
    """The data lines of an event, joined."""
    lines = (line.strip() for line in event.splitlines())
    return b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
