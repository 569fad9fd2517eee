"""What becomes of calls while the database is away: refused, or spooled to this machine's disk for later.

A spooled call is held in the counter store like any other one, and its intent is on the disk before it is sent. What it
cost goes to the disk as well, and stays held in the store until SQL has it.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson
import structlog

from proxy.runtime import metrics, overall, scripts, spool
from proxy.runtime.config import GatewayConfig
from proxy.runtime.counters import CounterStore, StoreUnavailable
from proxy.runtime.grants import Grants
from proxy.runtime.journal import BooksUnavailable, Journal
from proxy.runtime.spool import Spool
from spend.wire import Intent, Posting
from teams.scopes import store_prefix

if TYPE_CHECKING:
    from proxy.runtime.held import Asking, Held

log = structlog.get_logger()
_BATCH = 256
_LOOK_SECONDS = 0.25
#: Looks between two at what others, gone since, may have left on this machine, and at what was refused.
_SELDOM = 120


class Spooling:
    def __init__(
        self,
        journal: Journal,
        store: CounterStore,
        grants: Grants,
        config: GatewayConfig,
        clock: Callable[[], datetime],
    ) -> None:
        self._journal, self._store, self._grants, self._clock = journal, store, grants, clock
        self._policy = policy = config.outage
        self._on = config.durability == "strict" and bool(policy.spool_folder)
        self._on = self._on and "spool" in (policy.budgets_without_database, policy.unbudgeted_without_database)
        self._folder = Path(policy.spool_folder)
        self._spool = Spool(self._folder, most_bytes=policy.spool_bytes)
        self._lease = timedelta(seconds=config.lease_seconds)
        self.window = timedelta(seconds=policy.spool_seconds)
        """How old what this worker knows of keys and policies may be: so long after the database went away."""

    def start(self) -> None:
        if self._on:
            self._spool.start()

    async def stop(self) -> None:
        """What is spooled stays on the disk for whoever comes next."""
        if self._on:
            await self._spool.stop()

    @property
    def is_open(self) -> bool:
        """Whether calls may begin without the database. Without the counter store as well, none may."""
        known_since = self._clock() - self._grants.as_of
        return self._on and self._store.available and self._spool.has_room and known_since <= self.window

    def take(self, asking: "Asking") -> None:
        """Spool a call. Raises BooksUnavailable for one that policy does not.

        Nor one under a budget of the platform, whose half of the hold could not stand for the intent.
        """
        policy, above = self._policy, asking.platform
        wish = policy.budgets_without_database if asking.plan.has_ceiling else policy.unbudgeted_without_database
        if wish != "spool" or not self.is_open or (above is not None and above.moment.lines):
            raise BooksUnavailable("the database is away", never=True)
        if not asking.spooled:
            # It is to be brought to SQL before anybody takes its worker for dead.
            asking.spooled, asking.lease = True, asking.lease + self.window
            if above is not None:
                above.lease = asking.lease

    async def keep(self, intent: Intent) -> None:
        """Raises BooksUnavailable."""
        await self._spool.keep_intent(intent)
        metrics.DEGRADED.labels("spool").inc()

    async def keep_postings(self, batch: Sequence[tuple["Held", Posting]]) -> bool:
        """Whether the disk has them, so that their calls need not be remembered.

        Each stays held with what it cost, also one that cost nothing: SQL, which may have its intent, decides.
        """
        if not self._on or not await self._spool.keep_postings([posting for _, posting in batch]):
            return False
        until = int((self._clock() + self._lease + self.window).timestamp() * 1000)
        over = [
            _settled_above(posting, posting.amount_nano or 0, held.platform.epoch)
            for held, posting in batch
            if held.platform is not None
        ]
        try:
            await self._store.scripts(scripts.SHRINK, [_shrunk(posting, until) for _, posting in batch])
            await self._store.scripts(scripts.SETTLE, over)
        except StoreUnavailable:
            log.warning("spooled calls stay held in full", calls=len(batch))
        return True

    async def follow(self) -> None:
        """Bring to SQL what was spooled, forever: at the start, and whenever the database is back."""
        look, was_away = 0, True
        while self._on:
            await asyncio.sleep(_LOOK_SECONDS)
            look += 1
            if not self._journal.available:
                was_away = True
            elif was_away or self._spool.is_open or look % _SELDOM == 0:
                was_away = not await self.bring()

    async def bring(self) -> bool:
        """Whether nothing is left that this worker could bring."""
        try:
            await self._spool.close()
            for path in await asyncio.to_thread(spool.waiting, self._folder):
                with spool.taken(path) as file:
                    if file is not None:
                        await self._bring_file(path, file)
        except (BooksUnavailable, OSError) as error:
            log.warning("the spool waits", error=str(error))
            return False
        return True

    async def _bring_file(self, path: Path, file: BinaryIO) -> None:
        """Postings first: an intent without one is of a call whose outcome nobody knows, and its lease may be over."""
        refused = 0
        for wanted, deed in (("posting", self._post), ("intent", self._adopt)):
            found = spool.lines(file)
            while batch := await asyncio.to_thread(_some, found, wanted):
                refused += await self._do(deed, batch)
        if refused:
            log.error("the database refuses a part of the spool, which is tried again", file=path.name, refused=refused)
        else:
            path.unlink()

    async def _do(self, deed: Callable[[list[Any]], Any], batch: list[Any]) -> int:
        """Returns how many the database refuses by themselves."""
        try:
            await deed(batch)
        except BooksUnavailable as error:
            if error.down or error.never:
                raise
            if len(batch) == 1:
                return 1
            return sum([await self._do(deed, [one]) for one in batch])
        return 0

    async def _adopt(self, intents: list[Intent]) -> None:
        await self._journal.ask("late_intents", intents)

    async def _post(self, postings: list[Posting]) -> None:
        costs: dict[str, int] = await self._journal.ask("postings", postings)
        done = [(posting, costs[hold]) for posting in postings if (hold := posting.intent.hold_id) in costs]
        due = [_settled(*one) for one in done] + [_settled_above(*one) for one in done]
        settle = partial(self._store.scripts, scripts.SETTLE, due)
        try:
            await settle()
        except StoreUnavailable:
            self._store.when_back(settle)


def _some(found: Iterator[spool.Line], wanted: str) -> list[Any]:
    return list(islice((value for kind, value in found if kind == wanted), _BATCH))


def _shrunk(posting: Posting, until: int) -> tuple[Any, ...]:
    """The shrink script's key and arguments; the record's intent names the cost in the place of the worst case.

    Until then (milliseconds) nobody takes its worker, which is to bring it to SQL, for dead.
    """
    intent, cost = posting.intent, posting.amount_nano or 0
    text = orjson.dumps({**_fields(intent), "amount_nano": cost}).decode()
    return (
        store_prefix(intent.owners.organization_id),
        intent.hold_id,
        intent.epoch,
        cost,
        posting.usage.total,
        text,
        until,
    )


def _fields(intent: Intent) -> dict[str, Any]:
    fields: dict[str, Any] = orjson.loads(orjson.dumps(intent))
    return fields


def _settled(posting: Posting, cost: int) -> tuple[Any, ...]:
    intent = posting.intent
    return store_prefix(intent.owners.organization_id), intent.hold_id, cost, posting.usage.total, intent.epoch, ""


def _settled_above(posting: Posting, cost: int, epoch: int = 0) -> tuple[Any, ...]:
    """The same on the platform's counters; without its epoch, rates there are left to the end of their lease."""
    return overall.PREFIX, posting.intent.hold_id, cost, posting.usage.total, epoch, ""
