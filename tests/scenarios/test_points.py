"""A gateway that fails at a named step of a call, on PostgreSQL: killed there, or taken for dead and back again."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import pytest

from proxy.runtime.faults import POINTS
from tests.scenarios.rig import judge
from tests.scenarios.rig.caller import statuses
from tests.scenarios.rig.ceiling import ceiling
from tests.scenarios.rig.house import CALL_NANO, House, usd
from tests.scenarios.rig.scale import SOAK

pytestmark = pytest.mark.skipif(not SOAK, reason="every case waits for leases to end: SKIPPED, `make soak` runs them")


@pytest.mark.parametrize("point", POINTS)
async def test_a_worker_killed_at_a_step_leaves_books_that_close(house: House, point: str) -> None:
    """S05, at every step"""
    paid = 40
    key = house.key(max_budget=usd(paid))
    program, port = house.rig.gateway_beside(2, LATCHKEY_FAULT_AT=f"{point}:kill:3")
    workers = program.workers()
    async with house.caller() as caller, _met(house, point):
        replies = await caller.steady(
            10, 4, lambda i: caller.call(key, port=port, stream=i % 2 == 0, chunks=3, pause=0.05)
        )
        replies += await caller.burst(30, lambda _: caller.call(key))
    await judge.settled(house, swept=True)
    print(f"{point}: {dict(statuses(replies))}, {len(judge.orphans(house.ledger))} orphans")
    assert set(workers) - set(program.workers()), "nothing was killed"
    assert house.ledger_nano <= paid * CALL_NANO
    judge.books_agree(house, replies)


@pytest.mark.parametrize("point", POINTS)
async def test_a_worker_taken_for_dead_that_wakes_up_again_does_no_harm(house: House, point: str) -> None:
    """S05, the worker was only asleep"""
    paid = 20
    key = house.key(max_budget=usd(paid))
    program, port = house.rig.gateway_beside(1, LATCHKEY_FAULT_AT=f"{point}:hang:1")
    (sleeper,) = program.workers()
    async with house.caller() as asleep, house.caller() as caller, _met(house, point):
        stuck = asyncio.create_task(
            asleep.burst(8, lambda i: asleep.call(key, port=port, stream=i % 2 == 0, chunks=3, pause=0.05))
        )
        await judge.until(lambda: _is_stopped(sleeper), judge.PATIENCE, f"the worker stops at {point}")
        await judge.settled(house, swept=True)
        replies = await caller.burst(paid + 10, lambda _: caller.call(key))
        os.kill(sleeper, signal.SIGCONT)
        woken = await stuck
    await judge.settled(house, swept=True)
    print(
        f"{point}: {dict(statuses(woken))}, then {dict(statuses(replies))}, {len(judge.orphans(house.ledger))} orphans"
    )
    assert house.ledger_nano <= paid * CALL_NANO
    assert house.billed_nano <= paid * CALL_NANO
    judge.books_agree(house, [*replies, *woken])


@asynccontextmanager
async def _met(house: House, point: str) -> AsyncIterator[None]:
    """Only calls under a policy of the platform have a second half."""
    with ceiling(house.rig, 10**6) if point == "after_half" else nullcontext():
        yield


def _is_stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"
