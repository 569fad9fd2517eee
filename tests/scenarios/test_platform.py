"""A ceiling over all organizations is one for any number of callers, workers, organizations, crashes and losses."""

import asyncio
from collections import Counter

import pytest

from teams.scopes import PLATFORM, store_prefix
from tests.scenarios.rig import judge
from tests.scenarios.rig.caller import Reply, complaints, statuses
from tests.scenarios.rig.ceiling import ceiling, settled_for_all
from tests.scenarios.rig.house import CALL_NANO, House, usd
from tests.scenarios.rig.latchkey import MASTER, Rig
from tests.scenarios.rig.scale import scaled


async def test_a_thousand_callers_of_two_organizations_get_exactly_what_the_platform_affords(either_rig: Rig) -> None:
    """S01 to S03 for the platform, and S55 on the embedded engine: many keys and teams, plain and streamed"""
    paid, count, keys = scaled(60, 500), scaled(300, 5000), scaled(6, 100)
    houses = _two(either_rig)
    owners = [(house, house.team()) for house in houses for _ in range(3)]
    secrets = [owners[i % len(owners)][0].key(team_id=owners[i % len(owners)][1]) for i in range(keys)]
    with ceiling(either_rig, paid):
        async with houses[0].caller() as caller:
            asked = [(caller.dice.choice(secrets), caller.dice.random() < 0.5) for _ in range(count)]
            replies = await caller.burst(count, lambda i: caller.call(asked[i][0], stream=asked[i][1], latency=0.1))
        for house in houses:
            await judge.settled(house)
        await settled_for_all(either_rig)
    _exactly(houses, replies, paid)


async def test_the_ceiling_binds_the_master_key_too(rig: Rig) -> None:
    house = House(rig)
    with ceiling(rig, 3):
        async with house.caller() as caller:
            replies = [await caller.call(MASTER) for _ in range(5)]
        await settled_for_all(rig)
    assert [reply.status for reply in replies] == [200] * 3 + [429] * 2
    assert replies[-1].kind == "budget_exceeded"


@pytest.mark.parametrize("lost", ["platform", "everything"])
async def test_counters_that_are_lost_under_load_leave_the_ceiling_exact(rig: Rig, lost: str) -> None:
    """S07, where the store loses what it knew"""
    paid, houses = scaled(80, 400), _two(rig)
    secrets = [house.key() for house in houses]
    with ceiling(rig, paid):
        async with houses[0].caller() as caller:
            load = asyncio.create_task(
                caller.steady(scaled(40, 150), 4, lambda i: caller.call(secrets[i % 2], latency=0.3))
            )
            for _ in range(3):
                await asyncio.sleep(1)
                names = f"{store_prefix(PLATFORM)}:*" if lost == "platform" else "*"
                for key in list(rig.books.store.scan_iter(names, count=1000)):
                    rig.books.store.delete(key)
            replies = await load
            replies += await caller.burst(paid, lambda i: caller.call(secrets[i % 2]))
        for house in houses:
            await judge.settled(house, swept=True)
        await settled_for_all(rig)
    assert sum(house.ledger_nano for house in houses) == paid * CALL_NANO, complaints(replies)
    assert houses[0].billed_nano == paid * CALL_NANO
    assert {reply.status for reply in replies} <= {200, 429, 503}


async def test_workers_killed_at_random_instants_leave_the_ceiling_exact(either_rig: Rig) -> None:
    """S05 for the platform"""
    rig, kills, paid = either_rig, scaled(2, 20), scaled(60, 1000)
    houses = _two(rig)
    secrets = [house.key(max_budget=usd(10**6)) for house in houses]
    with ceiling(rig, paid):
        async with houses[0].caller() as caller:
            one = lambda i: caller.call(secrets[i % 2], latency=0.2)  # noqa: E731
            async with caller.load(scaled(25, 100), one) as replies:
                for _ in range(kills):
                    await asyncio.sleep(houses[0].dice.uniform(0.3, 2))
                    if alive := rig.worker_pids():
                        rig.kill(houses[0].dice.choice(alive))
                await asyncio.sleep(1)
            replies += await caller.burst(2 * paid, lambda i: caller.call(secrets[i % 2]))
        for house in houses:
            await judge.settled(house, swept=True)
        await settled_for_all(rig)
    assert sum(house.ledger_nano for house in houses) <= paid * CALL_NANO
    ledger = [entry for house in houses for entry in house.ledger]
    judge.every_billed_call_is_in_the_ledger_once(houses[0].bill, ledger)
    assert {reply.status for reply in replies} <= {0, 200, 429, 503}


def _two(rig: Rig) -> list[House]:
    """The callers of both are the first one's, so it is billed for all of them."""
    return [House(rig, seed) for seed in (1, 2)]


def _exactly(houses: list[House], replies: list[Reply], paid: int) -> None:
    assert statuses(replies) == Counter({200: paid, 429: len(replies) - paid}), complaints(replies)
    assert {reply.kind for reply in replies if reply.status == 429} == {"budget_exceeded"}
    assert sum(house.ledger_nano for house in houses) == paid * CALL_NANO
    assert houses[0].billed_nano == paid * CALL_NANO
    for house in houses:
        judge.counters_are_the_ledger(house, house.ledger)
