"""After the answer: post to the ledger, then settle the counters. Never inside a caller's cancellation.

One task posts whatever is waiting as a batch and goes on to the next. A posting is repeated until the database
takes it; a settlement that the counter store misses is made up for when it is back, and until then the budget shows
more held than is, never less.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import structlog

from proxy.runtime import faults
from proxy.runtime.counters import CounterStore, StoreUnavailable
from proxy.runtime.errors import Unavailable
from proxy.runtime.held import Held, Settled
from proxy.runtime.journal import BooksUnavailable, Journal
from proxy.runtime.plan import Line
from proxy.runtime.releases import Releases
from proxy.runtime.spooling import Spooling
from spend.wire import Crossing, Posting, crossing_name

log = structlog.get_logger()
_MOST_WAITING = 10_000
_BATCH = 256
#: Postings gather for so long, or until this many wait: nobody waits for one, and many cost little more than one.
_LINGER_SECONDS, _ENOUGH = 0.02, 64
_MOST_NOTED = 10_000
_Due = tuple[Held, Posting]


class Settlement:
    def __init__(
        self,
        journal: Journal,
        store: CounterStore,
        releases: Releases,
        lease_seconds: int,
        clock: Callable[[], datetime],
        spooling: Spooling,
    ) -> None:
        self._spooling = spooling
        self._journal, self._store, self._releases, self._clock = journal, store, releases, clock
        self._lease = timedelta(seconds=lease_seconds)
        self._open: dict[str, Held] = {}
        self._waiting: deque[_Due] = deque()
        self._wake, self._hurry = asyncio.Event(), asyncio.Event()
        self._accepted = self._done = 0
        self._watchers: list[tuple[int, asyncio.Future[None]]] = []
        self._noted: set[str] = set()

    @property
    def overloaded(self) -> bool:
        """Whether so much waits for the database that no further call may start."""
        return self._accepted - self._done >= _MOST_WAITING

    def opened(self, held: Held) -> None:
        """From now on the hold's lease is renewed."""
        self._open[held.intent.hold_id] = held
        self._releases.began(held)

    def open_holds(self) -> list[Held]:
        return list(self._open.values())

    def post(self, held: Held, posting: Posting) -> None:
        """Take over: the caller need not wait, and nothing it does can stop this. Its lease is renewed until then."""
        self._open[held.intent.hold_id] = held
        self._releases.ended(held)
        self._releases.unsettled.add(held.intent.owners.key_id, posting.amount_nano or 0)
        self._waiting.append((held, posting))
        self._accepted += 1
        self._wake.set()
        if len(self._waiting) >= _ENOUGH:
            self._hurry.set()

    def abandon(self, held: Held) -> None:
        """Something unforeseen: the outcome is unknown, so the lease runs out and the sweeper charges the hold."""
        self._open.pop(held.intent.hold_id, None)
        self._releases.ended(held)

    async def idle(self, at_most: float) -> None:
        """Wait until everything that was handed over so far is settled, for at most so many seconds."""
        if self._done >= self._accepted:
            return
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((self._accepted, watcher))
        self._hurry.set()
        await asyncio.wait([watcher], timeout=at_most)

    async def run(self) -> None:
        """Post what is waiting, batch after batch, forever."""
        while True:
            await self._wake.wait()
            await self._gather()
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            await self._post(batch)
            for held, posting in batch:
                self._releases.unsettled.add(held.intent.owners.key_id, -(posting.amount_nano or 0))
            self._done += len(batch)
            self._tell_watchers()

    async def _gather(self) -> None:
        """Intents go first: whoever called just now may well call again, and should not queue behind a posting."""
        if not self._watchers:
            self._hurry.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._hurry.wait()
        if len(self._waiting) <= _BATCH:
            self._wake.clear()

    async def keep_leases(self) -> None:
        """Renew the leases of calls that are still running, forever; sooner again where that failed."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            while not await self._renewed():
                await asyncio.sleep(1)

    async def _renewed(self) -> bool:
        """In both places, each whether or not the other one is there: one that is renewed in either is alive."""
        held, until = self.open_holds(), self._clock() + self._lease
        if not held:
            return True
        in_sql = partial(self._journal.ask, "leases", ([item.intent.hold_id for item in held], until))
        renewed = True
        for renew in (partial(self._releases.renew, held, until), in_sql):
            try:
                await renew()
            except Unavailable as error:
                log.warning("leases not renewed", error=type(error).__name__, holds=len(held))
                renewed = False
        return renewed

    async def _post(self, batch: list[_Due]) -> None:
        faults.reach("before_post")
        costs = await self._posted(batch)
        faults.reach("after_post")
        for held, _ in batch:
            self._open.pop(held.intent.hold_id, None)
        due = [
            (held, costs[held.intent.hold_id], posting.usage.total)
            for held, posting in batch
            if held.intent.hold_id in costs
        ]
        try:
            await self._settle(due)
            faults.reach("after_settle")
        except StoreUnavailable:
            # However long the outage is, nothing is remembered of calls that the store never held.
            if held_there := [one for one in due if one[0].intent.in_store]:
                self._store.when_back(partial(self._settle, held_there))

    async def _posted(self, batch: list[_Due]) -> dict[str, int]:
        """What each hold finally cost, of those that are to be settled now.

        One that the database refuses by itself is left to the sweeper, and what is spooled to whoever brings it to SQL.
        """
        delay = 0.05
        while True:
            if not self._journal.available and await self._spooling.keep_postings(batch):
                return {}
            try:
                costs: dict[str, int] = await self._journal.ask("postings", [posting for _, posting in batch])
                return costs
            except BooksUnavailable as error:
                if not error.down and len(batch) > 1:
                    return {k: v for due in batch for k, v in (await self._posted([due])).items()}
                if not error.down and delay > 1:
                    log.error("posting refused, left to the sweeper", hold=batch[0][0].intent.hold_id)
                    return {}
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)

    async def _settle(self, due: list[Settled]) -> None:
        try:
            for line in await self._releases.settle(due):
                await self._note_crossing(line)
        except BooksUnavailable as error:
            log.warning("settled, but not all that follows from it was noted", error=str(error))

    async def _note_crossing(self, line: Line) -> None:
        """Whatever made it so: also a call that others settled, a correction, or a mark that was lowered."""
        counter = crossing_name(line.counter, rolling=bool(line.slices), at=self._clock())
        if counter in self._noted:
            return
        await self._journal.ask("crossings", Crossing(line.policy.scope, counter, line.soft_nano or 0))
        if len(self._noted) >= _MOST_NOTED:
            self._noted.clear()
        self._noted.add(counter)

    def _tell_watchers(self) -> None:
        for due, watcher in self._watchers:
            if due <= self._done and not watcher.done():
                watcher.set_result(None)
        self._watchers = [(due, watcher) for due, watcher in self._watchers if not watcher.done()]
