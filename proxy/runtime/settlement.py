"""After the answer: post to the ledger, then settle the counters. Never inside a caller's cancellation.

A posting is retried until the database takes it; a settlement that the counter store misses is finished
by the sweeper, and until then the budget shows more held than is, never less.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from proxy.runtime.counters import StoreUnavailable
from proxy.runtime.holds import Held, Holds
from proxy.runtime.journal import BooksUnavailable, Journal
from spend.wire import Posting

log = structlog.get_logger()
_MOST_WAITING = 10_000


class Settlement:
    def __init__(self, journal: Journal, holds: Holds, lease_seconds: int, clock: Callable[[], datetime]) -> None:
        self._journal, self._holds, self._clock = journal, holds, clock
        self._lease = timedelta(seconds=lease_seconds)
        self._open: dict[str, Held] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def overloaded(self) -> bool:
        """Whether so much waits for the database that no further call may start."""
        return len(self._tasks) >= _MOST_WAITING

    def opened(self, held: Held) -> None:
        """From now on the hold's lease is renewed."""
        self._open[held.intent.hold_id] = held

    def post(self, held: Held, posting: Posting) -> None:
        """Take over: the caller need not wait, and nothing it does can stop this."""
        task = asyncio.create_task(self._post(held, posting), name=f"post-{held.intent.hold_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def abandon(self, held: Held) -> None:
        """Something unforeseen: the outcome is unknown, so the lease runs out and the sweeper charges the hold."""
        self._open.pop(held.intent.hold_id, None)

    async def idle(self, at_most: float) -> None:
        """Wait until what is being posted now is settled, for at most so many seconds."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=at_most)

    async def keep_leases(self) -> None:
        """Renew the leases of calls that are still running, forever."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            held, until = list(self._open.values()), self._clock() + self._lease
            try:
                if held:
                    await self._journal.ask("leases", ([item.intent.hold_id for item in held], until))
                    await self._holds.renew(held, until)
            except (BooksUnavailable, StoreUnavailable) as error:
                log.warning("leases not renewed", error=type(error).__name__, holds=len(held))

    async def _post(self, held: Held, posting: Posting) -> None:
        cost = await self._posted(posting)
        self._open.pop(held.intent.hold_id, None)
        try:
            await self._holds.settle(held, cost, posting.usage.total)
        except StoreUnavailable:
            log.warning("settlement left to the sweeper", hold=held.intent.hold_id)

    async def _posted(self, posting: Posting) -> int:
        delay = 0.05
        while True:
            try:
                cost: int = await self._journal.ask("postings", posting)
                return cost
            except BooksUnavailable:
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)
