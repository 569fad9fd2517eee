"""Changes made while calls come in: in force within a second on every worker, and in force for good."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.scenarios.rig import judge
from tests.scenarios.rig.books import Entry
from tests.scenarios.rig.caller import Reply
from tests.scenarios.rig.house import House, usd
from tests.scenarios.rig.latchkey import Rig
from tests.scenarios.rig.scale import scaled

#: Seconds until a change must be in force, and calls that are made after that before it is believed.
IN_FORCE, CALLS = 1.0, scaled(10, 100)


@dataclass(frozen=True)
class Change:
    """Access that was taken away at an instant, and what callers got before and after it."""

    callers: str
    at: datetime
    replies: list[Reply]


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
    changes = dict(zip(ways, taken, strict=True)) | {"expire": await _expire(house, keys["expire"])}
    async with house.caller() as caller:
        assert (await caller.call(bystander)).ok
    for each in (house, other):
        await judge.settled(each)
        judge.books_agree(each)
    ledger = house.ledger + other.ledger
    late = {way: round(_last_admitted(change, ledger), 2) for way, change in changes.items()}
    print(f"S33 {either_rig.engine}: seconds from the answer to the last admission {late}")
    assert max(late.values()) < IN_FORCE


async def test_changes_of_budget_and_team_under_load_are_in_force_within_a_second_and_stay_so(rig: Rig) -> None:
    """S22"""
    house, pause = House(rig), scaled(0.0, 20.0)
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
    async with (
        house.caller() as caller,
        caller.load(scaled(20, 200), lambda _: caller.call(key, latency=0.02)) as replies,
    ):
        await _until_served(replies)
        for name, change, status in steps:
            begun = time.monotonic()
            await asyncio.to_thread(change)
            changed.append((name, begun, time.monotonic(), status))
            await _until_called(replies, changed[-1][2] + IN_FORCE)
            await asyncio.sleep(pause)
    await judge.settled(house)
    for number, (name, _, answered, status) in enumerate(changed):
        until = changed[number + 1][1] if number + 1 < len(changed) else float("inf")
        off = [r for r in replies if answered <= r.started and r.ended <= until and r.status != status]
        late = max((reply.started - answered for reply in off), default=0.0)
        print(f"S22 {name}: in force after {late:.2f} s")
        assert late < IN_FORCE, f"{name}: {off[-1]}"
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
        if reply.started > answered + IN_FORCE:
            assert second in entry.scopes
    rollups = house.rig.books.rollups()
    assert rollups[first][0] + rollups.get(second, (0, 0))[0] == house.ledger_nano


def _poster(house: House) -> Callable[[str, dict[str, object]], Callable[[], object]]:
    """Makes a call of the management API that is ready to be made later."""
    return lambda path, body: lambda: house.rig.manage("POST", path, json=body)


async def _take_away(house: House, key: str, change: Callable[[], object]) -> Change:
    """Calls before, during and after a change."""
    async with house.caller() as caller, caller.load(scaled(8, 50), lambda _: caller.call(key)) as replies:
        await _until_served(replies)
        await asyncio.to_thread(change)
        answered, at = time.monotonic(), datetime.now(UTC)
        await _until_called(replies, answered + IN_FORCE)
    return Change(caller.prefix, at, replies)


async def _expire(house: House, key: str) -> Change:
    """Calls before and after the instant at which a key expires; none is refused before."""
    async with house.caller() as caller, caller.load(scaled(10, 50), lambda _: caller.call(key)) as replies:
        await _until_served(replies)
        expires = datetime.now(UTC) + timedelta(seconds=3)
        body = {"key": key, "expires": expires.isoformat()}
        await asyncio.to_thread(house.rig.manage, "POST", "/key/update", json=body)
        at = time.monotonic() + (expires - datetime.now(UTC)).total_seconds()
        await _until_called(replies, at + IN_FORCE)
    early = [reply for reply in replies if not reply.ok and reply.ended < at - IN_FORCE]
    assert early == [], "refused before it expired"
    return Change(caller.prefix, expires, replies)


async def _until_served(replies: list[Reply]) -> None:
    await judge.until(lambda: any(reply.ok for reply in replies), judge.PATIENCE, "calls are served")


async def _until_called(replies: list[Reply], after: float) -> None:
    """So many calls were made later than that instant, and have been answered."""

    def enough() -> bool:
        return sum(reply.started > after for reply in replies) >= CALLS

    await judge.until(enough, judge.PATIENCE, "calls are made after the change")


def _last_admitted(change: Change, ledger: list[Entry]) -> float:
    """How many seconds after the change the gateway let a call through for the last time, by its own clock."""
    refused = {reply.status for reply in change.replies if not reply.ok}
    assert refused == {401}
    admitted = [entry.admitted_at for entry in ledger if entry.call.startswith(change.callers)]
    return (max(admitted) - change.at).total_seconds()
