"""Reading usage out of answers, and server-sent events out of a byte stream. Pure."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from spend.pricing import Usage

_MOST = 2**40
_PROMPT, _COMPLETION = ("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")
#: Where a report names parts of its input; most name none.
_PARTS = frozenset({
    "prompt_tokens_details", "input_tokens_details", "prompt_cache_hit_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens", "cache_creation", "completion_tokens_details", "output_tokens_details",
})  # fmt: skip
_SERVICE = re.compile(r"^[a-z][a-z0-9_-]{0,31}$")

_TEXT = re.compile(rb'"(?:content|text|reasoning_content|reasoning|refusal|arguments)"\s*:\s*"((?:[^"\\]++|\\.)++)"')

_ENDS_OF_EVENT = (b"\n\n", b"\r\n\r\n")
_LONGEST_MARK = max(map(len, _ENDS_OF_EVENT))


class _Nonsense(Exception):
    """A count that is none, or parts that are more than their whole."""


def usage_of(answer: Any) -> Usage | None:
    """Usage of an OpenAI answer or chunk, every token in one class; None if it reports none or nonsense."""
    found = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        return None
    try:
        prompt = _number(found, *_PROMPT)
        return None if prompt is None else _used(found, prompt)
    except _Nonsense:
        return None


def service_of(answer: Any) -> str:
    """Service tier that the answer says it was served on; empty if it does not say."""
    if not isinstance(answer, dict):
        return ""
    inside = answer.get("usage")
    named = answer.get("service_tier") or (inside.get("service_tier") if isinstance(inside, dict) else None)
    return named if isinstance(named, str) and _SERVICE.match(named) else ""


def searches_of(answer: Any) -> int | None:
    """How many web searches the answer says it made; None if it does not say."""
    found = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        return None
    try:
        tools = _number(_part(found, "server_tool_use"), "web_search_requests")
        return tools if tools is not None else _number(found, "num_search_queries", "num_sources_used")
    except _Nonsense:
        return None


def _used(found: dict[str, Any], prompt: int) -> Usage:
    """Input and output side by side. Rejected predictions are in the whole; reasoning is, or a larger total tells
    that it is not."""
    made = max(_number(found, *_COMPLETION) or 0, (_number(found, "total_tokens") or 0) - prompt)
    if _PARTS.isdisjoint(found):
        return Usage(prompt, made)
    reasoning, spoken, drawn = _output_parts(_part(found, "completion_tokens_details", "output_tokens_details"), made)
    details = _part(found, "prompt_tokens_details", "input_tokens_details")
    audio, image = _number(details, "audio_tokens") or 0, _number(details, "image_tokens") or 0
    cached = _number(details, "cached_tokens")
    cached = (_number(found, "prompt_cache_hit_tokens", "cache_read_input_tokens") or 0) if cached is None else cached
    written = _number(details, "cache_creation_tokens", "cache_write_tokens")
    written = (_number(found, "cache_creation_input_tokens") or 0) if written is None else written
    for_an_hour = _number(_part(found, "cache_creation"), "ephemeral_1h_input_tokens") or 0
    text = prompt - audio - image
    cached_audio, cached_images = _cached_parts(details, cached - (text - written), audio, image)
    if text < 0 or for_an_hour > written or cached - cached_audio - cached_images + written > text:
        raise _Nonsense
    return Usage(
        prompt, made, cached=cached, cache_write=written, cache_write_1h=for_an_hour, reasoning=reasoning,
        audio_input=audio, audio_cached=cached_audio, audio_output=spoken,
        image_input=image, image_cached=cached_images, image_output=drawn,
    )  # fmt: skip


def _output_parts(details: dict[str, Any], made: int) -> tuple[int, int, int]:
    """Tokens of reasoning, sound and images among the output."""
    reasoning = _number(details, "reasoning_tokens") or 0
    spoken, drawn = _number(details, "audio_tokens") or 0, _number(details, "image_tokens") or 0
    if reasoning + spoken + drawn > made:
        raise _Nonsense
    return reasoning, spoken, drawn


def _cached_parts(details: dict[str, Any], beyond_text: int, audio: int, image: int) -> tuple[int, int]:
    """How much of the cache was audio and images; where the provider does not say, only what text cannot be."""
    parts = _part(details, "cached_tokens_details")
    spoken, drawn = _number(parts, "audio_tokens"), _number(parts, "image_tokens")
    if spoken is None and drawn is None:
        spoken = min(audio, max(0, beyond_text))
        drawn = min(image, max(0, beyond_text - spoken))
    if (spoken or 0) > audio or (drawn or 0) > image:
        raise _Nonsense
    return spoken or 0, drawn or 0


def _part(values: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        part = values.get(name)
        if isinstance(part, dict):
            return part
        if part is not None:
            raise _Nonsense
    return {}


def _number(values: dict[str, Any], *names: str) -> int | None:
    """The first of these counts that is there."""
    for name in names:
        value = values.get(name)
        if value is None:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
            raise _Nonsense
        return value
    return None


def texts_of(raw: bytes) -> list[bytes]:
    """Pieces of text that a model wrote, as they stand in the JSON of an answer or an event."""
    return _TEXT.findall(raw)


def loads(raw: bytes) -> Any:
    """Parsed JSON, or None for anything else."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


class EventSplitter:
    """Cuts a byte stream into whole server-sent events, so that no character is ever split."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0
        """So much of the rest holds no end of an event, and is not looked through again with every chunk."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Every event that is complete now, each with the blank line that ends it."""
        self._rest += chunk
        while (cut := _end_of_event(self._rest, self._searched)) is not None:
            event = bytes(self._rest[:cut])
            del self._rest[:cut]
            self._searched = 0
            yield event
        self._searched = max(0, len(self._rest) - _LONGEST_MARK)

    @property
    def waiting_bytes(self) -> int:
        return len(self._rest)

    def rest(self) -> bytes:
        """What came after the last complete event."""
        rest, self._rest, self._searched = bytes(self._rest), bytearray(), 0
        return rest


def _end_of_event(data: bytearray, start: int) -> int | None:
    ends = [at + len(mark) for mark in _ENDS_OF_EVENT if (at := data.find(mark, start)) >= 0]
    return min(ends, default=None)


def data_of(event: bytes) -> bytes:
    """The data lines of an event, joined."""
    lines = (line.strip() for line in event.splitlines())
    return b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
