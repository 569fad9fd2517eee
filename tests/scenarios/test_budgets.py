"""A budget is a ceiling for any number of callers, workers and gateways, on every link of the chain."""

from contextlib import nullcontext
from typing import Any

import pytest

from tests.scenarios.rig import judge
from tests.scenarios.rig.caller import Reply, complaints, milliseconds, statuses
from tests.scenarios.rig.ceiling import ceiling
from tests.scenarios.rig.house import CALL_NANO, House, usd
from tests.scenarios.rig.latchkey import Rig
from tests.scenarios.rig.scale import scaled, seeds

LINKS = ("organization", "team", "member", "user", "key", "key and model", "tag", "customer", "platform")


@pytest.mark.parametrize("seed", seeds())
async def test_a_thousand_callers_at_once_get_exactly_the_hundred_calls_they_paid_for(
    either_rig: Rig, seed: int
) -> None:
    """S01, and S55 on the embedded engine"""
    house = House(either_rig, seed)
    key = house.key(max_budget=usd(100))
    async with house.caller() as caller:
        replies = await caller.burst(1000, lambda _: caller.call(key, latency=0.2))
    took = await judge.settled(house)
    print(f"S01 {either_rig.engine} seed {seed}: {milliseconds(r.seconds for r in replies)}, idle after {took:.2f} s")
    _exactly(house, replies, 100)


@pytest.mark.parametrize("link", LINKS)
async def test_a_limit_on_any_link_of_the_chain_is_exact_and_a_denial_leaves_nothing_held(rig: Rig, link: str) -> None:
    """S02"""
    paid, count = scaled(20, 100), scaled(100, 1000)
    house, key, sent = _chain(rig, link, paid)
    with ceiling(rig, paid) if link == "platform" else nullcontext():
        async with house.caller() as caller:
            replies = await caller.burst(count, lambda _: caller.call(key, latency=0.1, **sent))
        await judge.settled(house)
    _exactly(house, replies, paid)
    if link == "key and model":
        async with house.caller() as caller:
            assert (await caller.call(key, model="books", **sent)).status == 200, "another model has room"


async def test_many_keys_and_teams_share_one_budget_of_their_organization_exactly(rig: Rig) -> None:
    """S03"""
    teams, keys, paid, count = scaled(5, 20), scaled(20, 200), scaled(100, 500), scaled(500, 5000)
    house = House(rig, max_budget_nano=paid * CALL_NANO)
    owners = [house.team() for _ in range(teams)]
    secrets = [house.key(team_id=owners[number % teams]) for number in range(keys)]
    async with house.caller() as caller:
        asked = [(caller.dice.choice(secrets), caller.dice.random() < 0.5) for _ in range(count)]
        replies = await caller.burst(count, lambda i: caller.call(asked[i][0], stream=asked[i][1], latency=0.1))
    await judge.settled(house)
    _exactly(house, replies, paid)
    rollups = rig.books.rollups()
    of_teams = [rollups.get(f"team:{house.pk_of('Team', owner)}", (0, 0)) for owner in owners]
    assert sum(nano for nano, _ in of_teams) == rollups[house.scope][0] == paid * CALL_NANO
    assert sum(requests for _, requests in of_teams) == rollups[house.scope][1] == paid


async def test_agents_with_large_contexts_and_no_cap_share_a_small_budget_without_starving(rig: Rig) -> None:
    """S21"""
    agents, turns, budget = 20, 3, 25
    house = House(rig)
    key = house.key(max_budget=budget)
    async with house.caller() as caller:

        async def agent(_: int) -> list[Reply]:
            script = {"prompt": 100_000, "completion": 500, "latency": 0.2, "context": 400_000}
            return [await caller.call(key, model="agent", max_tokens=None, **script) for _ in range(turns)]

        played = await caller.burst(agents, agent)
    await judge.settled(house)
    finished = sum(all(reply.ok for reply in replies) for replies in played)
    print(f"S21: {finished} of {agents} agents finished, spent {house.ledger_nano / 10**9:.2f} of {budget} USD")
    denied = [reply for replies in played for reply in replies if not reply.ok]
    assert {reply.kind for reply in denied} <= {"budget_exceeded"}
    assert finished >= 18
    assert house.ledger_nano <= budget * 10**9
    judge.books_agree(house, [reply for replies in played for reply in replies])


def _exactly(house: House, replies: list[Reply], paid: int) -> None:
    """So many calls were served and billed, every other one was refused by a budget, and all books say the same."""
    assert statuses(replies) == {200: paid, 429: len(replies) - paid}, complaints(replies)
    assert {reply.kind for reply in replies if reply.status == 429} == {"budget_exceeded"}
    assert len(house.bill) == paid
    assert house.ledger_nano == house.billed_nano == paid * CALL_NANO
    judge.books_agree(house, replies)


def _chain(rig: Rig, limited: str, paid: int) -> tuple[House, str, dict[str, Any]]:
    """A whole chain with a budget on every link, of which one is tight: its house, a key, and what a call sends."""
    # No child may have more than its organization, so below a tight organization the others are as tight.
    calls = {link: paid if limited in (link, "organization") else 10**6 for link in LINKS}
    tight = {link: usd(count) for link, count in calls.items()}
    nano = {link: count * CALL_NANO for link, count in calls.items()}
    house = House(rig, max_budget_nano=nano["organization"])
    per_model = {"model_max_budget": {"flat": {"budget_limit": tight["key and model"], "time_period": "30d"}}}
    of_key = {"max_budget": tight["key"], **per_model}
    person = house.user(max_budget=tight["user"])
    ask = rig.operator.ask
    ask("create", kind="Customer", public_id="buyer", organization_id=house.pk, max_budget_nano=nano["customer"])
    ask("create", kind="Tag", name="label", organization_id=house.pk, max_budget_nano=nano["tag"])
    if limited == "user":
        key = house.key(user_id=person, **of_key)
    else:
        team = house.team(max_budget=tight["team"])
        member = {"team_id": house.pk_of("Team", team), "user_id": house.pk_of("User", person)}
        ask("create", kind="Membership", **member, max_budget_nano=nano["member"])
        key = house.key(team_id=team, user_id=person, **of_key)
    return house, key, {"more": {"user": "buyer", "metadata": {"tags": ["label"]}}}
