"""Whether Latchkey kept its promises: bill, ledger, rollups and counters beside each other."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from tests.scenarios.rig.bill import Billed
from tests.scenarios.rig.books import Entry, window_of
from tests.scenarios.rig.caller import Reply
from tests.scenarios.rig.house import House

REPORTED, ORPHAN = "upstream", "estimated_orphan"
#: Seconds that a state is waited for, on a machine that has a lot else to do.
PATIENCE = 120


async def until(check: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something holds; returns how many seconds it took."""
    begin = time.monotonic()
    while not check():
        assert time.monotonic() - begin < seconds, f"within {seconds} s it did not come true that {what}"
        await asyncio.sleep(0.05)
    return time.monotonic() - begin


async def settled(house: House, *, swept: bool = False) -> float:
    """Wait until nothing of the house is held any more, in SQL and in the counters; returns the seconds it took.

    However long that takes on a busy machine, each call has to end what it held: unless something was broken on
    purpose, nothing may be left to the sweeper.
    """
    books, keeps_intents = house.rig.books, house.rig.engine == "fast"

    def idle() -> bool:
        if books.pending(house.pk) or books.held(house.pk):
            return False
        return books.holds_in_store(house.pk, of_every_epoch=keeps_intents) == 0

    try:
        took = await until(idle, PATIENCE, "nothing is held when idle")
    except AssertionError as error:
        pending, counters = books.pending(house.pk), books.counters(house.pk)
        kept = books.records(house.pk)
        raise AssertionError(f"{error}: {pending} pending holds, counters {counters}, records {kept}") from None
    assert swept or books.swept(house.pk) == 0, "calls left what they held to the sweeper"
    return took


async def caught_up(house: House) -> None:
    """Wait until counters that missed calls were read anew, which takes until the workers are back at the store."""

    def counted() -> bool:
        found, wanted = _counters_beside(house, house.ledger)
        return found == wanted

    await until(counted, PATIENCE, "the counters show what was let through without them")


def books_agree(house: House, replies: Iterable[Reply] = (), *, counters: bool = True) -> None:
    """The whole promise, once everything is settled."""
    ledger, bill = house.ledger, house.bill
    nobody_got_a_foreign_answer(replies)
    every_billed_call_is_in_the_ledger_once(bill, ledger)
    every_answer_was_billed(replies, bill)
    rollups_are_the_sum_of(house, ledger)
    if counters:
        counters_are_the_ledger(house, ledger)


def nobody_got_a_foreign_answer(replies: Iterable[Reply]) -> None:
    assert [reply.call for reply in replies if reply.foreign] == []


def every_billed_call_is_in_the_ledger_once(bill: list[Billed], ledger: list[Entry]) -> None:
    """Reported usage costs what was billed, to the nano; an estimate at least that, and never more than was held."""
    charges = [entry for entry in ledger if entry.kind == "charge"]
    assert [hold for hold, count in Counter(entry.hold for entry in charges).items() if count > 1] == []
    reported = {entry.response_id: entry for entry in charges if entry.response_id}
    guessed: dict[str, list[Entry]] = defaultdict(list)
    for entry in charges:
        if not entry.response_id:
            guessed[entry.call].append(entry)
    missing, wrong = [], []
    for billed in bill:
        entry = reported.pop(billed.id, None) or (guessed[billed.call].pop() if guessed[billed.call] else None)
        if entry is None:
            missing.append(billed)
        elif (entry.amount != billed.nano) if entry.source == REPORTED else (entry.amount < billed.nano):
            wrong.append((billed, entry))
    assert missing == [], f"{len(missing)} billed calls are missing in the ledger, e.g. {missing[0]}"
    assert wrong == [], f"{len(wrong)} amounts differ from the bill, e.g. {wrong[0]}"
    assert list(reported) == [], "entries name calls that were never billed"
    invented = [entry for entries in guessed.values() for entry in entries if entry.source == REPORTED]
    assert invented == [], f"{len(invented)} entries were never billed, e.g. {invented[0]}"
    beyond = [entry for entry in charges if entry.source != REPORTED and entry.amount > entry.held]
    assert beyond == [], f"{len(beyond)} estimates are above what was held, e.g. {beyond[0]}"


def every_answer_was_billed(replies: Iterable[Reply], bill: list[Billed]) -> None:
    known = {billed.call for billed in bill}
    assert [reply for reply in replies if reply.ok and reply.call not in known] == []


def rollups_are_the_sum_of(house: House, ledger: list[Entry]) -> None:
    sums: dict[str, int] = defaultdict(int)
    for entry in ledger:
        for scope in entry.scopes:
            sums[scope] += entry.amount
    rollups = house.rig.books.rollups()
    assert {scope: rollups.get(scope, (0, 0))[0] for scope in sums} == dict(sums)


def counters_are_the_ledger(house: House, ledger: list[Entry]) -> None:
    """Every counter that the store has shows what the ledger says about its window, and nothing held."""
    found, wanted = _counters_beside(house, ledger)
    assert found == wanted, f"counters {found}, ledger {wanted}"


def _counters_beside(
    house: House, ledger: list[Entry]
) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
    found = {name: (counter.spent, counter.held) for name, counter in house.rig.books.counters(house.pk).items()}
    return found, {name: (spent_in(name, ledger), 0) for name in found}


def spent_in(counter: str, ledger: list[Entry]) -> int:
    """Nano-USD of a window by the ledger: the calls admitted in it, or held on it where it is one model's."""
    if "#" in counter:
        return sum(entry.amount for entry in ledger if counter in entry.counters)
    scope, start, end = window_of(counter)
    return sum(
        entry.amount
        for entry in ledger
        if scope in entry.scopes
        and (start is None or start <= entry.admitted_at)
        and (end is None or entry.admitted_at < end)
    )


def orphans(ledger: list[Entry]) -> list[Entry]:
    return [entry for entry in ledger if entry.source == ORPHAN]
