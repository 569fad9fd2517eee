"""The load driver: callers over real sockets, everything random from one seed."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

from tests.scenarios.rig.bill import say

PATIENCE = 60


@dataclass(slots=True)
class Reply:
    """What one caller saw. Instants are CLOCK_MONOTONIC seconds; delays are seconds from the provider to the caller."""

    call: str
    started: float
    status: int = 0
    """0: the connection broke before there was a status."""
    kind: str = ""
    """Type of the error, also of one that ended a stream."""
    retry_after: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    chunks: int = 0
    foreign: int = 0
    """Chunks that carry somebody else's nonce: never anything but 0."""
    sent: list[float] = field(default_factory=list)
    """When the provider sent each chunk."""
    delays: list[float] = field(default_factory=list)
    first: float = 0.0
    ended: float = 0.0
    whole: bool = False
    """The answer came to its proper end."""
    left: bool = False
    """The caller went away in the middle, on purpose."""

    @property
    def seconds(self) -> float:
        return self.ended - self.started

    @property
    def ok(self) -> bool:
        return self.status == 200 and self.whole


class Caller:
    """One run of callers. Nonces start with `prefix`; each call goes to one of the gateways by the dice."""

    def __init__(self, ports: Sequence[int], prefix: str, seed: int) -> None:
        self.ports, self.prefix, self.dice = list(ports), prefix, random.Random(seed)
        self.replies: list[Reply] = []
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # A connection per call, so that any worker may get it.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def call(
        self, key: str, *, model: str = "flat", max_tokens: int | None = 20, stream: bool = False,
        leave_after: int | None = None, leave_after_seconds: float | None = None, port: int | None = None,
        headers: dict[str, str] | None = None, more: dict[str, Any] | None = None, context: int = 0, **script: Any,
    ) -> Reply:  # fmt: skip
        """One chat completion, with so many characters of `context`. `leave_after` chunks, or seconds, the caller goes
        away without a word."""
        nonce = f"{self.prefix}{len(self.replies)}"
        body = {
            "model": model,
            "messages": [*say(nonce, **script), *_padding(context)],
            "stream": stream,
            **(more or {}),
        }
        body |= {} if max_tokens is None else {"max_tokens": max_tokens}
        reply = Reply(nonce, time.monotonic())
        self.replies.append(reply)
        asking = {"authorization": f"Bearer {key}", "x-request-id": nonce, **(headers or {})}
        url = f"http://127.0.0.1:{port or self.dice.choice(self.ports)}/v1/chat/completions"
        try:
            async with asyncio.timeout(PATIENCE if leave_after_seconds is None else leave_after_seconds):
                await self._exchange(url, asking, body, reply, leave_after)
        except TimeoutError:
            reply.left = leave_after_seconds is not None
            reply.kind = reply.kind or f"no answer within {PATIENCE} s"
        except (aiohttp.ClientError, OSError):
            pass
        reply.ended = time.monotonic()
        return reply

    async def burst(self, count: int, one: Callable[[int], Any]) -> list[Reply]:
        """So many calls at the same time; `one(i)` is the coroutine of the i-th."""
        return list(await asyncio.gather(*(one(number) for number in range(count))))

    async def steady(self, rate: float, seconds: float, one: Callable[[int], Any]) -> list[Reply]:
        """Calls at `rate` a second whether earlier ones are answered or not, at random instants."""
        begin, tasks, due = time.monotonic(), [], 0.0
        while (due := due + self.dice.expovariate(rate)) < seconds:
            await asyncio.sleep(max(0.0, begin + due - time.monotonic()))
            tasks.append(asyncio.create_task(one(len(tasks))))
        return list(await asyncio.gather(*tasks))

    @asynccontextmanager
    async def load(self, rate: float, one: Callable[[int], Any]) -> AsyncIterator[list[Reply]]:
        """Calls at `rate` a second until the block is left, however long it takes; then their replies are complete.
        Meanwhile the list holds what has been answered so far."""
        replies: list[Reply] = []
        tasks: list[asyncio.Task[None]] = []

        async def noted(number: int) -> None:
            replies.append(await one(number))

        async def pour() -> None:
            due = time.monotonic()
            while True:
                due += self.dice.expovariate(rate)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                tasks.append(asyncio.create_task(noted(len(tasks))))

        pouring = asyncio.create_task(pour())
        try:
            yield replies
        finally:
            pouring.cancel()
            await asyncio.gather(*tasks)

    async def _exchange(
        self, url: str, headers: dict[str, str], body: dict[str, Any], reply: Reply, leave_after: int | None
    ) -> None:
        assert self._session is not None
        async with self._session.post(url, json=body, headers=headers) as answer:
            reply.status, reply.retry_after = answer.status, answer.headers.get("retry-after")
            reply.headers = {name.lower(): value for name, value in answer.headers.items()}
            if answer.content_type != "text/event-stream":
                _note_whole(reply, await answer.read())
                return
            async for line in answer.content:
                _note_line(reply, line)
                if leave_after is not None and reply.chunks >= leave_after and not reply.whole:
                    reply.left = True
                    answer.close()
                    return


def _padding(characters: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": "word " * (characters // 5)}] if characters else []


def _note_whole(reply: Reply, raw: bytes) -> None:
    reply.first = time.monotonic()
    reply.body = json.loads(raw)
    reply.whole = True
    if "error" in reply.body:
        reply.kind = reply.body["error"]["type"]
    else:
        _note_content(reply, reply.body["choices"][0]["message"]["content"])


def _note_line(reply: Reply, line: bytes) -> None:
    if not line.startswith(b"data: "):
        return
    if line.strip() == b"data: [DONE]":
        reply.whole = True
        return
    event = json.loads(line[6:])
    if "error" in event:
        reply.kind = event["error"]["type"]
        reply.body = event
        return
    for choice in event["choices"]:
        reply.first = reply.first or time.monotonic()
        _note_content(reply, choice["delta"].get("content", ""))


def _note_content(reply: Reply, content: str) -> None:
    if not content:
        return
    call, _, sent = content.strip().split(":")
    reply.chunks += 1
    reply.foreign += call != reply.call
    reply.sent.append(int(sent) / 1e9)
    reply.delays.append(time.monotonic() - reply.sent[-1])


def statuses(replies: Iterable[Reply]) -> Counter[int]:
    return Counter(reply.status for reply in replies)


def complaints(replies: Iterable[Reply]) -> Counter[str]:
    """What callers were told, beside 200 and a budget's refusal."""
    return Counter(
        f"{reply.status} {reply.body.get('error', {}).get('message', reply.kind)}"
        for reply in replies
        if reply.status not in (200, 429)
    )


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def milliseconds(values: Iterable[float]) -> str:
    """For the figures that a scenario prints."""
    known = list(values)
    parts = [f"{name} {percentile(known, share) * 1000:.0f} ms" for name, share in (("p50", 0.5), ("p99", 0.99))]
    return f"{', '.join(parts)}, max {max(known, default=0.0) * 1000:.0f} ms of {len(known)}"
