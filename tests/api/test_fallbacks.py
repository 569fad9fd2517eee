"""/fallback: models that take over from others, stored over those of the configuration file."""

from typing import Any

import pytest

from proxy import services
from proxy.call_defaults import CallDefaults
from proxy.fallback_rules import read_fallbacks
from proxy.models import Fallback
from proxy.shelves import load_catalog
from teams.models import AuditEvent, PolicyChange
from teams.scopes import CATALOG
from tests.api.conftest import Answer, Api
from tests.api.test_models import NEW
from tests.factories import NOON


@pytest.fixture(autouse=True)
def models(api: Api) -> None:
    services.sync_providers()
    for name in ("alpha", "beta", "gamma", "wild/*"):
        params = NEW["litellm_params"] | ({"model": "openai/*"} if "*" in name else {})
        made = api.post("/model/new", {"model_name": name, "litellm_params": params})
        assert made.status == 200, made.text


def set_(api: Api, model: Any = "alpha", to: Any = ("beta",), **more: Any) -> Answer:
    return api.post("/fallback", {"model": model, "fallback_models": list(to), **more})


def gone(api: Api, path: str, **how: Any) -> Answer:
    return api._answer(api.client.delete(path, **api._headers(**how)))


def in_force(model: str, kind: str = "general") -> tuple[str, ...]:
    return load_catalog(NOON).fallbacks.after(model, kind)


def test_fallbacks_are_made_changed_shown_and_deleted(api: Api) -> None:
    made = set_(api, to=["beta", "wild/any"])
    assert (made.status, made.json) == (
        200,
        {
            "model": "alpha",
            "fallback_models": ["beta", "wild/any"],
            "fallback_type": "general",
            "message": "Fallback configuration created successfully",
        },
    )
    assert in_force("alpha") == ("beta", "wild/any")
    assert "updated" in set_(api, to=["gamma"]).json["message"]
    assert in_force("alpha") == ("gamma",)
    one = {"model": "alpha", "fallback_models": ["gamma"], "fallback_type": "general"}
    assert api.get("/fallback/alpha").json == one
    assert api.get("/fallback", {"model": "alpha"}).json == one
    assert api.get("/fallback").json == {"fallbacks": [one]}
    assert gone(api, "/fallback/alpha").json == {
        "model": "alpha",
        "fallback_type": "general",
        "message": "Fallback configuration deleted successfully",
    }
    assert in_force("alpha") == ()
    assert (api.get("/fallback/alpha").status, gone(api, "/fallback/alpha").status) == (404, 404)


def test_each_kind_is_of_its_own(api: Api) -> None:
    set_(api, to=["beta"])
    set_(api, to=["gamma"], fallback_type="context_window")
    assert in_force("alpha", "context_window") == ("gamma",)
    assert in_force("alpha", "content_policy") == ("beta",)
    assert api.get("/fallback/alpha", {"fallback_type": "context_window"}).json["fallback_models"] == ["gamma"]
    assert gone(api, "/fallback/alpha?fallback_type=context_window").status == 200
    assert api.delete("/fallback", {"model": "alpha"}).status == 200
    assert Fallback.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({}, 422, "model"),
        ({"model": "alpha"}, 422, "fallback_models"),
        ({"model": "alpha", "fallback_models": []}, 400, "fallback_models"),
        ({"model": "alpha", "fallback_models": "beta"}, 422, "fallback_models"),
        ({"model": "alpha", "fallback_models": ["alpha"]}, 400, "own fallback"),
        ({"model": "alpha", "fallback_models": ["beta", "nothing"]}, 400, "nothing"),
        (
            {"model": "alpha", "fallback_models": ["beta"] * 2 + [f"wild/{i}" for i in range(20)]},
            400,
            "fallback_models",
        ),
        ({"model": "nothing", "fallback_models": ["beta"]}, 404, "nothing"),
        ({"model": "alpha", "fallback_models": ["beta"], "fallback_type": "x"}, 422, "fallback_type"),
        ({"model": 7, "fallback_models": ["beta"]}, 422, "model"),
        ({"model": "a\0", "fallback_models": ["beta"]}, 400, "model"),
    ],
)
def test_bad_input_is_named_and_nothing_is_stored(api: Api, body: Any, status: int, word: str) -> None:
    answer = api.post("/fallback", body)
    assert (answer.status, word in answer.told) == (status, True), answer.text
    assert Fallback.objects.count() == 0
    assert api.get("/fallback/alpha", {"fallback_type": "x"}).status == 400


def test_what_is_stored_wins_over_the_file_which_is_changed_there(api: Api, settings: Any) -> None:
    settings.FALLBACKS = read_fallbacks({"fallbacks": [{"alpha": ["beta"]}], "default_fallbacks": ["gamma"]})
    assert (in_force("alpha"), in_force("beta")) == (("beta",), ("gamma",))
    refused = gone(api, "/fallback/alpha")
    assert (refused.status, "configuration file" in refused.text) == (400, True)
    set_(api, to=["gamma"])
    assert in_force("alpha") == ("gamma",)
    assert gone(api, "/fallback/alpha").status == 200
    assert in_force("alpha") == ("beta",)


def test_every_change_is_announced_and_audited(api: Api) -> None:
    for change in (lambda: set_(api), lambda: set_(api, to=["gamma"]), lambda: gone(api, "/fallback/alpha")):
        announced = PolicyChange.objects.filter(scope=CATALOG).count()
        assert change().status == 200
        assert PolicyChange.objects.filter(scope=CATALOG).count() == announced + 1
    actions = AuditEvent.objects.filter(object_type="proxy.Fallback").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["fallback.created", "fallback.updated", "fallback.deleted"]


def test_only_platform_admins_may(api: Api) -> None:
    plain = api.key()["key"]
    for answer in (
        api.post("/fallback", {"model": "alpha", "fallback_models": ["beta"]}, bearer=plain),
        api.get("/fallback", bearer=plain),
        gone(api, "/fallback/alpha", bearer=plain),
        api.get("/router/settings", bearer=plain),
    ):
        assert answer.status == 401


def test_the_routers_settings_are_described_and_shown(api: Api, settings: Any) -> None:
    settings.FALLBACKS = read_fallbacks({"context_window_fallbacks": [{"alpha": ["gamma"]}]})
    settings.CALL_DEFAULTS = CallDefaults(timeout_seconds=45, max_retries=0)
    set_(api)
    told = api.get("/router/settings").json
    assert told["current_values"] == {
        "fallbacks": [{"alpha": ["beta"]}],
        "context_window_fallbacks": [{"alpha": ["gamma"]}],
        "content_policy_fallbacks": [],
        "max_fallbacks": 5,
        "enable_tag_filtering": False,
        "routing_strategy": "simple-shuffle",
        "num_retries": 0,
        "max_retries": 0,
        "timeout": 45,
        "retry_after": 0,
        "allowed_fails": None,
        "cooldown_time": 0,
        "model_group_alias": {},
    }
    assert told["routing_strategy_descriptions"].keys() == {"simple-shuffle"}
    assert {row["field_name"]: row["field_value"] for row in told["fields"]} == told["current_values"]
    assert {row["field_value"] for row in api.get("/router/fields").json["fields"]} == {None}
    assert api.get("/get/config/callbacks").json["router_settings"] == told["current_values"]
