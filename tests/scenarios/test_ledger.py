"""The ledger: append-only by the database's own rule, one entry for every attempt that was bought."""

import psycopg
import pytest

from tests.scenarios.rig import judge
from tests.scenarios.rig.caller import statuses
from tests.scenarios.rig.house import House, usd


@pytest.mark.parametrize("table", ["spend_ledgerentry", "teams_auditevent", "spend_price"])
async def test_the_database_refuses_to_change_what_was_written_down(house: House, table: str) -> None:
    """S14"""
    key = house.key(max_budget=usd(100))
    async with house.caller() as caller:
        assert statuses(await caller.burst(5, lambda _: caller.call(key))) == {200: 5}
    await judge.settled(house)
    before = house.rig.books.query(f"SELECT count(*), max(id) FROM {table}")
    for statement in (
        f"UPDATE {table} SET id = id",
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
        f"TRUNCATE {table} CASCADE",
        f"WITH gone AS (DELETE FROM {table} RETURNING id) SELECT * FROM gone",
    ):
        with pytest.raises(psycopg.Error, match=r"append-only|cannot truncate"):
            house.rig.books.execute(statement)
    assert house.rig.books.query(f"SELECT count(*), max(id) FROM {table}") == before
    judge.books_agree(house)


async def test_a_correction_is_a_new_entry_and_counts_at_once(house: House) -> None:
    """S14"""
    key = house.key(max_budget=usd(10))
    async with house.caller() as caller:
        replies = await caller.burst(10, lambda _: caller.call(key))
        await judge.settled(house)
        assert (await caller.call(key)).kind == "budget_exceeded"
        house.rig.operator.ask("correct", request_id=replies[0].call, amount_nano=-house.bill[0].nano)
        assert (await caller.call(key)).status == 200
        assert (await caller.call(key)).kind == "budget_exceeded"
    await judge.settled(house)
    ledger = house.ledger
    assert [entry.kind for entry in ledger].count("correction") == 1
    assert sum(entry.amount for entry in ledger) == house.billed_nano - house.bill[0].nano
    judge.books_agree(house, replies)


async def test_a_call_that_fails_twice_upstream_and_then_succeeds_is_booked_as_both_providers_billed_it(
    house: House,
) -> None:
    """S24, the failures are refusals"""
    key = house.key(max_budget=usd(10**6))
    async with house.caller() as caller:
        attempts = [{"status": 500}, {"status": 429}, {}]
        replies = await caller.burst(20, lambda _: caller.call(key, model="pair", attempts=attempts))
    await judge.settled(house)
    assert statuses(replies) == {200: 20}
    assert {reply.headers["x-litellm-attempted-retries"] for reply in replies} == {"2"}
    assert {billed.account for billed in house.bill} == {"a", "b"}, "attempts change between the deployments"
    assert len(house.ledger) == len(house.bill) == 20
    assert house.ledger_nano == house.billed_nano
    judge.books_agree(house, replies)


async def test_an_attempt_that_was_billed_and_broke_off_is_booked_beside_the_one_that_succeeded(house: House) -> None:
    """S24, one of the failures was billed"""
    key = house.key(max_budget=usd(10**6))
    async with house.caller() as caller:
        attempts = [{"status": 500}, {"abort": 0}, {}]
        replies = await caller.burst(20, lambda _: caller.call(key, model="pair", attempts=attempts))
    await judge.settled(house)
    assert statuses(replies) == {200: 20}
    assert len(house.bill) == len(house.ledger) == 40
    assert house.ledger_nano >= house.billed_nano
    judge.books_agree(house, replies)


async def test_an_answer_that_breaks_off_is_charged_and_says_that_it_is_an_estimate(house: House) -> None:
    """S26, the provider breaks off in the middle"""
    key = house.key(max_budget=usd(10**6))
    async with house.caller() as caller:
        replies = await caller.burst(
            10, lambda _: caller.call(key, model="books", stream=True, chunks=6, pause=0.02, abort=3, completion=12)
        )
    await judge.settled(house)
    assert {(reply.status, reply.kind, reply.chunks) for reply in replies} == {(200, "upstream_error", 3)}
    assert {entry.source for entry in house.ledger} == {"estimated_partial"}
    judge.books_agree(house, replies)
