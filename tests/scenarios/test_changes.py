"""Changes made while calls come in: in force within a second on every worker, and in force for good."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.scenarios.rig import judge
from tests.scenarios.rig.caller import Reply
from tests.scenarios.rig.house import House, usd
from tests.scenarios.rig.latchkey import Rig
from tests.scenarios.rig.scale import scaled

pytestmark = pytest.mark.xdist_group("scenarios")

#: Seconds until a change must be in force, and what a crowded machine may take on top.
IN_FORCE, SLACK = 1.0, 1.0


async def test_nobody_gets_through_a_second_after_access_was_taken_away(either_rig: Rig) -> None:
    """S33, and S55 on the embedded engine"""
    house, other = House(either_rig), House(either_rig)
    teams = house.team(), house.team()
    keys = {way: house.key() for way in ("block", "delete", "expire", "disable", "regenerate")}
    keys |= {"block its team": house.key(team_id=teams[0]), "block its organization": other.key()}
    body = {way: {"key": key} for way, key in keys.items()}
    post = _poster(house)
    ways: dict[str, Callable[[], object]] = {
        "block": post("/key/block", body["block"]),
        "delete": post("/key/delete", {"keys": [keys["delete"]]}),
        "disable": post("/key/update", {**body["disable"], "blocked": True}),
        "regenerate": post("/key/regenerate", body["regenerate"]),
        "block its team": post("/team/block", {"team_id": teams[0]}),
        "block its organization": lambda: either_rig.operator.ask(
            "block", kind="Organization", pk=other.pk, blocked=True
        ),
    }
    bystander = house.key(team_id=teams[1])
    homes = dict.fromkeys(ways, house) | {"block its organization": other}
    taken = await asyncio.gather(*(_take_away(homes[way], keys[way], change) for way, change in ways.items()))
    late = dict(zip(ways, taken, strict=True))
    late["expire"] = await _expire(house, keys["expire"])
    print(
        f"S33 {either_rig.engine}: last success after the answer { ({way: f'{at:.2f} s' for way, at in late.items()}) }"
    )
    assert max(late.values()) < IN_FORCE + SLACK
    async with house.caller() as caller:
        assert (await caller.call(bystander)).ok
    for each in (house, other):
        await judge.settled(each)
        judge.books_agree(each)


async def test_changes_of_budget_and_team_under_load_are_in_force_within_a_second_and_stay_so(rig: Rig) -> None:
    """S22"""
    house, pause = House(rig), scaled(1.5, 20.0)
    teams = [house.team(max_budget=usd(10**6)) for _ in range(2)]
    key = house.key(team_id=teams[0], max_budget=usd(10**6))
    team = house.pk_of("Team", teams[1])
    post = _poster(house)
    steps: list[tuple[str, Callable[[], object], int]] = [
        ("lower", post("/key/update", {"key": key, "max_budget": usd(0)}), 429),
        ("raise", post("/key/update", {"key": key, "max_budget": usd(10**6)}), 200),
        ("disable", post("/key/update", {"key": key, "max_budget": None}), 200),
        ("move", post("/key/update", {"key": key, "team_id": teams[1]}), 200),
        ("lower the team", lambda: house.change("Team", team, max_budget_nano=0), 429),
        ("raise the team", lambda: house.change("Team", team, max_budget_nano=10**12), 200),
    ]
    changed: list[tuple[str, float, float, int]] = []
    async with house.caller() as caller:
        load = asyncio.create_task(
            caller.steady(scaled(20, 200), pause * len(steps) + 2, lambda _: caller.call(key, latency=0.02))
        )
        for name, change, status in steps:
            await asyncio.sleep(pause)
            begun = time.monotonic()
            await asyncio.to_thread(change)
            changed.append((name, begun, time.monotonic(), status))
        replies = await load
    await judge.settled(house)
    for number, (name, _, answered, status) in enumerate(changed):
        until = changed[number + 1][1] if number + 1 < len(changed) else float("inf")
        off = [r for r in replies if answered <= r.started and r.ended <= until and r.status != status]
        late = max((reply.started - answered for reply in off), default=0.0)
        print(f"S22 {name}: in force after {late:.2f} s")
        assert late < IN_FORCE + SLACK, f"{name}: {off[-1]}"
    _attributed(house, teams, changed[3], replies)
    judge.books_agree(house, replies)


def _attributed(house: House, teams: list[str], move: tuple[str, float, float, int], replies: list[Reply]) -> None:
    """Every entry belongs to the team that the key was in when the call was admitted; the teams add up to the key."""
    first, second = (f"team:{house.pk_of('Team', team)}" for team in teams)
    _, begun, answered, _ = move
    of_call = {reply.call: reply for reply in replies}
    for entry in house.ledger:
        assert (first in entry.scopes) != (second in entry.scopes)
        reply = of_call[entry.call]
        if reply.ended < begun:
            assert first in entry.scopes
        if reply.started > answered + IN_FORCE + SLACK:
            assert second in entry.scopes
    rollups = house.rig.books.rollups()
    assert rollups[first][0] + rollups.get(second, (0, 0))[0] == house.ledger_nano


def _poster(house: House) -> Callable[[str, dict[str, object]], Callable[[], object]]:
    """Makes a call of the management API that is ready to be made later."""
    return lambda path, body: lambda: house.rig.manage("POST", path, json=body)


async def _take_away(house: House, key: str, change: Callable[[], object]) -> float:
    """Calls before, during and after a change. Returns how long after its answer the last served call was made."""
    async with house.caller() as caller:
        load = asyncio.create_task(caller.steady(scaled(8, 50), scaled(4.5, 10.0), lambda _: caller.call(key)))
        await asyncio.sleep(1.5)
        await asyncio.to_thread(change)
        answered = time.monotonic()
        replies = await load
    return _last_served(replies, answered)


async def _expire(house: House, key: str) -> float:
    """Returns by how much the last served call missed the instant of expiry, in either direction."""
    async with house.caller() as caller:
        expires = datetime.now(UTC) + timedelta(seconds=3)
        body = {"key": key, "expires": expires.isoformat()}
        await asyncio.to_thread(house.rig.manage, "POST", "/key/update", json=body)
        at = time.monotonic() + (expires - datetime.now(UTC)).total_seconds()
        replies = await caller.steady(scaled(10, 50), 5.0, lambda _: caller.call(key))
    return abs(_last_served(replies, at))


def _last_served(replies: list[Reply], at: float) -> float:
    served = [reply.started for reply in replies if reply.ok]
    assert served, "nothing was served before"
    refused = {(reply.status, reply.kind) for reply in replies if not reply.ok}
    assert {status for status, _ in refused} == {401}, refused
    return max(served) - at
