"""Streams: callers that go away, providers that are vague about usage, delays, and who gets whose answer."""

import asyncio
import time
from bisect import bisect

import pytest

from tests.scenarios.rig import judge
from tests.scenarios.rig.books import Entry
from tests.scenarios.rig.caller import Caller, Reply, milliseconds, percentile, statuses
from tests.scenarios.rig.house import House, usd
from tests.scenarios.rig.scale import scaled, seeds


async def test_a_stream_whose_caller_goes_away_is_charged_as_it_was_billed(house: House) -> None:
    """S25"""
    count = scaled(60, 500)
    key = house.key(max_budget=usd(10**6))
    async with house.caller() as caller:
        replies = await caller.burst(
            count,
            lambda _: caller.call(
                key, model="books", stream=True, chunks=10, pause=0.05, completion=20,
                leave_after=caller.dice.randrange(0, 10),
            ),
        )  # fmt: skip
    took = await judge.settled(house)
    ledger, bill = house.ledger, house.bill
    print(
        f"S25: {sum(reply.left for reply in replies)} of {count} went away, idle after {took:.1f} s, {_sources(ledger)}"
    )
    assert len(bill) == len(ledger) == count
    assert [entry for entry in ledger if entry.amount == 0] == []
    assert abs(house.ledger_nano - house.billed_nano) <= house.billed_nano * 0.02
    judge.books_agree(house, replies)


@pytest.mark.parametrize("seed", seeds())
async def test_callers_that_give_up_never_get_or_cause_somebody_elses_answer(house: House, seed: int) -> None:
    """Cancelled requests: every answer and every chunk carries the nonce of its own caller"""
    key = house.key(max_budget=usd(10**6), rpm_limit=10**6)
    async with house.caller() as caller:
        replies = await caller.steady(scaled(40, 150), scaled(4, 120), lambda _: _impatient(caller, key))
        rest = await caller.burst(50, lambda _: caller.call(key))
    await judge.settled(house)
    left = sum(reply.left for reply in replies)
    print(f"cancelled: {left} of {len(replies)} gave up, {dict(statuses(replies))}")
    assert left > len(replies) / 5
    assert statuses(rest) == {200: 50}
    assert [reply for reply in replies if not reply.left and not reply.ok] == []
    judge.books_agree(house, [*replies, *rest])


#: usage the provider reports -> how the ledger must have come by it
_USAGE = {
    "end": "upstream",
    "middle": "upstream",
    "cumulative": "upstream",
    "twice": "upstream",
    "late": "upstream",
    "null": "estimated_partial",
    "absent": "estimated_partial",
}


@pytest.mark.parametrize("kind", _USAGE)
async def test_usage_is_counted_once_however_a_provider_reports_it(house: House, kind: str) -> None:
    """S26"""
    key = house.key(max_budget=usd(10**6))
    async with house.caller() as caller:
        replies = await caller.burst(
            6,
            lambda i: caller.call(
                key, model="books", stream=True, chunks=5, usage=kind, prompt=11, completion=15, pause=0.01,
                more={"stream_options": {"include_usage": True}} if i % 2 else None,
            ),
        )  # fmt: skip
        whole = ["end", "null", "absent"]
        plain = [await caller.call(key, model="books", usage=kind, prompt=11, completion=15)] if kind in whole else []
    await judge.settled(house)
    assert all(reply.ok and reply.chunks == 5 for reply in replies)
    ledger = house.ledger
    assert {entry.source for entry in ledger} == {_USAGE[kind]}
    assert [entry for entry in ledger if entry.amount == 0 or entry.amount > entry.held] == []
    judge.books_agree(house, [*replies, *plain])


async def test_streams_are_not_buffered_on_their_way(house: House) -> None:
    """S28"""
    streams, chunks, pause = scaled(40, 300), scaled(40, 150), 0.05
    key = house.key(max_budget=usd(10**6))
    async with house.caller() as caller:
        replies = await caller.burst(
            streams, lambda _: caller.call(key, stream=True, chunks=chunks, pause=pause, max_tokens=chunks)
        )
    delays = [delay for reply in replies for delay in reply.delays]
    first = [reply.first - reply.started - pause for reply in replies]
    behind = [_behind(reply) for reply in replies]
    print(f"S28: {streams} streams, per chunk {milliseconds(delays)}; first byte {milliseconds(first)}")
    print(f"S28: at most {max(behind)} chunks on their way, typically {percentile(behind, 0.5)}")
    assert all(reply.ok and reply.chunks == chunks for reply in replies)
    # A gateway that collects the stream has all of it on its way when the first chunk arrives.
    assert percentile(behind, 0.5) < chunks / 4
    assert max(behind) < chunks * 0.75
    assert {reply.headers.get("content-encoding") for reply in replies} == {None}
    await judge.settled(house)
    judge.books_agree(house, replies)


def _behind(reply: Reply) -> int:
    """The most chunks that the provider had sent and the caller did not have, when one arrived."""
    arrived = [sent + delay for sent, delay in zip(reply.sent, reply.delays, strict=True)]
    return max(bisect(reply.sent, at) - number for number, at in enumerate(arrived, start=1))


async def test_open_streams_of_a_revoked_key_are_cut_within_a_second(house: House) -> None:
    """S30"""
    streams = scaled(20, 50)
    key, other = house.key(max_budget=usd(10**6)), house.key(max_budget=usd(10**6))
    async with house.caller() as caller, house.caller() as bystander, house.pace() as pace:
        cut = asyncio.create_task(_long_streams(caller, key, streams, chunks=150))
        kept = asyncio.create_task(_long_streams(bystander, other, 5, chunks=40))
        flowing = lambda: len(caller.replies) == streams and all(reply.chunks for reply in caller.replies)  # noqa: E731
        await judge.until(flowing, judge.PATIENCE, "the streams flow")
        await asyncio.to_thread(house.rig.manage, "POST", "/key/block", json={"key": key})
        revoked = time.monotonic()
        replies, untouched = await cut, await kept
    await judge.settled(house)
    print(f"S30: {milliseconds(reply.ended - revoked for reply in replies)} after the answer, {_sources(house.ledger)}")
    assert all(reply.ok for reply in untouched)
    assert {reply.status for reply in replies} == {200}
    assert [reply for reply in replies if not reply.kind] == [], "every cut stream ends with an error event"
    assert max(reply.ended - revoked for reply in replies) < pace.allows(1)
    ledger = house.ledger
    assert len(ledger) == streams + 5
    assert [entry for entry in ledger if entry.amount == 0] == []
    judge.nobody_got_a_foreign_answer([*replies, *untouched])
    judge.rollups_are_the_sum_of(house, ledger)
    judge.counters_are_the_ledger(house, ledger)


async def _long_streams(caller: Caller, key: str, count: int, chunks: int) -> list[Reply]:
    return await caller.burst(count, lambda _: caller.call(key, stream=True, chunks=chunks, pause=0.15))


async def _impatient(caller: Caller, key: str) -> Reply:
    """Half of the callers give up after a random moment, at any step of the call's life."""
    dice = caller.dice
    patience = dice.expovariate(8) if dice.random() < 0.5 else None
    stream = dice.random() < 0.5
    return await caller.call(
        key, stream=stream, latency=dice.uniform(0, 0.2), chunks=5, pause=0.02, leave_after_seconds=patience
    )


def _sources(ledger: list[Entry]) -> dict[str, int]:
    return {source: sum(entry.source == source for entry in ledger) for source in {entry.source for entry in ledger}}
