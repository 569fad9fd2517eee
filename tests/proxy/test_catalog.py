"""Which deployments a name stands for: wildcards, access groups, models of one team."""

from dataclasses import replace
from typing import Any

import pytest

from keys.grants import ScopePolicy
from proxy import services, shelves
from proxy.from_litellm import read_model
from proxy.models import AccessGroup, Deployment
from proxy.providers import REGISTRY
from proxy.runtime import permit
from proxy.runtime.catalog import Catalog, Shelf, by_precision, captured, filled
from proxy.runtime.errors import GatewayError
from spend import book
from teams.actors import MASTER
from teams.budgets import Budget
from teams.models import Team
from tests.factories import NOON, issue
from tests.proxy.calls import target
from tests.proxy.test_permit import GRANT

RATES = {"input_cost_per_token": "0.000001", "output_cost_per_token": "0.000002"}


def policy(*models: str, scope: str = "key:1") -> ScopePolicy:
    return ScopePolicy(scope=scope, label=scope, version=1, models=models)


def catalog(**groups: frozenset[str]) -> Catalog:
    return Catalog(everybody=Shelf(models={"house": (target(),), "other": (target(),)}, groups=groups))


def allowed(models: tuple[str, ...], name: str, known: Catalog) -> bool:
    return permit.may_call([policy(*models)], name, known, None)


@pytest.mark.parametrize(
    ("models", "name", "expected"),
    [
        ((), "house", True),
        (("house",), "house", True),
        (("house",), "other", False),
        (("openai/*",), "openai/gpt-4o", True),
        (("openai/*",), "groq/gpt-4o", False),
        (("bedrock/anthropic.*",), "bedrock/anthropic.claude-3", True),
        (("bedrock/anthropic.*",), "bedrock/meta.llama", False),
        (("all-team-models",), "house", True),
        (("all-proxy-models",), "house", True),
        (("no-default-models",), "house", False),
        (("no-default-models", "house"), "house", True),
        (("cheap",), "house", True),
        (("cheap",), "other", False),
        (("cheap", "other"), "other", True),
    ],
)
def test_a_list_of_models_covers_what_it_names(models: tuple[str, ...], name: str, expected: bool) -> None:
    assert allowed(models, name, catalog(house=frozenset({"cheap"}))) is expected


@pytest.mark.parametrize(
    ("scope", "kind"),
    [("key:1", "key"), ("team:1", "team"), ("user:1", "user"), ("org:1", "org"), ("customer:1", "customer")],
)
def test_a_refused_model_names_the_level(scope: str, kind: str) -> None:
    with pytest.raises(GatewayError) as refusal:
        permit.check_model([policy("other", scope=scope)], "house")
    error = refusal.value
    assert (error.status, error.type, error.param) == (403, f"{kind}_model_access_denied", "model")
    assert "not allowed to access model" in error.message


def test_what_access_groups_grant_widens_the_list_of_that_scope_alone() -> None:
    known = Catalog(granted={"key:1": ("house",)})
    assert permit.may_call([policy("other")], "house", known, None)
    assert not permit.may_call([policy("other", scope="team:1"), policy("other")], "house", known, None)


@pytest.mark.parametrize(
    ("wildcard", "model", "parts"),
    [
        ("openai/*", "openai/gpt-4o", ("gpt-4o",)),
        ("openai/*", "openai/", None),
        ("openai/*", "groq/x", None),
        ("*", "anything/at-all", ("anything/at-all",)),
        ("a.*-*", "a.x-y", ("x", "y")),
        ("gpt(1)*", "gpt(1)x", ("x",)),
    ],
)
def test_a_wildcard_captures_what_its_stars_stand_for(wildcard: str, model: str, parts: Any) -> None:
    assert captured(wildcard, model) == parts


def test_stars_are_filled_in_order_and_the_most_precise_wildcard_wins() -> None:
    assert filled("a/*/b/*", ("1", "2")) == "a/1/b/2"
    assert by_precision(["*", "openai/*", "openai/gpt-*"]) == ("openai/gpt-*", "openai/*", "*")


# --- Read from the database ----------------------------------------------------------------------


@pytest.fixture
def providers(db: None) -> None:
    services.sync_providers()
    book.seed_prices(now=NOON)


def add(name: str, info: dict[str, Any] | None = None, **params: Any) -> Deployment:
    house = {"model": "openai_like/llama", "api_base": "https://llm.example.com/v1", **RATES}
    new = read_model(name, house | params, info or {}, Deployment.Source.API)
    return services.add_deployment(new.deployment, new.name, actor=MASTER, now=NOON, secret=new.secret, price=new.price)


def wildcard(**params: Any) -> Deployment:
    unpriced = dict.fromkeys(RATES)
    return add("openai/*", model="openai/*", api_base=None, **{**unpriced, **params})


