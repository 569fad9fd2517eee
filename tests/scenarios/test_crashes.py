"""Workers that are killed, servers that are restarted, messages that come twice: the ledger stays the bill."""

import asyncio
import signal
from datetime import timedelta

import pytest

from tests.scenarios.rig import judge
from tests.scenarios.rig.caller import Caller, Reply, complaints, statuses
from tests.scenarios.rig.house import CALL_NANO, House, usd
from tests.scenarios.rig.latchkey import LEASE_SECONDS, Rig
from tests.scenarios.rig.scale import scaled, seeds

#: Before anybody takes a hold that a server left behind for an orphan.
POSTED_WITHIN = LEASE_SECONDS / 2


@pytest.mark.parametrize("seed", seeds())
async def test_workers_killed_at_random_instants_lose_no_billed_call(either_rig: Rig, seed: int) -> None:
    """S05, and S55 on the embedded engine"""
    rig, kills, rate, paid = either_rig, scaled(3, 50), scaled(25, 100), scaled(100, 3000)
    house = House(rig, seed)
    key = house.key(max_budget=usd(paid))
    async with house.caller() as caller, caller.load(rate, lambda i: _mixed(caller, key)) as replies:
        for _ in range(kills):
            await asyncio.sleep(house.dice.uniform(0.3, 2.5))
            alive = rig.worker_pids()
            if alive:
                rig.kill(house.dice.choice(alive))
        await asyncio.sleep(1)
    took = await judge.settled(house, swept=True)
    ledger = house.ledger
    orphans = judge.orphans(ledger)
    late = max((entry.posted_at - entry.lease_until for entry in orphans), default=timedelta())
    print(f"S05 {rig.engine} seed {seed}: {dict(statuses(replies))}, {len(orphans)} orphans, idle after {took:.1f} s")
    print(f"S05 {rig.engine}: {dict(complaints(replies))}")
    assert house.ledger_nano <= paid * CALL_NANO
    assert late < timedelta(seconds=30)
    assert [entry for entry in orphans if entry.amount > entry.held] == []
    assert {reply.status for reply in replies} <= {0, 200, 429, 503}
    judge.books_agree(house, replies)


async def test_a_rolling_restart_drops_no_stream_and_answers_no_call_with_an_error(rig: Rig) -> None:
    """S58"""
    streams, rounds = scaled(15, 200), scaled(1, 10)
    house = House(rig)
    key = house.key(max_budget=usd(10**6))
    for _ in range(rounds):
        for index in reversed(range(len(rig.ports))):
            await _restart_under_streams(house, key, index, streams)
    await judge.settled(house)
    judge.books_agree(house)


async def test_postings_settlements_and_tasks_that_come_again_change_nothing(either_rig: Rig) -> None:
    """S13, and S55 on the embedded engine"""
    rig = either_rig
    house = House(rig)
    key = house.key(max_budget=usd(60), max_parallel_requests=100)
    async with house.caller() as caller:
        replies = await caller.burst(80, lambda i: caller.call(key, stream=i % 2 == 0, latency=0.05))
    await judge.settled(house)
    ledger, rollups = house.ledger, rig.books.rollups()
    assert len(ledger) == 60
    rig.run_beside(*(["worker", "--no-beat"] if rig.engine == "embedded" else ["worker"]))  # with a second beat
    tasks = ["proxy.tasks.sweep_orphans", "keys.tasks.note_expired_keys", "spend.tasks.seed_prices"]
    for again in range(3):
        rig.operator.ask("send_tasks", names=tasks, times=3)
        rig.operator.ask("post_again", organization=house.pk, seed=again)
        settled = rig.operator.ask("settle_again", organization=house.pk, seed=again)
        assert settled["answers"] == ["GONE"], "every settlement was known already"
        rig.operator.ask("sweep_now", times=3)
    await asyncio.sleep(scaled(3, 30))
    assert house.ledger == ledger
    assert {scope: rollups[scope] for scope in ledger[0].scopes} == {
        scope: rig.books.rollups()[scope] for scope in ledger[0].scopes
    }
    judge.books_agree(house, replies)


async def _mixed(caller: Caller, key: str) -> Reply:
    """Half of the calls stream; most take a moment."""
    dice = caller.dice
    if dice.random() < 0.5:
        return await caller.call(key, stream=True, chunks=dice.randrange(1, 8), pause=dice.uniform(0, 0.15))
    return await caller.call(key, latency=dice.uniform(0, 0.6))


async def _calls_to(house: House, ports: list[int], key: str, until_done: "asyncio.Task[list[Reply]]") -> list[Reply]:
    """Calls to the servers that stay, one after the other, as long as the streams last."""
    async with house.caller() as caller:
        caller.ports = ports
        while not until_done.done():
            await caller.call(key)
        return caller.replies


async def _restart_under_streams(house: House, key: str, index: int, streams: int) -> None:
    """Stop one server while it serves streams and others serve calls, and start it again."""
    rig, before = house.rig, len(house.bill)
    here, others = rig.ports[index], [port for port in rig.ports if port != rig.ports[index]]
    async with house.caller() as caller:
        opened = asyncio.create_task(
            caller.burst(streams, lambda _: caller.call(key, stream=True, chunks=15, pause=0.2, port=here))
        )
        await judge.until(lambda: len(house.bill) == before + streams, judge.PATIENCE, "every stream is open")
        elsewhere = asyncio.create_task(_calls_to(house, others, key, opened))
        rig.servers[index].signal(signal.SIGTERM)
        replies, kept = await opened, await elsewhere
    assert await asyncio.to_thread(rig.servers[index].ended) == 0
    assert [reply for reply in replies if not reply.ok] == []
    assert [reply for reply in kept if not reply.ok] == []
    judge.nobody_got_a_foreign_answer([*replies, *kept])
    # The other servers post their last calls a moment after answering them; what this one left behind would stay.
    await judge.until(lambda: rig.books.pending(house.pk) == 0, POSTED_WITHIN, "it posts everything before it ends")
    rig.servers[index].start()
    await asyncio.to_thread(rig.await_alive, index)
