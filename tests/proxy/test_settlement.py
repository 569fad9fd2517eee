"""What is remembered of calls whose counters cannot be settled."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.runtime.counters import StoreUnavailable
from proxy.runtime.settlement import Settlement
from spend.wire import Posting
from tests.proxy.test_spool import INTENT, NOW, POSTING


class Books:
    available = True

    async def ask(self, kind: str, postings: list[Posting]) -> dict[str, int]:
        return {posting.intent.hold_id: posting.amount_nano or 0 for posting in postings}


class Store:
    """Away, so that nothing is settled."""

    def __init__(self) -> None:
        self.later: list[Any] = []

    def when_back(self, action: Any) -> None:
        self.later.append(action)


class Releases:
    unsettled = SimpleNamespace(add=lambda key, nano: None)

    def ended(self, held: Any) -> None:
        """Nothing of it is counted here."""

    async def settle(self, due: Sequence[Any]) -> list[Any]:
        raise StoreUnavailable("away")


@pytest.mark.parametrize(
    ("written", "degraded", "remembered"),
    [(True, False, True), (False, False, True), (False, True, True), (True, True, False)],
    ids=["strict", "fast", "spooled", "let through without the store"],
)
async def test_only_what_the_store_never_held_is_not_told_to_it_when_it_is_back(
    written: bool, degraded: bool, remembered: bool
) -> None:
    store = Store()
    settlement = Settlement(Books(), store, Releases(), 60, lambda: NOW, SimpleNamespace())  # type: ignore[arg-type]
    intent = replace(INTENT, written=written, degraded=degraded)
    running = asyncio.create_task(settlement.run())
    settlement.post(SimpleNamespace(intent=intent), replace(POSTING, intent=intent))  # type: ignore[arg-type]
    await settlement.idle(5)
    running.cancel()
    assert len(store.later) == remembered