def test_each_model_behind_a_wildcard_has_the_price_of_the_book(providers: None) -> None:
    wildcard()
    (found,) = shelves.concrete("openai/gpt-4o-mini", None, NOON)
    assert (found.model, found.upstream_model) == ("openai/gpt-4o-mini", "gpt-4o-mini")
    assert found.max_input_tokens == 128_000
    assert found.price is not None
    assert found.price.base.input == 150_000
    (unheard,) = shelves.concrete("openai/unheard-of", None, NOON)
    assert unheard.price is None
    with pytest.raises(GatewayError, match="model_not_priced"):
        permit.callable_targets((unheard,), "openai/unheard-of")
    assert shelves.concrete("groq/x", None, NOON) == ()


def test_a_wildcards_own_price_holds_for_all_of_its_models(providers: None) -> None:
    wildcard(**RATES)
    (found,) = shelves.concrete("openai/unheard-of", None, NOON)
    assert found.price is not None
    assert found.price.base.input == 1_000_000


def test_a_wildcard_lists_the_models_that_have_a_price(providers: None) -> None:
    wildcard()
    shelf = shelves.load_catalog(NOON).everybody
    assert shelf.models == {}
    assert "openai/gpt-4o-mini" in set(shelf.names())
    assert shelf.wildcards == ("openai/*",)


def test_a_wildcard_lists_dated_names_that_the_price_list_does_not_spell_out(providers: None) -> None:
    add("anthropic/*", model="anthropic/*", api_base=None, **dict.fromkeys(RATES))
    listed = set(shelves.load_catalog(NOON).everybody.names())
    assert {"anthropic/claude-3-5-haiku-20241022", "anthropic/claude-haiku-4-5"} <= listed
    assert not any(name.startswith("anthropic/gpt") for name in listed)
    for name in REGISTRY["anthropic"].further:
        (target,) = shelves.concrete(f"anthropic/{name}", None, NOON)
        assert target.price is not None, name


def test_a_model_behind_a_providers_wildcard_answers_to_its_own_name_as_well(providers: None) -> None:
    wildcard()
    known = shelves.load_catalog(NOON)
    assert known.in_full("gpt-4o-mini", None) == "openai/gpt-4o-mini"
    assert known.in_full("openai/gpt-4o-mini", None) == "openai/gpt-4o-mini"
    assert known.in_full("never-heard-of", None) == "never-heard-of"
    assert allowed(("gpt-4o-mini",), "openai/gpt-4o-mini", known)
    assert allowed(("openai/*",), "openai/gpt-4o-mini", known)
    assert not allowed(("gpt-4o",), "openai/gpt-4o-mini", known)


def test_so_does_one_behind_a_narrower_wildcard_in_an_access_group(providers: None) -> None:
    unpriced = dict.fromkeys(RATES)
    add("openai/gpt-4o*", {"access_groups": ["fast"]}, model="openai/gpt-4o*", api_base=None, **unpriced)
    known = shelves.load_catalog(NOON)
    full = known.in_full("gpt-4o-mini", None)
    assert full == "openai/gpt-4o-mini"
    assert permit.may_call([replace(GRANT.key, models=("fast",))], full, known, None)
    assert known.in_full("gpt-4.1", None) == "gpt-4.1"


def test_the_rest_of_a_name_may_be_nothing_but_a_whole_name_may_not(providers: None) -> None:
    add("openai/gpt-4o*", model="openai/gpt-4o*", api_base=None, **dict.fromkeys(RATES))
    known = shelves.load_catalog(NOON)
    assert known.in_full("gpt-4o", None) == "openai/gpt-4o"
    assert "openai/gpt-4o" in set(known.everybody.names())
    (target,) = shelves.concrete("openai/gpt-4o", None, NOON)
    assert target.upstream_model == "gpt-4o"
    assert captured("openai/*", "openai/") is captured("*", "") is captured("a/*/c", "a//c") is None
    assert captured("a*-b*", "a-b") == ("", "")


def test_a_snapshot_of_a_model_behind_a_wildcard_answers_to_its_own_name(providers: None) -> None:
    add("openai/gpt-4o*", model="openai/gpt-4o*", api_base=None, **dict.fromkeys(RATES))
    known = shelves.load_catalog(NOON)
    full = known.in_full("gpt-4o-2024-08-06", None)
    assert full == "openai/gpt-4o-2024-08-06"
    (target,) = shelves.concrete(full, None, NOON)
    assert target.price is not None
    assert allowed(("gpt-4o-2024-08-06",), full, known)
    assert not allowed(("gpt-4o",), full, known)
    for other in ("gpt-4o-tuned", "gpt-4.1-2025-04-14", "gpt-4o-20240806x"):
        assert known.in_full(other, None) == other


