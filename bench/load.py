"""The driver, a process of its own: so many callers, each with one kept connection, each calling again once answered.

`python -m bench.load` reads one `Job` as JSON from standard input and writes one `Result` to standard output. It is a
raw asyncio protocol with prebuilt requests, because a heavy client would take the processor from what it measures.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import cast

import uvloop

MODEL, MAX_TOKENS = "canned", 32
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_SENT_AT = re.compile(rb'"content": ?"(\d{6,})"')
_PATIENCE = 30


@dataclass
class Job:
    """`model` is what the callers ask for; callers take turns with the `tokens` (virtual keys)."""

    port: int
    tokens: list[str]
    callers: int
    seconds: float
    host: str = "127.0.0.1"
    path: str = "/v1/chat/completions"
    model: str = MODEL
    stream: bool = False
    spread: float = 0
    """Seconds over which the callers start, so that streams do not all begin and end at once."""


@dataclass
class Result:
    """All times in microseconds. `calls` counts every call that was answered, also those of the warm-up."""

    calls: int = 0
    measured_seconds: float = 0
    latencies: list[int] = field(default_factory=list)
    first_bytes: list[int] = field(default_factory=list)
    chunks: int = 0
    chunk_delays: list[int] = field(default_factory=list)
    failures: int = 0
    first_failure: str = ""


def request_bytes(job: Job, token: str) -> bytes:
    """One whole HTTP request."""
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Tell me what the quick brown fox does, in one sentence, please."},
    ]
    body = json.dumps(
        {"model": job.model, "messages": messages, "max_tokens": MAX_TOKENS, "temperature": 0.7}
        | ({"stream": True} if job.stream else {})
    ).encode()
    head = (
        f"POST {job.path} HTTP/1.1\r\nhost: {job.host}:{job.port}\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\naccept: */*\r\nuser-agent: bench\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Window:
    """When figures are taken (nanoseconds, CLOCK_MONOTONIC); callers stop calling at its end."""

    begin: int = 0
    end: int = 0

    def holds(self, now: int) -> bool:
        return self.begin <= now < self.end


class Caller(asyncio.Protocol):
    """One connection, calling again once answered, with its requests in turn."""

    def __init__(self, requests: list[bytes], stream: bool, result: Result, window: Window) -> None:
        self._requests, self._stream, self._result, self._window = requests, stream, result, window
        self._turn = 0
        self._buffer = b""
        self._missing = -1  # bytes still to come; -1 before the head, -2 in a chunked body
        self._started = self._first = 0
        self._complete = False
        self._transport: asyncio.Transport | None = None
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def call(self) -> None:
        assert self._transport is not None
        self._buffer, self._missing, self._first, self._complete = b"", -1, 0, False
        self._started = time.monotonic_ns()
        self._transport.write(self._requests[self._turn % len(self._requests)])
        self._turn += 1

    def data_received(self, data: bytes) -> None:
        if self._missing == -1:
            data = self._head(self._buffer + data)
        if self._missing == -2:
            self._streamed(data)
        elif self._missing >= 0:
            self._missing -= len(data)
            if self._missing <= 0:
                self._answered()

    def _head(self, data: bytes) -> bytes:
        """Take the head off; returns what follows it."""
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            self._buffer = data
            return b""
        self._buffer = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(data[:600].decode(errors="replace"))
            return b""
        length = _LENGTH.search(head)
        if not length and not self._stream:
            self._fail("an answer without content-length")
            return b""
        self._missing = int(length[1]) if length else -2
        return rest

    def _streamed(self, data: bytes) -> None:
        """A stream: note each event's delay as soon as it is complete."""
        now = time.monotonic_ns()
        ended = (self._buffer + data).endswith(b"0\r\n\r\n")
        events, _, self._buffer = (self._buffer + data).rpartition(b"\n\n")
        sent = _SENT_AT.findall(events)
        if sent:
            self._first = self._first or now
            self._result.chunks += len(sent)
            if self._window.holds(now):
                self._result.chunk_delays.extend((now - int(at)) // 1000 for at in sent)
        self._complete = self._complete or b"[DONE]" in events
        if ended and self._complete and self._first:
            self._answered()
        elif ended:
            self._fail("a stream broke off: " + events[-300:].decode(errors="replace"))

    def _answered(self) -> None:
        now = time.monotonic_ns()
        self._result.calls += 1
        if self._window.holds(now):
            self._result.latencies.append((now - self._started) // 1000)
            if self._stream:
                self._result.first_bytes.append((self._first - self._started) // 1000)
        if now < self._window.end:
            self.call()
        else:
            self._stop()

    def _fail(self, what: str) -> None:
        self._result.failures += 1
        self._result.first_failure = self._result.first_failure or what
        self._missing = -3
        self._stop()

    def _stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
        if not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self._fail(f"the connection was closed before the answer ({error})")


async def run(job: Job) -> Result:
    """The first fifth of the time warms connections up and is not in the figures."""
    loop, result, window = asyncio.get_running_loop(), Result(), Window()
    requests = [request_bytes(job, token) for token in job.tokens]
    callers = []
    for number in range(job.callers):
        turn = number % len(requests)
        mine = requests[turn:] + requests[:turn]
        _, caller = await loop.create_connection(partial(Caller, mine, job.stream, result, window), job.host, job.port)
        callers.append(caller)
    start = time.monotonic_ns()
    window.begin, window.end = start + int(job.seconds * 0.2e9), start + int(job.seconds * 1e9)
    for number, caller in enumerate(callers):
        loop.call_later(job.spread * number / len(callers), caller.call)
    await asyncio.wait([caller.done for caller in callers], timeout=job.seconds + _PATIENCE)
    result.measured_seconds = (window.end - window.begin) / 1e9
    result.failures += sum(not caller.done.done() for caller in callers)
    result.first_failure = result.first_failure or ("some answers never came" if result.failures else "")
    return result


def main() -> None:
    job = Job(**json.loads(sys.stdin.read()))
    json.dump(asdict(uvloop.run(run(job))), sys.stdout)


if __name__ == "__main__":
    main()
