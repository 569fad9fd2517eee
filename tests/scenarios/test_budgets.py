"""A budget is a ceiling for any number of callers, workers and gateways, on every link of the chain."""

import pytest

from tests.scenarios.rig import judge
from tests.scenarios.rig.caller import milliseconds, statuses
from tests.scenarios.rig.house import CALL_NANO, House, usd
from tests.scenarios.rig.latchkey import Rig
from tests.scenarios.rig.scale import seeds

pytestmark = pytest.mark.xdist_group("scenarios")


@pytest.mark.parametrize("seed", seeds())
async def test_a_thousand_callers_at_once_get_exactly_the_hundred_calls_they_paid_for(rig: Rig, seed: int) -> None:
    """S01"""
    house = House(rig, seed)
    key = house.key(max_budget=usd(100))
    async with house.caller() as caller:
        replies = await caller.burst(1000, lambda _: caller.call(key, latency=0.2))
    took = await judge.settled(house, 5)
    print(f"S01 seed {seed}: {milliseconds(r.seconds for r in replies)}, nothing held after {took:.2f} s")
    assert statuses(replies) == {200: 100, 429: 900}
    assert {reply.kind for reply in replies if reply.status == 429} == {"budget_exceeded"}
    assert len(house.bill) == 100
    assert house.ledger_nano == house.billed_nano == 100 * CALL_NANO
    judge.books_agree(house, replies)