def test_a_model_that_is_called_as_its_provider_calls_it_is_one_of_the_providers(providers: None) -> None:
    add("gpt-4o-mini", model="openai/gpt-4o-mini", **RATES)
    add("house", model="openai/gpt-4o-mini", **RATES)
    known = shelves.load_catalog(NOON)
    for entry in ("openai/*", "openai/gpt-4o-mini", "gpt-4o-mini"):
        assert allowed((entry,), "gpt-4o-mini", known)
        assert not allowed((entry,), "house", known)
    assert not allowed(("groq/*", "openai/gpt-4o"), "gpt-4o-mini", known)
    assert known.everybody.models["gpt-4o-mini"][0].groups == {"openai/*", "openai/gpt-4o-mini"}
    assert known.everybody.models["house"][0].groups == frozenset()


def test_one_that_several_providers_serve_is_none_of_theirs(providers: None) -> None:
    add("same", model="openai/same", **RATES)
    add("same", model="openai_like/same", **RATES)
    assert not allowed(("openai/*",), "same", shelves.load_catalog(NOON))


def test_a_name_that_is_served_itself_or_by_several_providers_is_no_short_one(providers: None) -> None:
    wildcard()
    add("gpt-4o-mini", **RATES)
    known = shelves.load_catalog(NOON)
    assert known.in_full("gpt-4o-mini", None) == "gpt-4o-mini"
    assert not allowed(("gpt-4o-mini",), "openai/gpt-4o-mini", known)
    assert permit.visible_models((replace(GRANT.key, models=("gpt-4o-mini",)),), known, None) == ["gpt-4o-mini"]
    listed = {"openai/same": "openai/*", "groq/same": "groq/*", "groq/a/b": "groq/*", "w/own": "w/*", "groq/own": "*"}
    assert shelves._short(listed) == {}


def test_a_pattern_of_a_limit_that_covers_the_short_name_only_is_never_gone_around(providers: None) -> None:
    wildcard()
    known = shelves.load_catalog(NOON)

    def in_full(*limits: str) -> str:
        budgets = tuple(Budget("1d", 1, NOON, model=name) for name in limits)
        grant = replace(GRANT, platform=None)
        return permit.in_full(grant, (replace(grant.key, budgets=budgets),), "gpt-4o-mini", known)

    assert in_full("openai/*", "other") == in_full("gpt-4o-mini") == in_full() == "openai/gpt-4o-mini"
    with pytest.raises(GatewayError, match="limited here by that name") as refusal:
        in_full("gpt-*")
    assert refusal.value.status == 400
    assert permit.in_full(GRANT, (GRANT.key,), "openai/gpt-4o-mini", known) == "openai/gpt-4o-mini"


def test_a_wildcard_of_a_provider_without_a_price_list_needs_a_price(providers: None) -> None:
    with pytest.raises(Exception, match="no price is known"):
        add("vllm/*", model="hosted_vllm/*", **dict.fromkeys(RATES))
    with pytest.raises(Exception, match="as many stars"):
        add("plain", model="openai/*")


def test_a_teams_model_wins_for_its_keys_and_exists_for_nobody_else(providers: None, search: Team) -> None:
    add("shared", model="openai_like/everybody")
    add("shared", {"team_id": search.public_id}, model="openai_like/ours")
    add("own", {"team_id": search.public_id})
    known = shelves.load_catalog(NOON)
    mine, everybody = known.shelf_of("shared", search.pk), known.shelf_of("shared", None)
    assert mine is not None and everybody is not None
    assert mine.models["shared"][0].upstream_model == "ours"
    assert everybody.models["shared"][0].upstream_model == "everybody"
    assert known.shelf_of("own", None) is None
    assert known.shelf_of("own", search.pk + 1) is None


def test_a_teams_access_group_opens_nothing_to_others(providers: None, search: Team) -> None:
    """A team that puts a model of its own into a group must not open the model of that name to everybody."""
    add("dear")
    add("dear", {"team_id": search.public_id, "access_groups": ["cheap"]})
    known = shelves.load_catalog(NOON)
    assert known.groups_of("dear", None) == frozenset()
    assert known.groups_of("dear", search.pk) == {"cheap"}


def test_a_blocked_deployment_is_not_in_the_catalog(providers: None) -> None:
    services.set_blocked(add("house"), True, actor=MASTER)
    assert shelves.load_catalog(NOON).shelf_of("house", None) is None


def test_access_groups_grant_to_the_scopes_they_are_assigned_to(providers: None, search: Team) -> None:
    key, _ = issue()
    group = AccessGroup.objects.create(name="g", model_names=["house"])
    group.teams.add(search)
    group.keys.add(key)
    assert shelves.load_catalog(NOON).granted == {search.scope: ("house",), key.scope: ("house",)}


def test_only_who_is_in_a_team_may_ask_for_its_models(providers: None, search: Team, grace: Any, linus: Any) -> None:
    assert shelves.team_view(search.public_id, grace.pk, False) is not None
    assert shelves.team_view(search.public_id, None, True) is not None
    assert shelves.team_view(search.public_id, linus.pk, False) is None
    assert shelves.team_view(search.public_id, None, False) is None
