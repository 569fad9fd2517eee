"""Budget windows that turn over under load: nobody resets anything, and each call counts in exactly one of them."""

import time
from collections import defaultdict

from tests.scenarios.rig import judge
from tests.scenarios.rig.books import Entry, window_of
from tests.scenarios.rig.caller import Reply, statuses
from tests.scenarios.rig.house import CALL_NANO, House, usd
from tests.scenarios.rig.latchkey import Rig
from tests.scenarios.rig.scale import scaled

SECONDS = scaled(3, 20)
#: What the wall clock is ahead of the one that callers use. Who is held up between two looks sees too little.
WALL = max(time.time() - time.monotonic() for _ in range(100))


async def test_every_window_of_a_budget_under_load_serves_its_calls_exactly_and_at_once(either_rig: Rig) -> None:
    """S15, and S55 on the embedded engine

    Windows of seconds divide the day as days divide the month; the same function computes both.
    """
    rig, paid = either_rig, scaled(20, 400)
    house = House(rig, timezone="Asia/Kathmandu")
    key = house.key(max_budget=usd(paid), budget_duration=f"{SECONDS}s")
    one = lambda _: caller.call(key, latency=caller.dice.uniform(0, 1.5))  # noqa: E731
    async with house.caller() as caller, caller.load(3 * paid / SECONDS, one) as replies:
        await judge.until(lambda: len(_refused(replies)) >= 3, judge.PATIENCE, "three windows are used up")
    await judge.settled(house)
    ledger = house.ledger
    windows: dict[int, list[Entry]] = defaultdict(list)
    for entry in sorted(ledger, key=lambda entry: entry.admitted_at):
        ((name),) = [counter for counter in entry.counters if counter.startswith("key:")]
        _, start, end = window_of(name)
        assert start is not None and end is not None and start <= entry.admitted_at < end
        windows[int(start.timestamp()) // SECONDS].append(entry)
    served = {window: len(entries) for window, entries in windows.items()}
    print(f"S15 {rig.engine}: {dict(statuses(replies))}, calls per window {list(served.values())}")
    assert set(statuses(replies)) == {200, 429}
    assert max(served.values()) == paid
    calls = [entry.call for entries in windows.values() for entry in entries]
    assert sorted(calls) == sorted(billed.call for billed in house.bill)
    for window, refused in _refused(replies).items():
        # Whoever was refused came when all that the window pays for had been given away, so never just after it opened.
        assert served[window] == paid
        assert min(refused) >= windows[window][-1].admitted_at.timestamp()
    assert house.ledger_nano == len(ledger) * CALL_NANO
    judge.books_agree(house, replies)


def _refused(replies: list[Reply]) -> dict[int, list[float]]:
    """When calls were refused, by the window in which they both began and ended."""
    found: dict[int, list[float]] = defaultdict(list)
    for reply in replies:
        begun, ended = (at + WALL for at in (reply.started, reply.ended))
        if reply.status == 429 and begun // SECONDS == ended // SECONDS:
            found[int(begun // SECONDS)].append(ended)
    return found
