"""Further names of models, as the configuration file gives them."""

from typing import Any

import pytest

from proxy.alias_rules import Aliases, read_aliases
from proxy.gate_rules import BadRule
from proxy.runtime.catalog import Catalog, Shelf
from tests.proxy.calls import target

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
    assert read_aliases({}, {}) == Aliases()


@pytest.mark.parametrize(
    "value", ["gpt", ["a"], {"a": ""}, {"a": 1}, {"": "x"}, {1: "x"}, {"a": {"hidden": True}},
              {"a": {"model": "x", "hidden": "yes"}}, {"a" * 256: "x"}],
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
    assert catalog.groups_of("house", None) >= {"old", "taken", "own"}
