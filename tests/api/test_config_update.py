"""/config/update: fallbacks are stored; whatever the file sets is refused by name."""

from typing import Any

import pytest

from proxy import services
from proxy.fallback_rules import read_fallbacks
from proxy.models import Fallback
from proxy.shelves import load_catalog
from teams.models import AuditEvent
from tests.api.conftest import Api
from tests.api.test_models import NEW
from tests.factories import NOON


@pytest.fixture(autouse=True)
def models(api: Api) -> None:
    services.sync_providers()
    for name in ("alpha", "beta", "gamma"):
        made = api.post("/model/new", {"model_name": name, "litellm_params": NEW["litellm_params"]})
        assert made.status == 200, made.text


def update(api: Api, **sections: Any) -> None:
    answer = api.post("/config/update", sections)
    assert (answer.status, answer.json) == (200, {"message": "Config updated successfully"}), answer.text


def in_force(model: str, kind: str = "general") -> tuple[str, ...]:
    return load_catalog(NOON).fallbacks.after(model, kind)


def test_a_list_of_fallbacks_replaces_the_stored_one(api: Api) -> None:
    update(api, router_settings={"fallbacks": [{"alpha": ["beta"]}, {"gamma": ["beta"]}]})
    assert (in_force("alpha"), in_force("gamma")) == (("beta",), ("beta",))
    update(
        api, litellm_settings={"fallbacks": [{"alpha": ["gamma"]}], "context_window_fallbacks": [{"beta": ["gamma"]}]}
    )
    assert (in_force("alpha"), in_force("gamma")) == (("gamma",), ())
    assert in_force("beta", "context_window") == ("gamma",)
    assert in_force("beta") == ()
    actions = AuditEvent.objects.filter(object_type="proxy.Fallback").order_by("pk").values_list("action", flat=True)
    assert sorted(actions[:2]) == ["fallback.created"] * 2
    assert sorted(actions[2:]) == ["fallback.created", "fallback.deleted", "fallback.updated"]


def test_default_fallbacks_take_over_from_every_other_model(api: Api) -> None:
    update(api, router_settings={"fallbacks": [{"alpha": ["beta"]}]})
    update(api, litellm_settings={"default_fallbacks": ["gamma"]})
    assert (in_force("alpha"), in_force("beta")) == (("beta",), ("gamma",))
    update(api, litellm_settings={"default_fallbacks": []})
    assert (in_force("alpha"), in_force("beta")) == (("beta",), ())


def test_what_is_sent_back_unchanged_is_no_change(api: Api, settings: Any) -> None:
    settings.FALLBACKS = read_fallbacks({"fallbacks": [{"alpha": ["beta"]}]})
    settings.GENERAL_SETTINGS = {"enforce_user_param": True}
    update(api, router_settings=api.get("/router/settings").json["current_values"], general_settings={})
    update(api, general_settings={"enforce_user_param": True})
    assert in_force("alpha") == ("beta",)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"general_settings": {"enforce_user_param": True}}, "general_settings.enforce_user_param"),
        ({"general_settings": {"master_key": "sk-1234567890"}}, "general_settings.master_key"),
        ({"router_settings": {"routing_strategy": "least-busy"}}, "router_settings.routing_strategy"),
        ({"router_settings": {"max_fallbacks": 7}}, "router_settings.max_fallbacks"),
        ({"litellm_settings": {"callbacks": ["langfuse"]}}, "litellm_settings.callbacks"),
        ({"environment_variables": {"OPENAI_API_KEY": "sk-not-to-be-shown"}}, "environment_variables.OPENAI_API_KEY"),
        ({"model_list": []}, "model_list"),
        ({"router_settings": []}, "router_settings"),
        ({"router_settings": {"fallbacks": [{"alpha": "beta"}]}}, "router_settings.fallbacks"),
        ({"router_settings": {"default_fallbacks": "beta"}}, "router_settings.default_fallbacks"),
        ({"router_settings": {"fallbacks": [{"alpha": ["nothing"]}]}}, "fallback_models"),
        ({"router_settings": {"fallbacks": [{"nothing": ["alpha"]}]}}, "model"),
        ({"litellm_settings": {"fallbacks": [{"beta": ["gamma"]}]}, "router_settings": {"x": 1}}, "router_settings.x"),
        ({"litellm_settings": {"fallbacks": [{"beta": ["gamma"]}, {"alpha": ["alpha"]}]}}, "fallback_models"),
    ],
)
def test_what_cannot_be_changed_here_is_named_and_nothing_is_written(api: Api, body: Any, named: str) -> None:
    answer = api.post("/config/update", body)
    assert (answer.status in (400, 422), answer.fault) == (True, named)
    assert "sk-" not in answer.text
    assert Fallback.objects.count() == 0


def test_only_platform_admins_may(api: Api) -> None:
    plain = api.key()["key"]
    for path in ("/config/update", "/config/field/update", "/config/field/delete"):
        assert api.post(path, {"field_name": "allowed_ips"}, bearer=plain).status == 401


def test_what_is_not_there_is_said_to_be_not_there(api: Api) -> None:
    assert api.get("/cache/ping").error["type"] == "cache_ping_error"
    assert {api.post(f"/cache/{what}").status for what in ("flushall", "delete")} == {400}
    assert api.get("/callbacks/list").json == {
        "success": [],
        "failure": [],
        "success_and_failure": ["prometheus"],
    }
    assert api.get("/callbacks/configs").json == api.get("/alerting/settings").json == []
    for path in ("/config/field/update", "/config/field/delete"):
        refused = api.post(path, {"field_name": "allowed_ips", "field_value": []})
        assert (refused.status, refused.error["param"]) == (400, "general_settings.allowed_ips")
