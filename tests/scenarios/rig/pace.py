"""How late the machine itself is, so that a promise in seconds is not judged by what else it has to do."""

import asyncio
import time
from typing import Self

import aiohttp

_EVERY = 0.05
#: A call passes through about so many processes: the driver, a gateway, store, database, provider, and back.
_STEPS = 5


class Pace:
    """While the block lasts, calls the provider for nothing: a round trip without any of Latchkey in it."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/"
        self._late: list[float] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._measure())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def late(self) -> float:
        """Seconds by which the slowest round trip came late."""
        assert self._late, "the machine did not get to measure itself"
        return max(self._late)

    def allows(self, seconds: float) -> float:
        """A bound of so many seconds, on this machine as it was meanwhile."""
        return seconds + _STEPS * self.late

    async def _measure(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                begin = time.monotonic()
                await asyncio.sleep(_EVERY)
                async with session.get(self._url) as answer:
                    await answer.read()
                self._late.append(time.monotonic() - begin - _EVERY)
