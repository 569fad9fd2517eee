"""What becomes of holds: kept while their calls run, settled with what they cost, or taken back."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from proxy.runtime import overall, posting, scripts
from proxy.runtime.counters import CounterStore, StoreUnavailable
from proxy.runtime.held import Held, Settled
from proxy.runtime.journal import BooksUnavailable, Journal
from proxy.runtime.local_rates import LocalRates
from proxy.runtime.plan import Line
from proxy.runtime.unsettled import Unsettled
from spend.wire import Intent

_MEMBERS = 1000


class Releases:
    def __init__(self, store: CounterStore, journal: Journal, workers: int, clock: Callable[[], datetime]) -> None:
        self._store, self._journal, self._clock = store, journal, clock
        self.rates = LocalRates(workers)
        self.unsettled = Unsettled()
        self.platform_asked = False
        """Whether a call of this worker was held on the platform's counters."""

    def began(self, held: Held) -> None:
        """It runs in this worker, which keeps count of parallel requests for a store that goes away."""
        if held.parallel:
            self.rates.began(held.intent.hold_id, held.parallel)

    def ended(self, held: Held) -> None:
        """Its answer is over, and its slots are free at once: the next call does not wait for the books. Repeatable."""
        if held.parallel:
            self.rates.ended(held.intent.hold_id, held.parallel)
            for _, _, slots in held.halves:
                for name in slots:
                    # What a store that is away misses here it is told when the hold is settled.
                    self._store.tell("ZREM", name, held.intent.hold_id)

    async def settle(self, due: Sequence[Settled]) -> list[Line]:
        """Release holds and book what they cost on the counters. Safe to repeat.

        Returns the lines whose soft budget is used up. Raises StoreUnavailable.
        """
        calls = [
            (held.prefix, held.intent.hold_id, cost_nano, tokens, held.intent.epoch, "")
            for held, cost_nano, tokens in due
        ]
        lines = [held.lines for held, _, _ in due]
        self.platform_asked = self.platform_asked or await overall.is_asked(self._store)
        if self.platform_asked:
            calls += overall.settlements(due)
            lines += [held.platform.lines if held.platform else () for held, _, _ in due]
        replies = await self._store.scripts(scripts.SETTLE, calls)
        return [line for of_call, reply in zip(lines, replies, strict=True) for line in _over_soft(of_call, reply[1:])]

    async def undo(self, held: Held) -> None:
        """Take back a hold that was never sent: it does not count, not as a request either."""
        for prefix, epoch, _ in held.halves:
            alone = held.intent if prefix == held.prefix and not held.intent.written else None
            undo = partial(self.take_back, prefix, held.intent.hold_id, epoch, alone)
            try:
                await undo()
            except StoreUnavailable:
                self._store.when_back(undo)

    async def take_back(self, prefix: str, hold_id: str, epoch: int, alone: Intent | None) -> None:
        """Take one half of a hold back.

        `alone` is the intent whose record is all there is of it: when its epoch ended, SQL may have been given it. Then
        SQL first, then the counters; while SQL is away both keep it, and the sweeper charges it in both.
        """
        undo = partial(self._store.script, scripts.SETTLE, prefix, hold_id, 0, 0, epoch)
        (reply,) = await undo("undo here" if alone else "undo")
        if alone and reply[0] in ("MOVED", "NOEPOCH"):
            with suppress(BooksUnavailable):
                await self._journal.ask("postings", [posting.nothing(alone, self._clock())])
                await undo("undo")

    async def renew(self, held: list[Held], until: datetime) -> None:
        """Keep holds and parallel slots of calls that are still running."""
        score, places = int(until.timestamp() * 1000), defaultdict[str, list[Any]](list)
        for item in held:
            for prefix, epoch, slots in item.halves:
                for name in (f"{prefix}:{epoch}:holds", *slots):
                    places[name] += [score, item.intent.hold_id]
        for name, scores in places.items():
            for first in range(0, len(scores), _MEMBERS):
                await self._store.command("ZADD", name, "XX", *scores[first : first + _MEMBERS])


def _over_soft(lines: tuple[Line, ...], spent: list[str]) -> list[Line]:
    known = zip(lines, spent, strict=False)
    return [line for line, now in known if line.soft_nano is not None and line.soft_nano <= int(now)]
