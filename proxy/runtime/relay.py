"""Handing an answer on: bytes pass through untouched, usage is read on the side.

What was learned ends up in an `Outcome`, whether the client is still there or not: the answer of a
client that went away is read to its end, since the provider bills it anyway.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from proxy.runtime import errors, faults, usage
from proxy.runtime.request import Message, Send
from proxy.runtime.streams import Stream
from proxy.runtime.upstream import Answer, NoAnswer
from spend.pricing import Usage

Headers = list[tuple[bytes, bytes]]
_LONGEST_EVENT = 8 * 1024 * 1024
_LINE_ENDS = tuple((c.encode(), f"\\u{ord(c):04x}".encode()) for c in "\u2028\u2029\x85")


@dataclass(slots=True)
class Outcome:
    """What an attempt bought. `usage` is None while the provider has not told."""

    usage: Usage | None = None
    service: str = ""
    """Service tier that the provider says it served the call on."""
    searches: int | None = None
    """Web searches that the provider says it made; None while it has not told."""
    pictures: int | None = None
    """Pictures that the answer brought; None where it is no answer of that kind."""
    response_id: str = ""
    received_bytes: int = 0
    pieces: int = 0
    """Events that brought text; most providers send a token in each."""
    text_bytes: int = 0
    told_by: tuple[int, int] = (0, 0)
    """`pieces` and `text_bytes` of a stream when it last reported usage."""
    told_with_text: bool = False
    """The last report of usage came along with text, as where every event tells how much it was so far."""
    first_byte_at: datetime | None = None
    broken: bool = False
    given_up: bool = False
    """We hung up on the provider, which stops and bills about what it had sent."""
    unreadable: bool = False
    """The whole answer is no JSON object."""

    @property
    def tells_nothing(self) -> bool:
        """Whether there is neither a report nor anything to estimate by."""
        known = self.usage is not None or self.given_up or self.text_bytes > 0
        return not known and (self.unreadable or not self.received_bytes)

    @property
    def is_told_early(self) -> bool:
        """Whether the last report of a stream is of a part of it: more text came, or would have come.

        Some providers tell all of it in the midst of the stream. Theirs covers at least a token for each piece.
        """
        if self.usage is None:
            return False
        if self.broken and self.told_with_text:
            return True
        return self.text_bytes > self.told_by[1] and (self.broken or self.usage.output < self.pieces)


def note_answer(outcome: Outcome, answer: Any) -> bool:
    """Take usage, service tier and id from an answer or a chunk. What is reported twice replaces, never adds.

    Returns whether it reports usage.
    """
    told = usage.usage_of(answer)
    if isinstance(answer, dict):
        outcome.usage = told or outcome.usage
        outcome.service = usage.service_of(answer) or outcome.service
        searches = usage.searches_of(answer)
        outcome.searches = outcome.searches if searches is None else searches
        if not outcome.response_id and isinstance(answer.get("id"), str):
            outcome.response_id = answer["id"]
    return told is not None


def note_pictures(outcome: Outcome, answer: Any, service: str, *, by_piece: bool) -> None:
    """Pictures are counted as they came. What is paid by the piece alone reports no tokens, and no service tier."""
    drawn = answer.get("data") if isinstance(answer, dict) else None
    if isinstance(drawn, list):
        outcome.pictures, outcome.service = len(drawn), service
        outcome.usage = outcome.usage or (Usage() if by_piece else None)


def count_text(outcome: Outcome, raw: bytes) -> None:
    """Note how much text an answer or an event brought, for the case that nobody reports usage."""
    sizes = [len(found) for found in usage.texts_of(raw)]
    outcome.pieces += 1 if any(sizes) else 0
    outcome.text_bytes += sum(sizes)


async def send_whole(send: Send, status: int, body: bytes, headers: dict[str, str] | Headers) -> None:
    start = headers
    if isinstance(start, dict):
        start = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in start.items()]
    start.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def send_stream(
    send: Send, stream: Stream, outcome: Outcome, headers: Headers, *, wants_usage: bool,
    clock: Callable[[], datetime],
) -> None:  # fmt: skip
    """Relay server-sent events; one that breaks off ends with an error event the client can read.

    A client that takes nothing holds up the reading from the provider, not this worker's memory.
    """
    try:
        # Without an end of its own: whoever watches the streams ends it for a client that takes nothing for too long.
        async with asyncio.timeout(None) as stream.deadline:
            await _relay(send, stream, outcome, headers, wants_usage=wants_usage, clock=clock)
    except TimeoutError:
        stream.client_gone = outcome.broken = outcome.given_up = True
        await stream.answer.close()


async def _relay(
    send: Send, stream: Stream, outcome: Outcome, headers: Headers, *, wants_usage: bool,
    clock: Callable[[], datetime],
) -> None:  # fmt: skip
    await _send_on(send, stream, {"type": "http.response.start", "status": 200, "headers": headers})
    try:
        async for event in _events(stream.answer, outcome, clock):
            faults.reach("in_stream")
            kept = _without_usage(event, outcome) if not wants_usage else _noted(event, outcome)
            if kept:
                await _send_on(send, stream, {"type": "http.response.body", "body": kept, "more_body": True})
    except NoAnswer as error:
        outcome.broken, outcome.given_up = True, stream.client_gone or stream.refusal is not None
        told = stream.refusal or errors.upstream_failed(str(error))
        body = b"data: " + told.body() + b"\n\n"
        await _send_on(send, stream, {"type": "http.response.body", "body": body, "more_body": True})
    await _send_on(send, stream, {"type": "http.response.body", "body": b""})


async def _send_on(send: Send, stream: Stream, message: Message) -> None:
    if not stream.client_gone:
        stream.blocked_since = asyncio.get_running_loop().time()
        await send(message)
        stream.blocked_since = None


async def _events(answer: Answer, outcome: Outcome, clock: Callable[[], datetime]) -> AsyncIterator[bytes]:
    splitter = usage.EventSplitter()
    async for chunk in answer.chunks():
        outcome.first_byte_at = outcome.first_byte_at or clock()
        outcome.received_bytes += len(chunk)
        for event in splitter.feed(chunk):
            yield event
        if splitter.waiting_bytes > _LONGEST_EVENT:
            raise NoAnswer("the provider sent an event without an end", timed_out=False)
    rest = splitter.rest()
    if rest.strip():
        yield rest


def _noted(event: bytes, outcome: Outcome) -> bytes:
    before = outcome.text_bytes
    count_text(outcome, event)
    may_tell = b'"usage"' in event or not outcome.response_id
    if may_tell and note_answer(outcome, usage.loads(usage.data_of(event))):
        outcome.told_by = outcome.pieces, outcome.text_bytes
        outcome.told_with_text = outcome.text_bytes > before
    return event


def _without_usage(event: bytes, outcome: Outcome) -> bytes:
    """The event as the client asked for it: usage that only we requested is taken out again."""
    _noted(event, outcome)
    if b'"usage"' not in event:
        return event
    chunk = usage.loads(usage.data_of(event))
    if not isinstance(chunk, dict) or "usage" not in chunk:
        return event
    if chunk["usage"] is not None and not chunk.get("choices"):
        return b""
    del chunk["usage"]
    before = event[: event.find(b"data:")]
    return before + b"data: " + _on_one_line(orjson.dumps(chunk)) + b"\n\n"


def _on_one_line(written: bytes) -> bytes:
    """JSON without what `str.splitlines`, and so httpx's `iter_lines`, takes for the end of a line.

    The provider may have sent these escaped; written again they would not be.
    """
    for raw, escaped in _LINE_ENDS:
        written = written.replace(raw, escaped)
    return written
