"""What Latchkey depends on stops, hangs, forgets or lies: nobody gets past a budget, no key is called bad."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from tests.scenarios.rig import judge
from tests.scenarios.rig.caller import Caller, Reply, milliseconds, percentile, statuses
from tests.scenarios.rig.house import CALL_NANO, House, usd
from tests.scenarios.rig.latchkey import Rig
from tests.scenarios.rig.pace import Pace
from tests.scenarios.rig.postgres import set_read_only
from tests.scenarios.rig.scale import scaled

RATE, OUTAGE = scaled(20, 200), scaled(2.5, 30.0)
#: Seconds. The promise is 250 ms at p99, which `make bench` judges; whoever waits for what is away waits for three.
PROMPTLY = 1.5
#: Seconds until everything is as before.
BACK = 5
#: Seconds. A database that hangs is waited for at first.
FIRST_WAIT = 3.2


@dataclass(frozen=True)
class Outage:
    """Calls that began while it lasted, judged by seconds of this machine as it was meanwhile."""

    replies: list[Reply]
    known_at: float
    """When every worker has to know of it."""
    recovery: float
    """Seconds from its end to the last call that was told to come back."""
    pace: Pace

    def is_met_promptly(self) -> bool:
        """Nobody waited for what is known to be away."""
        waits = [reply.seconds for reply in self.replies if reply.started > self.known_at]
        return bool(waits) and percentile(waits, 0.99) < self.pace.allows(PROMPTLY)

    def is_forgotten_soon(self) -> bool:
        return self.recovery < self.pace.allows(BACK)


@pytest.mark.parametrize("fault", ["stopped", "frozen"])
async def test_without_counters_callers_are_told_to_come_back_and_none_gets_past_a_budget(
    house: House, fault: str
) -> None:
    """S07"""
    key, tight = house.key(max_budget=usd(10**6)), house.key(max_budget=usd(8))
    async with house.caller() as caller:
        outage = await _outage(house, caller, key, *_switch(house.rig, "store", fault), other=tight)
        await caller.burst(20, lambda _: caller.call(tight))
    await judge.settled(house, swept=True)
    print(f"S07 {fault}: {dict(statuses(caller.replies))}, {_figures(outage)}")
    _refused_politely(outage.replies)
    assert outage.is_met_promptly()
    assert outage.is_forgotten_soon()
    spent = house.rig.books.rollups()[house.scope_of_key(tight)][0]
    assert spent <= 8 * CALL_NANO, "the tight key got past its budget"
    judge.books_agree(house, caller.replies)


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
        await judge.settled(house, swept=True)
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
        async with house.pace() as pace:
            recovery = await _back_to_normal(caller, lambda _: caller.call(key))
    await judge.settled(house, swept=True)
    print(f"older copy: at once {dict(statuses(replies))}, back to normal {recovery:.2f} s after it")
    assert set(statuses(replies)) <= {200, 429, 503}
    assert recovery < pace.allows(BACK)
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
            streaming.burst(10, lambda _: streaming.call(key, stream=True, chunks=25, pause=scaled(7.5, 32.0) / 25))
        )
        await judge.until(lambda: len(house.bill) == 10, judge.PATIENCE, "the streams are open")
        switch = _switch(house.rig, "database", fault)
        outage = await _outage(house, caller, key, *switch, other=unused, first_wait=FIRST_WAIT)
        streams = await opened
    await judge.settled(house, swept=True)
    print(f"S11 {fault}: {dict(statuses(caller.replies))}, {_figures(outage)}")
    assert statuses(streams) == {200: 10} and all(reply.whole for reply in streams)
    _refused_politely(outage.replies)
    assert outage.is_met_promptly()
    assert outage.is_forgotten_soon()
    judge.books_agree(house, [*caller.replies, *streams])


async def test_a_database_that_takes_no_writes_is_away_and_uses_up_no_budget(house: House) -> None:
    """Nobody is told that a budget is spent by calls that were refused."""
    key, tight = house.key(max_budget=usd(10**6)), house.key(max_budget=usd(2))
    async with house.caller() as caller:
        outage = await _outage(house, caller, key, *_switch(house.rig, "database", "read-only"), other=tight)
    await judge.settled(house, swept=True)
    print(f"read-only: {_figures(outage)}")
    _refused_politely(outage.replies)
    assert outage.is_forgotten_soon()
    assert house.rig.books.rollups()[house.scope_of_key(tight)][0] == 2 * CALL_NANO
    judge.books_agree(house, caller.replies)


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
        outage = await _outage(house, caller, key, break_both, mend_both)
    await judge.settled(house, swept=True)
    print(f"both: {_figures(outage)}")
    _refused_politely(outage.replies)
    assert outage.is_forgotten_soon()
    judge.books_agree(house, caller.replies)


def _switch(rig: Rig, name: str, fault: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """How to break a dependency, and how to mend it."""
    dependency = rig.store if name == "store" else rig.database
    assert dependency is not None
    if fault == "read-only":
        return partial(_set_read_only, rig, True), partial(_set_read_only, rig, False)
    if fault == "stopped" and dependency.is_ours:
        return dependency.stop, dependency.start
    mode = "freeze" if fault == "frozen" else "refuse"
    return lambda: rig.faults.set(name, mode), lambda: rig.faults.set(name, "pass")


def _set_read_only(rig: Rig, on: bool) -> None:
    assert rig.database is not None
    set_read_only(rig.database.url, on)
    rig.faults.set("database", "cut")


async def test_the_management_api_is_back_as_soon_as_the_database_is(house: House) -> None:
    """However long that was away: who waits longer after every attempt would be away for as long again."""

    async def status() -> int:
        return (await asyncio.to_thread(house.rig.http.get, "/key/list")).status_code

    async with house.pace() as pace:
        house.rig.faults.set("database", "refuse")
        try:
            end = time.monotonic() + 8
            while time.monotonic() < end:
                assert await status() == 503
        finally:
            house.rig.faults.set("database", "pass")
        back = time.monotonic()
        while await status() != 200:
            assert time.monotonic() - back < pace.allows(BACK)


async def test_no_request_is_refused_as_everything_in_the_pools_was_cut(house: House) -> None:
    """A database that restarts while nobody asks it: what lies in each worker's pool is broken, all of it."""

    def status(_: int) -> int:
        url = f"{house.rig.http.base_url}/key/list"
        return httpx.get(url, headers=house.rig.http.headers, timeout=30).status_code

    async def at_once(count: int) -> set[int]:
        return set(await asyncio.gather(*(asyncio.to_thread(status, number) for number in range(count))))

    assert await at_once(48) == {200}
    house.rig.faults.set("database", "cut")
    assert {await asyncio.to_thread(status, number) for number in range(12)} == {200}


