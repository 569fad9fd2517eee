"""Further names of models, as the configuration file gives them."""

from dataclasses import replace
from typing import Any

import pytest

from keys.grants import ScopePolicy
from proxy.alias_rules import Aliases, read_aliases
from proxy.fallback_rules import CONTEXT_WINDOW, GENERAL, Fallbacks
from proxy.gate_rules import BadRule
from proxy.runtime import permit
from proxy.runtime.catalog import Catalog, Shelf
from tests.proxy.calls import target
from tests.proxy.test_permit import GRANT

KNOWN = read_aliases({"model_alias_map": {"old": "house"}}, {"model_group_alias": {"taken": "house", "own": "house"}})


def test_the_file_says_in_two_sections_what_an_alias_means() -> None:
    known = read_aliases(
        {"model_alias_map": {"a": "x", "b": "x"}},
        {"model_group_alias": {"a": "y", "c": {"model": "y", "hidden": True}, "d": {"model": "y"}}},
    )
    assert known.models == {"a": "y", "b": "x", "c": "y", "d": "y"}
    assert known.of("y") == {"a", "c", "d"}
    assert list(known.listed()) == ["a", "b", "d"]
    assert read_aliases({}, {"model_group_alias": known.as_setting()}) == known
    assert read_aliases({}, {"model_group_alias": {"a": "a"}}) == read_aliases({}, {}) == Aliases()


@pytest.mark.parametrize(
    "value", ["gpt", ["a"], {"a": ""}, {"a": 1}, {"": "x"}, {1: "x"}, {"a": {"hidden": True}},
              {"a": {"model": "x", "hidden": "yes"}}, {"a" * 256: "x"}, {"a,b": "x"}, {"a*": "x"}, {"a": "openai/*"},
              {"a": "b", "b": "x"}, {"a": "b", "b": "a"}, {"no-default-models": "x"}, {"*": "x"}],
)  # fmt: skip
def test_an_alias_that_means_nothing_stops_the_start(value: Any) -> None:
    with pytest.raises(BadRule, match=r"router_settings\.model_group_alias"):
        read_aliases({}, {"model_group_alias": value})


def test_an_alias_comes_before_models_for_everybody_and_after_a_teams_own() -> None:
    everybody = Shelf(models={"house": (target(),), "taken": (target(),)})
    catalog = Catalog(everybody=everybody, of_team={7: Shelf(models={"own": (target(),)})}, aliases=KNOWN)
    assert [catalog.in_full(name, None) for name in ("old", "taken", "own", "house")] == ["house"] * 4
    assert catalog.in_full("own", 7) == "own"
    assert catalog.in_full("taken", 7) == "house"
    assert catalog.groups_of("house", None) == {"old", "taken", "own"}
    assert catalog.groups_of("house", 7) == {"old", "taken"}
    assert catalog.groups_of("own", 7) == frozenset()


def test_a_model_that_an_alias_hides_is_listed_nowhere() -> None:
    catalog = Catalog(everybody=Shelf(models={"house": (target(),), "taken": (target(),)}), aliases=KNOWN)
    chain = [ScopePolicy(scope="key:1", label="key", version=1)]
    assert permit.visible_models(chain, catalog, None) == ["house"]
    assert sorted(permit.visible_aliases(chain, catalog, None)) == ["old", "own", "taken"]


def test_fallbacks_that_the_file_gives_an_alias_are_those_of_its_model() -> None:
    said = Fallbacks({GENERAL: {"old": ("x",), "other": ("y",)}, CONTEXT_WINDOW: {"old": ("x",), "house": ("z",)}})
    known = said.meant_by(KNOWN.models)
    assert known.tables == {GENERAL: {"house": ("x",), "other": ("y",)}, CONTEXT_WINDOW: {"house": ("z",)}}


def test_what_a_key_names_for_a_spent_budget_is_found_by_each_name_of_the_model() -> None:
    catalog = Catalog(everybody=Shelf(models={"house": (target(),)}), aliases=KNOWN)
    by_alias, by_name = (replace(GRANT, budget_fallbacks={name: ["x"]}) for name in ("old", "house"))
    for grant in (by_alias, by_name):
        assert [permit.cheaper(grant, name, catalog) for name in ("old", "house", "x")] == [["x"], ["x"], None]
