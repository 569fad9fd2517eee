"""The gateway's one door to the counter store: one connection on which every command is pipelined.

Commands of one turn of the event loop leave in one write, and replies come back in order. A caller only ever
waits on a future: one that goes away leaves nothing behind for the next. A store that keeps silent is given up
soon and for everybody; until it answers again, commands fail at once instead of queueing.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import structlog

from proxy.runtime.errors import Unavailable
from proxy.runtime.scripts import EVERY, Script
from proxy.runtime.store_protocol import Failure, StoreAddress, StoreFacts, StoreProtocol

log = structlog.get_logger()
_MOST_WAITING = 20_000
_TICK = 0.05
_STEADY_SECONDS = 60
_AT_ONCE = 64
_RETRY_SECONDS = (0.02, 0.05, 0.1, 0.25, 0.5)


class StoreUnavailable(Unavailable):
    """The counter store did not answer. Whether a command took effect is unknown, unless it was `never` sent."""

    what = "the counter store"

    def __init__(self, reason: str, *, never: bool = False) -> None:
        super().__init__(reason)
        self.never = never


def _by_key(calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, list[int]]]:
    """Places of the calls of each key, not so many at once that a script holds up others."""
    places: dict[str, list[int]] = {}
    for place, call in enumerate(calls):
        places.setdefault(call[0], []).append(place)
    for key, found in places.items():
        for first in range(0, len(found), _AT_ONCE):
            yield key, found[first : first + _AT_ONCE]


class CounterStore:
    """`on_server` is awaited on every connection with what the server says of itself, before any command is sent."""

    def __init__(
        self,
        url: str,
        on_server: Callable[[StoreFacts], Awaitable[None]] | None = None,
        *,
        timeout_seconds: float = 0.2,
    ) -> None:
        self._address, self._on_server = StoreAddress.parse(url), on_server
        self._patience = max(1, round(timeout_seconds / _TICK))
        self._protocol: StoreProtocol | None = None
        self._ready = asyncio.Event()
        self._lost = asyncio.Event()
        self._lost_at = self._back_at = 0.0
        self.outages = 0
        """How many there were. One that follows upon another within a minute is the same."""
        self._tasks: list[asyncio.Task[None]] = []
        self._when_back: deque[Callable[[], Awaitable[Any]]] = deque(maxlen=_MOST_WAITING)
        self._owes = asyncio.Event()

    def start(self) -> None:
        self._lost_at = asyncio.get_running_loop().time()
        self._tasks = [
            asyncio.create_task(self._keep_connected(), name="counter-store"),
            asyncio.create_task(self._watch(), name="counter-store-watch"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._protocol is not None:
            self._protocol.abort()

    @property
    def available(self) -> bool:
        return self._ready.is_set()

    def away_for(self) -> float:
        """Seconds since it was lost, or since this worker started without it."""
        return 0.0 if self.available else asyncio.get_running_loop().time() - self._lost_at

    async def wait_until_available(self, at_most: float) -> None:
        """For a worker that starts: take no calls before the store can be asked, unless it stays away."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), at_most)

    async def command(self, *command: Any) -> Any:
        """Send one command and wait for its reply. Raises StoreUnavailable, also where the store refuses it."""
        try:
            return await self._asked(*command)
        except Failure as error:
            raise StoreUnavailable(str(error)[:80]) from error

    async def _asked(self, *command: Any) -> Any:
        """The same, with an error that the store answers as it is."""
        if not self._ready.is_set():
            await self._wait_briefly()
        protocol = self._protocol
        if protocol is None or len(protocol.waiting) >= _MOST_WAITING:
            raise StoreUnavailable("the counter store does not keep up", never=True)
        try:
            return await protocol.send(command)
        except ConnectionError as error:
            raise StoreUnavailable("the counter store did not answer") from error

    def tell(self, *command: Any) -> None:
        """Send one command whose reply nobody needs. A store that is away does not get it."""
        protocol = self._protocol
        if self._ready.is_set() and protocol is not None and len(protocol.waiting) < _MOST_WAITING:
            protocol.send(command).add_done_callback(lambda reply: reply.exception())

    async def script(self, script: Script, key: str, *args: Any) -> Any:
        """Run a script by digest; a store that forgot its scripts is given the text again."""
        try:
            return await self._asked("EVALSHA", script.digest, 1, key, *args)
        except Failure as error:
            if not str(error).startswith("NOSCRIPT"):
                raise StoreUnavailable(str(error)[:80]) from error
            return await self.command("EVAL", script.text, 1, key, *args)

    async def scripts(self, script: Script, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run a script that takes the arguments of many calls for all of them (key, then arguments), in call order."""
        answers: list[Any] = [None] * len(calls)
        for key, places in _by_key(calls):
            args = [arg for place in places for arg in calls[place][1:]]
            for place, answer in zip(places, await self.script(script, key, *args), strict=True):
                answers[place] = answer
        return answers

    def when_back(self, action: Callable[[], Awaitable[Any]]) -> None:
        """Have something repeatable done as soon as the store does it; what does not fit is the sweeper's."""
        self._when_back.append(action)
        self._owes.set()

    async def _wait_briefly(self) -> None:
        """A store that went away just now may be back at once."""
        left = self._lost_at + self._patience * _TICK - asyncio.get_running_loop().time()
        if left > 0:
            try:
                await asyncio.wait_for(self._ready.wait(), left)
            except TimeoutError:
                pass
            else:
                return
        raise StoreUnavailable("the counter store is away", never=True)

    async def _keep_connected(self) -> None:
        attempt = 0
        while True:
            try:
                await self._connect()
            except (OSError, TimeoutError, Failure) as error:
                if attempt == 0:
                    log.warning("counter store unavailable", error=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
                attempt += 1
                continue
            attempt = 0
            back = asyncio.create_task(self._catch_up(), name="counter-store-catch-up")
            await self._lost.wait()
            back.cancel()

    async def _connect(self) -> None:
        self._lost.clear()
        patience = max(0.25, self._patience * _TICK)
        async with asyncio.timeout(patience):
            protocol = await self._address.connect(self._on_lost)
        try:
            await self._meet(protocol, patience)
        except BaseException:
            protocol.abort()
            raise
        self._protocol = protocol
        self._back_at = asyncio.get_running_loop().time()
        self._ready.set()

    async def _meet(self, protocol: StoreProtocol, patience: float) -> None:
        async with asyncio.timeout(patience):
            facts = await protocol.greet(self._address, [script.text for script in EVERY])
        if self._on_server is not None:
            await self._on_server(facts)
        if not protocol.alive:
            raise ConnectionError("the counter store went away again")

    def _on_lost(self, protocol: StoreProtocol) -> None:
        if protocol is not self._protocol:
            return
        self._lost_at = asyncio.get_running_loop().time()
        self.outages += self._lost_at - self._back_at > _STEADY_SECONDS
        self._ready.clear()
        self._protocol = None
        self._lost.set()

    async def _watch(self) -> None:
        """Give up a connection on which replies are due and none came for some turns of this loop.

        Counting turns, not time: a worker that was itself held up does not blame the store.
        """
        silent, seen = 0, -1
        while True:
            await asyncio.sleep(_TICK)
            protocol = self._protocol
            if protocol is None or not protocol.waiting or protocol.answered != seen:
                silent, seen = 0, protocol.answered if protocol else -1
                continue
            silent += 1
            if silent >= self._patience:
                log.warning("counter store keeps silent", waiting=len(protocol.waiting))
                protocol.abort()

    async def _catch_up(self) -> None:
        """Do what had to wait, until the connection is lost: a store may also refuse for a while and stay connected.

        Twice: a store that was only frozen may still work off old commands just after it.
        """
        while True:
            done = await self._pay()
            await asyncio.sleep(1)
            for action in done:
                with contextlib.suppress(Unavailable):
                    await action()
            await self._owes.wait()

    async def _pay(self) -> list[Callable[[], Awaitable[Any]]]:
        """Whatever waits, once. Returns it when nothing waits any more."""
        self._owes.clear()
        done = []
        while self._when_back:
            action = self._when_back.popleft()
            try:
                await action()
            except Unavailable:
                self._when_back.append(action)
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                self._when_back.append(action)
                raise
            else:
                done.append(action)
        return done
