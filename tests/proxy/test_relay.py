"""What becomes of a stream's events on their way to the client."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from proxy.runtime.relay import Outcome, send_stream
from proxy.runtime.request import Message
from proxy.runtime.streams import Stream

CHUNK = {"id": "c-1", "choices": [{"index": 0, "delta": {"content": "a\u2028b\u2029c\x85d ü 🦊"}}], "usage": None}


class Events:
    """A provider's answer that brings these bytes."""

    status = 200

    def __init__(self, *pieces: bytes) -> None:
        self.headers: dict[str, str] = {}
        self._pieces = pieces

    async def read(self, at_most: int) -> bytes:
        return b"".join(self._pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def close(self) -> None:
        pass


async def relayed(*pieces: bytes, wants_usage: bool = False) -> bytes:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    stream = Stream("token", "", (), frozenset(), Events(*pieces), "drain")
    await send_stream(send, stream, Outcome(), [], wants_usage=wants_usage, clock=lambda: datetime.now(UTC))
    return b"".join(message.get("body", b"") for message in sent)


async def test_a_chunk_that_is_written_again_stays_on_one_line_for_clients_that_know_more_line_ends() -> None:
    got = await relayed(b"data: " + json.dumps(CHUNK).encode() + b"\n\n")
    [line] = got.decode().strip().splitlines()
    assert json.loads(line.removeprefix("data: ")) == {name: CHUNK[name] for name in ("id", "choices")}


async def test_a_chunk_that_is_written_again_keeps_the_name_and_the_id_of_its_event() -> None:
    got = await relayed(b"event: message\nid: 7\ndata: " + json.dumps(CHUNK).encode() + b"\n\n")
    assert got.startswith(b"event: message\nid: 7\ndata: {") and b"usage" not in got


async def test_a_chunk_of_a_client_that_wants_usage_is_not_touched() -> None:
    event = b"data: " + json.dumps(CHUNK, indent=None, separators=(", ", ": ")).encode() + b"\n\n"
    assert await relayed(event, wants_usage=True) == event
