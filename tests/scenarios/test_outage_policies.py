"""The counter store or the database is away, and policy says that calls under a hard budget go on."""

import asyncio
import time

import pytest

from tests.scenarios.rig import judge
from tests.scenarios.rig.caller import Caller, complaints, statuses
from tests.scenarios.rig.house import CALL_NANO, House, usd
from tests.scenarios.rig.scale import SOAK, scaled

RATE, OUTAGE = scaled(25, 200), scaled(4.0, 30.0)
EXACT = {"LATCHKEY_BUDGETS_WITHOUT_STORE": "pg_exact", "LATCHKEY_TAKEOVER_MS": "300"}


def degraded(house: House) -> int:
    """Entries of calls that were admitted while something was away."""
    sql = "SELECT count(*) FROM spend_ledgerentry WHERE organization_id = {mark} AND degraded"
    return int(house.rig.books.query(sql, house.pk)[0][0])


def judged_in_sql(house: House) -> bool:
    sql = "SELECT count(*) FROM teams_organization WHERE id = {mark} AND sql_until IS NOT NULL"
    return bool(house.rig.books.query(sql, house.pk)[0][0])


@pytest.mark.parametrize("fault", ["freeze", *(["refuse"] if SOAK else [])])
async def test_sql_judges_for_workers_without_the_store_and_nobody_gets_past_a_budget(house: House, fault: str) -> None:
    """S07, pg_exact: one gateway loses the store, another one reaches it all the time."""
    rig, paid = house.rig, scaled(150, 1500)
    assert rig.store is not None
    _, far = rig.gateway_beside(2, **EXACT)
    _, near = rig.gateway_beside(1, **EXACT, REDIS_URL=rig.store.url)
    key = house.key(max_budget=usd(paid))
    async with house.caller() as caller:
        caller.ports = [far, near]
        async with caller.load(RATE, lambda i: caller.call(key, latency=0.2, stream=i % 2 == 0)) as replies:
            await judge.until(lambda: any(reply.ok for reply in replies), judge.PATIENCE, "calls are served")
            rig.faults.set("store", fault)
            await asyncio.sleep(OUTAGE)
            await judge.until(lambda: degraded(house) > RATE, judge.PATIENCE, "SQL judges calls")
            during = degraded(house)
            rig.faults.set("store", "pass")
            await judge.until(lambda: not judged_in_sql(house), judge.PATIENCE, "the store judges again")
        rest = await caller.burst(paid, lambda _: caller.call(key))
    took = await judge.settled(house, swept=True)
    print(f"S07 pg_exact {fault}: {dict(statuses(replies))}, {dict(complaints(replies))}, {during} judged by SQL")
    print(f"S07 pg_exact {fault}: then {dict(statuses(rest))}, idle after {took:.1f} s")
    assert set(statuses(replies)) <= {200, 429, 503}
    assert set(statuses(rest)) <= {200, 429}
    assert house.ledger_nano == house.billed_nano == paid * CALL_NANO
    judge.books_agree(house, [*replies, *rest])


async def test_sql_alone_admits_exactly_what_a_budget_pays_for(house: House) -> None:
    """S01 while nobody reaches the store"""
    rig, paid = house.rig, scaled(60, 300)
    _, port = rig.gateway_beside(scaled(3, 8), **EXACT)
    key, free = house.key(max_budget=usd(paid)), house.key()
    async with house.caller() as caller:
        caller.ports = [port]
        assert statuses(await caller.burst(4, lambda _: caller.call(key))) == {200: 4}
        rig.faults.set("store", "refuse")
        await _until_ok(caller, key)
        replies = await caller.burst(3 * paid, lambda i: caller.call(free if i % 10 == 0 else key, latency=0.2))
        rig.faults.set("store", "pass")
        await _until_the_store_judges(house, caller, key)
    await judge.settled(house, swept=True)
    print(f"S01 in SQL: {dict(statuses(replies))}, {dict(complaints(replies))}")
    assert set(statuses(replies)) == {200, 429}
    assert house.rig.books.rollups()[house.scope_of_key(key)][0] == paid * CALL_NANO
    judge.books_agree(house, caller.replies)


async def test_an_allowance_bounds_what_an_outage_costs_beyond_a_budget(house: House) -> None:
    """S07, allowance"""
    rig, workers, each = house.rig, 2, 5
    allowed = {"LATCHKEY_BUDGETS_WITHOUT_STORE": "allowance", "LATCHKEY_OUTAGE_ALLOWANCE_NANO": str(each * CALL_NANO)}
    _, port = rig.gateway_beside(workers, **allowed)
    key = house.key(max_budget=usd(3))
    async with house.caller() as caller:
        caller.ports = [port]
        assert statuses(await caller.burst(9, lambda _: caller.call(key))) == {200: 3, 429: 6}
        rig.faults.set("store", "refuse")
        replies = await caller.burst(60, lambda _: caller.call(key, latency=0.05))
        rig.faults.set("store", "pass")
    await judge.settled(house, swept=True)
    await judge.caught_up(house)
    print(f"S07 allowance: {dict(statuses(replies))}")
    assert set(statuses(replies)) == {200, 503}
    assert each <= degraded(house) <= each * workers
    assert house.ledger_nano == (3 + degraded(house)) * CALL_NANO
    judge.books_agree(house, caller.replies)


async def _until_ok(caller: Caller, key: str) -> None:
    begin = time.monotonic()
    while not (await caller.call(key)).ok:
        assert time.monotonic() - begin < judge.PATIENCE, "SQL does not take over"
        await asyncio.sleep(0.1)


async def _until_the_store_judges(house: House, caller: Caller, key: str) -> None:
    """Some seconds after the last call without the store, the next one hands the organization back to it."""
    begin = time.monotonic()
    while True:
        assert (await caller.call(key)).status == 429
        if not judged_in_sql(house):
            return
        assert time.monotonic() - begin < judge.PATIENCE, "the store does not judge again"
        await asyncio.sleep(0.1)
