"""Reading counters that the store does not have from the ledger: missing means unknown, never zero."""

import asyncio
from collections.abc import Sequence

import orjson

from proxy.runtime import ids, scripts
from proxy.runtime.counters import CounterStore
from proxy.runtime.epochs import Epochs, Once
from proxy.runtime.journal import Journal
from proxy.runtime.plan import Line
from spend.wire import CounterLoad
from teams.scopes import PLATFORM, store_prefix

_AT_ONCE = 64
"""Counters of one batch: however many there are to read, intents get their turn in between."""


class Loads:
    """`organization` is a primary key, or `PLATFORM`."""

    def __init__(self, store: CounterStore, journal: Journal, epochs: Epochs, *, durability: str) -> None:
        self._store, self._journal, self._epochs, self._durability = store, journal, epochs, durability
        self._once, self._turns = Once(), asyncio.Semaphore(_AT_ONCE)

    async def load_all(self, organization: int, epoch: int, lines: Sequence[Line]) -> None:
        """Side by side: one after the other, each would wait for a batch of its own."""
        await asyncio.gather(*(self._load_once(organization, epoch, line) for line in lines))

    async def _load_once(self, organization: int, epoch: int, line: Line) -> None:
        await self._once.run((organization, epoch, line.counter), lambda: self._load(organization, epoch, line))

    async def _load(self, organization: int, epoch: int, line: Line) -> None:
        if organization == PLATFORM and self._durability == "fast":
            await self._once.run(("everybody", epoch), lambda: self._epochs.carry_everybody(epoch))
        async with self._turns:
            known: CounterLoad = await self._journal.ask("counters", line.ref)
        question = {
            "e": epoch,
            "c": line.counter,
            "g": ids.load_name(),
            "s": [[_suffix(line, number), spent] for number, spent in known.spent],
            "h": [
                [hold_id, amount, int(lease * 1000), _suffix(line, number)]
                for hold_id, amount, lease, number in known.pending
            ],
        }
        await self._store.script(scripts.LOAD, store_prefix(organization), orjson.dumps(question))


def _suffix(line: Line, number: int) -> str:
    return f":{number}" if line.slices else ""
