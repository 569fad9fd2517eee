"""Every order of events of a hold that has two halves, within small worlds. What `make soak` adds are larger ones."""

import os
from dataclasses import fields, replace

import pytest

from tests.protocol.model import OVERSPENT
from tests.protocol.two_tags import Rules, World, explore

STRICT, FAST = Rules(), Rules(durable=False)
NEW_CEILING, LOSS = World(ceiling=False), World(platform_losses=1)

WORLDS = {
    "crashes, lost replies and sweepers at any moment": World(costs=(0, 2)),
    "the platform's counters lost": LOSS,
    "a ceiling while calls are under way": NEW_CEILING,
}
#: In `fast`, what an organization's part of the store alone knows of may be lost with it.
LOSSES = {"an organization's counters lost": World(organization_losses=1)}
if os.environ.get("HYPOTHESIS_PROFILE") == "soak":
    WORLDS["a ceiling of which nobody hears"] = World(ceiling=False, lost_news=True)
    LOSSES["both lost"] = World(platform_losses=1, organization_losses=1, costs=(0, 2))

#: Each rule with a world in which leaving it out gets past the ceiling.
SHORTCUTS = {
    "intent_fenced_by_both": (STRICT, LOSS),
    "ceiling_raises_every_epoch": (STRICT, NEW_CEILING),
    "grant_as_new_as_epoch": (STRICT, NEW_CEILING),
    "missing_is_unknown": (STRICT, LOSS),
    "load_counts_everybody": (STRICT, LOSS),
    "load_in_one_snapshot": (STRICT, LOSS),
    "tombstone_before_release": (STRICT, World()),
    "row_under_a_ceiling": (FAST, LOSS),
    "carries_everybody": (FAST, NEW_CEILING),
}


@pytest.mark.parametrize("world", (WORLDS | LOSSES).values(), ids=(WORLDS | LOSSES).keys())
def test_strict_keeps_every_promise_whatever_happens_when(world: World) -> None:
    report = explore(STRICT, world)
    assert report.states > 1000
    assert report.broken == {}


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())
def test_fast_keeps_every_promise_under_a_ceiling_even_if_its_counters_are_lost(world: World) -> None:
    assert explore(FAST, world).broken == {}


@pytest.mark.parametrize("rule", SHORTCUTS)
def test_every_shortcut_gets_past_the_ceiling(rule: str) -> None:
    rules, world = SHORTCUTS[rule]
    assert OVERSPENT in explore(replace(rules, **{rule: False}), world, until=OVERSPENT).broken


def test_every_rule_has_its_shortcut() -> None:
    assert SHORTCUTS.keys() == {field.name for field in fields(Rules)} - {"durable"}
