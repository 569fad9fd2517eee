"""What Latchkey depends on stops, hangs, forgets or lies: nobody gets past a budget, no key is called bad."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.rig import judge
from tests.scenarios.rig.caller import Caller, Reply, milliseconds, percentile, statuses
from tests.scenarios.rig.house import CALL_NANO, House, usd
from tests.scenarios.rig.latchkey import LEASE_SECONDS, Rig
from tests.scenarios.rig.scale import scaled

pytestmark = pytest.mark.xdist_group("scenarios")

RATE, OUTAGE = scaled(20, 200), scaled(2.5, 30.0)
#: Seconds. The promise is 250 ms at p99; a shared machine gets more.
PROMPTLY = 1.5
#: Seconds. A database that hangs is waited for at first.
FIRST_WAIT, HANG = 3.2, scaled(5.5, 30.0)


@pytest.mark.parametrize("fault", ["stopped", "frozen"])
async def test_without_counters_callers_are_told_to_come_back_and_none_gets_past_a_budget(
    house: House, fault: str
) -> None:
    """S07"""
    key, tight = house.key(max_budget=usd(10**6)), house.key(max_budget=usd(8))
    async with house.caller() as caller:
        replies, during, recovery = await _outage(caller, key, *_switch(house.rig, "store", fault), other=tight)
        await caller.burst(20, lambda _: caller.call(tight))
    took = await judge.settled(house, LEASE_SECONDS + 30)
    print(
        f"S07 {fault}: {dict(statuses(replies))}, in the outage {milliseconds(r.seconds for r in during)}, "
        f"back to normal {recovery:.2f} s after it, idle after {took:.1f} s"
    )
    _refused_politely(during)
    assert percentile([reply.seconds for reply in during], 0.99) < PROMPTLY
    assert recovery < 5
    spent = house.rig.books.rollups()[house.scope_of_key(tight)][0]
    assert spent <= 8 * CALL_NANO, "the tight key got past its budget"
    judge.books_agree(house, replies)


async def test_counters_flushed_under_load_let_nobody_past_a_budget(house: House) -> None:
    """S07, the store comes back empty"""
    paid = scaled(60, 600)
    key = house.key(max_budget=usd(paid))
    async with house.caller() as caller:
        load = asyncio.create_task(caller.steady(RATE, 5, lambda i: caller.call(key, latency=0.2, stream=i % 2 == 0)))
        for _ in range(4):
            await asyncio.sleep(0.8)
            house.rig.books.store.flushall()
        replies = await load
        await judge.settled(house, LEASE_SECONDS + 30)
        rest = await caller.burst(2 * paid, lambda _: caller.call(key))
    await judge.settled(house)
    assert set(statuses(replies)) <= {200, 429, 503}
    assert set(statuses(rest)) <= {200, 429}
    assert house.ledger_nano == house.billed_nano == paid * CALL_NANO
    judge.books_agree(house, [*replies, *rest])


async def test_counters_that_come_back_older_than_they_were_let_nobody_past_a_budget(house: House) -> None:
    """S07, the store is replaced by an older copy of itself"""
    store = house.rig.store
    assert store is not None
    if not store.is_ours:
        pytest.skip("the counter store that is given is not ours to replace: SKIPPED")
    key = house.key(max_budget=usd(30))
    async with house.caller() as caller:
        assert statuses([await caller.call(key) for _ in range(10)]) == {200: 10}
        await judge.settled(house)
        older = store.copy()
        assert statuses([await caller.call(key) for _ in range(15)]) == {200: 15}
        await judge.settled(house)
        store.stop()
        store.start_from(older)
        replies = await caller.burst(40, lambda _: caller.call(key, latency=0.05))
        recovery = await _back_to_normal(caller, lambda _: caller.call(key))
    await judge.settled(house, LEASE_SECONDS + 30)
    print(f"older copy: at once {dict(statuses(replies))}, back to normal {recovery:.2f} s after it")
    assert set(statuses(replies)) <= {200, 429, 503}
    assert recovery < 5
    assert house.ledger_nano == 30 * CALL_NANO
    judge.books_agree(house, caller.replies)


@pytest.mark.parametrize("fault", ["stopped", "frozen"])
async def test_without_the_database_no_valid_key_is_called_bad_and_open_streams_finish(
    house: House, fault: str
) -> None:
    """S11"""
    key, unused = house.key(max_budget=usd(10**6)), house.key()
    async with house.caller() as streaming, house.caller() as caller:
        opened = asyncio.create_task(
            streaming.burst(10, lambda _: streaming.call(key, stream=True, chunks=25, pause=(HANG + 2) / 25))
        )
        await judge.until(lambda: len(house.bill) == 10, 20, "the streams are open")
        replies, during, recovery = await _outage(
            caller, key, *_switch(house.rig, "database", fault), other=unused, seconds=HANG
        )
        streams = await opened
    took = await judge.settled(house, LEASE_SECONDS + 30)
    print(
        f"S11 {fault}: {dict(statuses(replies))}, in the outage {milliseconds(r.seconds for r in during)}, "
        f"back to normal {recovery:.2f} s after it, idle after {took:.1f} s"
    )
    assert statuses(streams) == {200: 10} and all(reply.whole for reply in streams)
    _refused_politely(during)
    later = [reply.seconds for reply in during if reply.started > during[0].started + FIRST_WAIT]
    print(f"S11 {fault}: after the first wait {milliseconds(later)}")
    assert later and percentile(later, 0.99) < PROMPTLY
    assert recovery < 5
    judge.books_agree(house, [*replies, *streams])


async def test_without_counters_and_database_it_still_only_asks_to_come_back(house: House) -> None:
    """S07 and S11 at once"""
    key = house.key(max_budget=usd(10**6))
    store, database = _switch(house.rig, "store", "stopped"), _switch(house.rig, "database", "stopped")

    def break_both() -> None:
        store[0]()
        database[0]()

    def mend_both() -> None:
        database[1]()
        store[1]()

    async with house.caller() as caller:
        replies, during, recovery = await _outage(caller, key, break_both, mend_both)
    await judge.settled(house, LEASE_SECONDS + 30)
    print(f"both: {milliseconds(r.seconds for r in during)}, back to normal {recovery:.2f} s after it")
    _refused_politely(during)
    assert recovery < 5
    judge.books_agree(house, replies)


def _switch(rig: Rig, name: str, fault: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """How to break a dependency, and how to mend it."""
    dependency = rig.store if name == "store" else rig.database
    assert dependency is not None
    if fault == "stopped" and dependency.is_ours:
        return dependency.stop, dependency.start
    mode = "freeze" if fault == "frozen" else "refuse"
    return lambda: rig.faults.set(name, mode), lambda: rig.faults.set(name, "pass")


async def _outage(
    caller: Caller,
    key: str,
    break_it: Callable[[], None],
    mend_it: Callable[[], None],
    *,
    other: str = "",
    seconds: float = OUTAGE,
) -> tuple[list[Reply], list[Reply], float]:
    """Steady load over an outage; from its begin on, a fifth of the calls come with the `other` key. Returns all
    replies, those to calls made while it lasted, and how long after its end the last call was told to come back."""

    async def one(number: int) -> Reply:
        return await caller.call(other if other and number % 5 == 0 else key, latency=0.05, stream=number % 2 == 0)

    await caller.steady(RATE, 1.0, lambda _: caller.call(key, latency=0.05))
    begin = time.monotonic()
    break_it()
    broken = time.monotonic()
    during = await caller.steady(RATE, seconds, one)
    mend_it()
    print(f"broke within {broken - begin:.2f} s, mended within {time.monotonic() - begin - seconds:.2f} s")
    recovery = await _back_to_normal(caller, one)
    return caller.replies, during, recovery


async def _back_to_normal(caller: Caller, one: Callable[[int], Any]) -> float:
    """Steady load until a whole second went well on every worker. Returns when the last refused call was made."""
    begin = time.monotonic()
    late = 0.0
    while True:
        replies = await caller.steady(RATE, 1.0, one)
        refused = [reply for reply in replies if reply.status not in (200, 429)]
        if not refused:
            return late
        late = max(reply.started for reply in refused) - begin
        assert late < 30, f"it does not come back: {refused[-1]}"


def _refused_politely(replies: list[Reply]) -> None:
    """A broken dependency is ours: 503, try again, and never a word about the key or its budget."""
    assert set(statuses(replies)) == {503}
    assert {reply.kind for reply in replies} == {"service_unavailable"}
    assert [reply for reply in replies if not reply.retry_after] == []
