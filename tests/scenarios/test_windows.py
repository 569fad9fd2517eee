"""Budget windows that turn over under load: nobody resets anything, and each call counts in exactly one of them."""

import asyncio
import time
from collections import defaultdict
from datetime import UTC, datetime

import pytest

from tests.scenarios.rig import judge
from tests.scenarios.rig.books import window_of
from tests.scenarios.rig.caller import Reply, statuses
from tests.scenarios.rig.house import CALL_NANO, House, usd
from tests.scenarios.rig.latchkey import Rig
from tests.scenarios.rig.scale import scaled

pytestmark = pytest.mark.xdist_group("scenarios")

SECONDS = scaled(3, 20)


async def test_every_window_of_a_budget_under_load_serves_its_calls_exactly_and_at_once(either_rig: Rig) -> None:
    """S15, and S55 on the embedded engine

    Windows of seconds divide the day as days divide the month; the same function computes both.
    """
    rig, paid = either_rig, scaled(20, 400)
    house = House(rig, timezone="Asia/Kathmandu")
    key = house.key(max_budget=usd(paid), budget_duration=f"{SECONDS}s")
    offset = datetime.now(UTC).timestamp() - time.monotonic()
    await asyncio.sleep(SECONDS - (time.monotonic() + offset) % SECONDS)
    async with house.caller() as caller:
        one = lambda _: caller.call(key, latency=caller.dice.uniform(0, 1.5))  # noqa: E731
        replies = await caller.steady(3 * paid / SECONDS, 2.6 * SECONDS, one)
    await judge.settled(house)
    ledger = house.ledger
    windows: dict[str, list[str]] = defaultdict(list)
    for entry in ledger:
        ((name),) = [counter for counter in entry.counters if counter.startswith("key:")]
        _, start, end = window_of(name)
        assert start is not None and end is not None and start <= entry.admitted_at < end
        windows[name].append(entry.call)
    print(f"S15 {rig.engine}: {dict(statuses(replies))}, calls per window {[len(calls) for calls in windows.values()]}")
    assert len(windows) == 3
    assert max(len(calls) for calls in windows.values()) == paid
    assert sorted(call for calls in windows.values() for call in calls) == sorted(billed.call for billed in house.bill)
    _usable_at_once(replies, offset)
    assert house.ledger_nano == len(ledger) * CALL_NANO
    judge.books_agree(house, replies)


def _usable_at_once(replies: list[Reply], offset: float) -> None:
    """The first call of every window that was made within it got through soon after the boundary."""
    first: dict[int, float] = {}
    for reply in sorted((reply for reply in replies if reply.status == 200), key=lambda reply: reply.started):
        window, into = divmod(reply.started + offset, SECONDS)
        first.setdefault(int(window), into)
    print("S15: first served call of each window started", [f"{into:.2f} s" for into in first.values()])
    assert max(first.values()) < 2