async def _outage(
    house: House,
    caller: Caller,
    key: str,
    break_it: Callable[[], None],
    mend_it: Callable[[], None],
    *,
    other: str = "",
    first_wait: float = 0.0,
) -> Outage:
    """Steady load over an outage; from its begin on, a fifth of the calls come with the `other` key."""

    async def one(number: int) -> Reply:
        return await caller.call(other if other and number % 5 == 0 else key, latency=0.05, stream=number % 2 == 0)

    await caller.steady(RATE, 1.0, lambda _: caller.call(key, latency=0.05))
    async with house.pace() as pace:
        break_it()
        begin = time.monotonic()
        async with caller.load(RATE, one) as during:
            await asyncio.sleep(OUTAGE)
            if first_wait:
                await asyncio.sleep(first_wait)
                known = lambda: time.monotonic() > begin + pace.allows(first_wait) + 1  # noqa: E731
                await judge.until(known, judge.PATIENCE, "every worker knows of the outage")
        known_at = begin + pace.allows(first_wait) if first_wait else begin
        mend_it()
        return Outage(during, known_at, await _back_to_normal(caller, one), pace)


def _figures(outage: Outage) -> str:
    waits = (reply.seconds for reply in outage.replies)
    later = (reply.seconds for reply in outage.replies if reply.started > outage.known_at)
    return (
        f"in the outage {milliseconds(waits)}, once it was known {milliseconds(later)}, "
        f"back to normal {outage.recovery:.2f} s after it, the machine's own lateness {outage.pace.late:.3f} s"
    )


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
        assert late < judge.PATIENCE, f"it does not come back: {refused[-1]}"


def _refused_politely(replies: list[Reply]) -> None:
    """A broken dependency is ours: 503, try again, and never a word about the key or its budget."""
    assert set(statuses(replies)) == {503}
    assert {reply.kind for reply in replies} == {"service_unavailable"}
    assert [reply for reply in replies if not reply.retry_after] == []
