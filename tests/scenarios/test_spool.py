"""The database is away, and policy says that calls go on: what they cost is in the ledger afterwards, all of it."""

import asyncio
import time

import httpx
import pytest

from tests.scenarios.rig import judge
from tests.scenarios.rig.caller import Caller, Reply, complaints, statuses
from tests.scenarios.rig.house import CALL_NANO, House, usd
from tests.scenarios.rig.scale import SOAK, scaled

RATE, OUTAGE = scaled(25, 200), scaled(4.0, 30.0)
#: Seconds after which every worker has heard of a change.
NEWS = 1.0
SPOOLED = {"LATCHKEY_BUDGETS_WITHOUT_DATABASE": "spool", "LATCHKEY_SPOOL_SECONDS": str(scaled(12, 60))}


@pytest.mark.parametrize("fault", ["refuse", *(["freeze"] if SOAK else [])])
async def test_calls_without_the_database_are_in_the_ledger_afterwards_even_of_a_worker_that_was_killed(
    house: House, fault: str
) -> None:
    """S11 and S05, spool: kill -9 while intents and costs are on the disk alone."""
    rig, paid = house.rig, scaled(110, 5000)
    program, port = rig.gateway_beside(2, **SPOOLED)
    keys = [house.key(max_budget=usd(paid)), house.key()]
    stranger = house.key()
    async with house.caller() as caller:
        caller.ports = [port]
        await _known_to_every_worker(caller, keys)
        rig.faults.set("database", fault)
        await asyncio.sleep(scaled(1, 4))
        async with caller.load(RATE, lambda i: caller.call(keys[i % 2], latency=0.3, stream=i % 4 == 0)) as during:
            await asyncio.sleep(OUTAGE / 2)
            refused = await caller.call(stranger)
            assert readiness(port) == (200, "degraded")
            killed, *_ = program.workers()
            rig.kill(killed)
            await asyncio.sleep(OUTAGE / 2)
            enough = lambda: sum(reply.ok for reply in during) > RATE * OUTAGE / 3  # noqa: E731
            await judge.until(enough, judge.PATIENCE, "calls are served")
        rig.faults.set("database", "pass")
        await _back(caller, keys)
        rest = await caller.burst(paid, lambda _: caller.call(keys[0]))
    took = await judge.settled(house, swept=True)
    print(f"spool {fault}: {dict(statuses(during))}, {dict(complaints(during))}, idle after {took:.1f} s")
    print(f"spool {fault}: {len(judge.orphans(house.ledger))} orphans, then {dict(statuses(rest))}")
    assert refused.status == 503
    assert set(statuses(during)) <= {0, 200, 503}
    assert house.rig.books.rollups()[house.scope_of_key(keys[0])][0] <= paid * CALL_NANO
    judge.books_agree(house, caller.replies)


def readiness(port: int) -> tuple[int, str]:
    answer = httpx.get(f"http://127.0.0.1:{port}/health/readiness")
    return answer.status_code, answer.json()["status"]


async def _known_to_every_worker(caller: Caller, keys: list[str]) -> None:
    """Workers hear of new keys a moment after they can be called, and then read them once more."""
    await asyncio.sleep(NEWS)
    for key in keys:
        replies = await caller.burst(15, lambda _: caller.call(key))  # noqa: B023 (awaited within the turn)
        assert set(statuses(replies)) == {200}


async def _back(caller: Caller, keys: list[str]) -> list[Reply]:
    """Until a burst went well."""
    begin = time.monotonic()
    while True:
        replies = await caller.burst(10, lambda i: caller.call(keys[i % 2]))
        if set(statuses(replies)) <= {200, 429}:
            return replies
        assert time.monotonic() - begin < judge.PATIENCE, "it does not come back"
        await asyncio.sleep(0.5)
