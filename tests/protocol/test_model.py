"""Every order of events of the hold protocol, within small worlds. What `make soak` adds are larger ones."""

import os
from dataclasses import fields, replace
from functools import cache

import pytest

from tests.protocol.model import DOUBLE, DRIFT, HELD, MISSING, OVERSPENT, UNEXPOSED, Report, Rules, World, explore
from tests.protocol.steps import next_steps

STRICT, FAST = Rules(), Rules(durable=False)
PROMISES = {OVERSPENT, MISSING, HELD, DOUBLE, DRIFT}
DEAR = (2,)
BOTH_FIT = (4, 3)
"""Two holds fit the window that was there first, and one the window that is added."""
NEW_WINDOW = World(new_window=True, raises=0, limits=BOTH_FIT, costs=DEAR)

WORLDS = {
    "crashes and sweepers at any moment": World(),
    "a counter that vanishes": World(vanishings=1, raises=1, costs=DEAR),
    "a new window while calls are under way": NEW_WINDOW,
    "corrections": World(corrections=1, costs=(1, 2)),
}
#: In `strict` alone: `fast` has no SQL that could judge.
JUDGES = {
    "SQL judges for a while": World(takeovers=1, raises=1, costs=(0, 2)),
    "SQL judges while a window is added": World(takeovers=1, new_window=True, raises=0, costs=DEAR),
    "SQL judges because the store is lost": World(takeovers=1, losses=1, raises=1, costs=DEAR),
}
LOSSES = {
    "the store lost": World(losses=1, raises=1, costs=(0, 2)),
    "the store empty, then lost": World(starts_empty=True, losses=1, raises=2, costs=DEAR),
    "an old copy of the store": World(swaps=1, raises=1, costs=DEAR),
}
LARGER = {
    "a new window of which nobody hears": World(new_window=True, lost_news=True, limits=BOTH_FIT, costs=(0, 2)),
}
LARGER_JUDGES = {
    "SQL judges twice, and the store is lost in between": World(takeovers=2, losses=1, raises=2, costs=DEAR),
}
LARGER_LOSSES = {
    "the store lost twice": World(losses=2),
    "the store lost while a window is added": World(losses=1, new_window=True, limits=BOTH_FIT, costs=DEAR),
    "the store lost and a correction": World(losses=1, corrections=1, costs=(1, 2)),
    "an old copy while a window is added": World(swaps=1, new_window=True, raises=1, limits=BOTH_FIT, costs=DEAR),
    "a loss and an old copy": World(swaps=1, losses=1, costs=DEAR),
}
if os.environ.get("HYPOTHESIS_PROFILE") == "soak":
    WORLDS |= LARGER
    JUDGES |= LARGER_JUDGES
    LOSSES |= LARGER_LOSSES

#: Each rule with a world in which leaving it out breaks a promise, and the promise.
SHORTCUTS = {
    "intent_before_send": (STRICT, World(costs=DEAR), MISSING),
    "intent_fenced_by_epoch": (STRICT, World(losses=1, raises=1, costs=DEAR), OVERSPENT),
    "tombstone_before_release": (STRICT, World(costs=DEAR), OVERSPENT),
    "resolved_once": (STRICT, World(costs=DEAR), DOUBLE),
    "missing_is_unknown": (STRICT, World(losses=1, raises=1, costs=DEAR), OVERSPENT),
    "load_counts_pending": (STRICT, World(losses=1, raises=1, costs=DEAR), OVERSPENT),
    "pending_matched_by_scope": (STRICT, NEW_WINDOW, OVERSPENT),
    "raiser_publishes": (STRICT, World(starts_empty=True, losses=1, raises=1, costs=DEAR), OVERSPENT),
    "publishes_what_it_raised": (STRICT, LOSSES["the store empty, then lost"], OVERSPENT),
    "grant_as_new_as_epoch": (STRICT, NEW_WINDOW, OVERSPENT),
    "store_identity_checked": (STRICT, World(swaps=1, raises=1, costs=DEAR), OVERSPENT),
    "lost_counter_raises": (STRICT, World(vanishings=1, raises=1, costs=DEAR), HELD),
    "judge_changes_with_epoch": (STRICT, JUDGES["SQL judges for a while"], OVERSPENT),
    "intent_fenced_by_judge": (STRICT, JUDGES["SQL judges while a window is added"], OVERSPENT),
    "carries_records": (FAST, NEW_WINDOW, OVERSPENT),
    "reconnecting_forgets_epochs": (FAST, World(swaps=1, raises=1, costs=DEAR), OVERSPENT + UNEXPOSED),
    "late_posting_raises": (FAST, World(losses=1, raises=1, costs=DEAR), DRIFT),
}


@cache
def report_of(rules: Rules, world: World) -> Report:
    report = explore(rules, world, next_steps)
    assert report.states > 100, "nothing to speak of was explored"
    return report


@pytest.mark.parametrize("world", (WORLDS | JUDGES | LOSSES).values(), ids=(WORLDS | JUDGES | LOSSES).keys())
def test_strict_keeps_every_promise_whatever_happens_when(world: World) -> None:
    assert report_of(STRICT, world).broken == {}


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())
def test_fast_keeps_every_promise_while_the_store_lives(world: World) -> None:
    assert report_of(FAST, world).broken == {}


@pytest.mark.parametrize("world", LOSSES.values(), ids=LOSSES.keys())
def test_fast_may_miss_calls_in_flight_at_a_loss_of_the_store_and_breaks_no_other_promise(world: World) -> None:
    """Missed by the ledger, such a call may also be spent twice over. All others are as exact as in strict."""
    assert report_of(FAST, world).broken.keys() == {OVERSPENT, MISSING}


@pytest.mark.parametrize("rule", SHORTCUTS)
def test_every_shortcut_breaks_a_promise(rule: str) -> None:
    rules, world, promise = SHORTCUTS[rule]
    assert promise not in report_of(rules, world).broken
    assert promise in explore(replace(rules, **{rule: False}), world, next_steps, until=promise).broken


@pytest.mark.parametrize("world", JUDGES.values(), ids=JUDGES.keys())
def test_without_the_fence_a_change_of_the_judge_overspends(world: World) -> None:
    """The store's judgement is on its way to SQL while SQL judges another call."""
    unfenced = replace(STRICT, intent_fenced_by_epoch=False, intent_fenced_by_judge=False)
    assert OVERSPENT in explore(unfenced, world, next_steps, until=OVERSPENT).broken


def test_every_rule_has_its_shortcut_and_every_promise_can_be_broken() -> None:
    assert SHORTCUTS.keys() == {field.name for field in fields(Rules)} - {"durable"}
    assert {promise.removesuffix(UNEXPOSED) for _, _, promise in SHORTCUTS.values()} == PROMISES


def test_a_counter_example_is_the_shortest_way_to_break_a_promise() -> None:
    shortcut = replace(STRICT, intent_before_send=False)
    assert report_of(shortcut, World(costs=DEAR)).broken[MISSING] == [
        "0 read grant", "0 read ledger", "0 put counter", "0 hold", "0 send, billed 2", "crash of 0",
        "tombstone for 0", "1 read grant", "1 denied", "sweeper settles 0",
    ]  # fmt: skip
