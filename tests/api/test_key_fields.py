"""/key/generate and /key/update: every field that clients send is enforced, kept, or refused by name."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from keys.models import VirtualKey
from teams import services
from teams.actors import SYSTEM
from teams.models import Limits, Team
from tests.api.conftest import Api

ROW = {
    "key_name", "key_alias", "spend", "expires", "models", "aliases", "config", "router_settings", "user_id", "team_id",
    "agent_id", "project_id", "permissions", "max_parallel_requests", "metadata", "blocked", "tpm_limit", "rpm_limit",
    "max_budget", "soft_budget", "budget_duration", "budget_reset_at", "budget_limits", "budget_id", "model_spend",
    "model_max_budget", "allowed_cache_controls", "allowed_routes", "policies", "access_group_ids", "organization_id",
    "object_permission", "object_permission_id", "created_at", "created_by", "updated_at", "updated_by", "last_active",
    "auto_rotate", "rotation_interval", "rotation_count", "last_rotation_at", "key_rotation_at", "tags", "guardrails",
    "litellm_budget_table", "soft_budget_cooldown",
}  # fmt: skip
INSIDE = {
    "guardrails": ["pii"], "policies": ["p"], "prompts": ["p"], "enforced_params": ["user"],
    "rpm_limit_type": "best_effort_throughput", "allowed_passthrough_routes": ["/x"],
    "denied_passthrough_routes": ["/y"], "disable_global_guardrails": True, "enable_prompt_caching": True,
}  # fmt: skip
KEPT = {
    "config": {"a": 1}, "permissions": {"get_spend_routes": True}, "allowed_cache_controls": ["no-cache"],
    "router_settings": {"num_retries": 1}, "budget_fallbacks": {"gpt-4o": ["gpt-4o-mini", "house"]},
}  # fmt: skip
REFUSED = {
    "agent_id": "a", "end_user_budget_id": "unknown", "tpd_limit": 5,
    "tag_rpm_limit": {"a": 1}, "mcp_rpm_limit": {"a": 1}, "default_estimated_output_tokens": 9,
    "allowed_vector_store_indexes": ["i"], "throttle_on_budget_exceeded": True,
    "object_permission": {"mcp_servers": ["m"]}, "rpm_limit_type": "dynamic",
}  # fmt: skip


def test_answers_have_every_field_that_clients_read(api: Api) -> None:
    made = api.key()
    assert made.keys() >= {"key", "token", "token_id", "duration", "key_type"}
    assert made.keys() >= ROW
    assert api.get("/key/info", {"key": made["key"]}).json["info"].keys() >= ROW
    assert api.post("/key/update", {"key": made["key"]}).json.keys() >= ROW


@pytest.mark.parametrize("name", INSIDE)
def test_fields_that_live_in_metadata_are_kept_and_echoed(api: Api, name: str) -> None:
    made = api.key(**{name: INSIDE[name], "metadata": {"own": 1}})
    assert (made[name], made["metadata"]) == (INSIDE[name], {"own": 1, name: INSIDE[name]})
    assert api.post("/key/update", {"key": made["key"], name: None}).json[name] == INSIDE[name]
    info = api.get("/key/info", {"key": made["key"]}).json["info"]
    assert info["metadata"] == {"own": 1, name: INSIDE[name]}
    limits = {name: INSIDE[name]} if name in ("enforced_params", "tpm_limit_type", "rpm_limit_type") else {}
    assert api.post("/key/update", {"key": made["key"], "metadata": {}}).json["metadata"] == limits


@pytest.mark.parametrize("name", KEPT)
def test_fields_without_a_meaning_here_are_kept_until_null_clears_them(api: Api, name: str) -> None:
    made = api.key(**{name: KEPT[name]})
    assert made[name] == KEPT[name]
    assert api.post("/key/update", {"key": made["key"], "key_alias": "x"}).json[name] == KEPT[name]
    assert not api.post("/key/update", {"key": made["key"], name: None}).json[name]


@pytest.mark.parametrize("name", REFUSED)
def test_a_field_that_promises_what_no_call_keeps_to_is_refused_by_name(api: Api, name: str) -> None:
    answer = api.post("/key/generate", {name: REFUSED[name]})
    assert (answer.status, answer.error["param"]) == (400, name)
    empty: Any = type(REFUSED[name])()
    for value in (None, empty or None):
        assert api.post("/key/generate", {name: value}).status == 200


def test_tolerated_fields_change_nothing(api: Api) -> None:
    assert api.post("/key/generate", {"send_invite_email": True, "spend": 0, "object_permission": {}}).status == 200


@pytest.mark.parametrize(
    ("kind", "routes"), [("default", []), ("llm_api", ["llm_api_routes"]), ("read_only", ["info_routes"])]
)
def test_the_type_of_a_key_is_shown(api: Api, kind: str, routes: list[str]) -> None:
    made = api.key(key_type=kind)
    assert (made["key_type"], made["allowed_routes"]) == (kind, routes)


def test_a_rotation_is_planned(api: Api) -> None:
    made = api.key(auto_rotate=True, rotation_interval="30d")
    row = VirtualKey.objects.get(token=made["token"])
    assert row.rotate_at is not None
    assert abs(row.rotate_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)
    assert (made["auto_rotate"], made["rotation_interval"], made["rotation_count"]) == (True, "30d", 0)
    again = api.post("/key/update", {"key": made["key"], "key_alias": "x"}).json
    assert again["key_rotation_at"] == made["key_rotation_at"]
    off = api.post("/key/update", {"key": made["key"], "auto_rotate": False}).json
    assert (off["key_rotation_at"], off["rotation_interval"]) == (None, "30d")


@pytest.mark.parametrize("body", [{"auto_rotate": True}, {"auto_rotate": True, "rotation_interval": "soon"}])
def test_a_rotation_needs_an_interval(api: Api, body: dict[str, Any]) -> None:
    answer = api.post("/key/generate", body)
    assert (answer.status, answer.error["param"]) == (400, "rotation_interval")


def test_guaranteed_rates_are_not_sold_twice(api: Api, search: Team) -> None:
    search.rpm_limit = 100
    services.update_limits(search, actor=SYSTEM)
    body = {"team_id": search.public_id, "rpm_limit_type": "guaranteed_throughput", "rpm_limit": 60}
    made = api.key(**body)
    answer = api.post("/key/generate", body)
    assert (answer.status, answer.error["param"]) == (400, "rpm_limit")
    assert api.post("/key/generate", {**body, "rpm_limit": 40}).status == 200
    assert api.post("/key/update", {"key": made["key"], "rpm_limit": 61}).status == 400
    assert api.post("/key/generate", {**body, "rpm_limit_type": "best_effort_throughput"}).status == 200


@pytest.mark.parametrize(("kind", "owner"), [("rpm", "team"), ("tpm", "team"), ("rpm", "organization")])
def test_guaranteed_rates_of_a_model_are_not_sold_twice(api: Api, search: Team, kind: str, owner: str) -> None:
    above: Limits = search if owner == "team" else search.organization
    above.model_limits = {"gpt-4o": {kind: 5}, "openai/*": {kind: 10}}
    services.update_limits(above, actor=SYSTEM)
    field = f"model_{kind}_limit"
    body = {f"{kind}_limit_type": "guaranteed_throughput", field: {"gpt-4o": 4}}
    body |= {"team_id": search.public_id} if owner == "team" else {}
    made = api.key(**body)
    answer = api.post("/key/generate", body)
    assert (answer.status, answer.error["param"]) == (400, field)
    assert "4 of 5 per minute of 'gpt-4o'" in answer.text
    assert api.post("/key/generate", {**body, field: {"gpt-4o": 1}}).status == 200
    assert api.post("/key/generate", {**body, field: {"other": 100}}).status == 200
    assert api.post("/key/generate", {**body, f"{kind}_limit_type": "best_effort_throughput"}).status == 200
    assert api.post("/key/update", {"key": made["key"], field: {"gpt-4o": 5}}).status == 400
    assert api.post("/key/update", {"key": made["key"], field: {"gpt-4o": 3}}).status == 200


def test_models_that_an_entry_of_the_team_covers_share_its_rate(api: Api, search: Team) -> None:
    search.model_limits = {"openai/*": {"rpm": 10}}
    services.update_limits(search, actor=SYSTEM)
    body: dict[str, Any] = {"team_id": search.public_id, "rpm_limit_type": "guaranteed_throughput"}
    # What the wider of two entries of a key covers counts once.
    api.key(**body, model_rpm_limit={"openai/*": 6, "openai/gpt-4o": 6})
    assert api.post("/key/generate", {**body, "model_rpm_limit": {"openai/a": 3, "openai/b": 2}}).status == 400
    assert api.post("/key/generate", {**body, "model_rpm_limit": {"openai/a": 2, "openai/b": 2}}).status == 200


def test_a_rate_of_a_model_is_within_the_whole_rate_of_the_team(api: Api, search: Team) -> None:
    search.rpm_limit = 100
    services.update_limits(search, actor=SYSTEM)
    body = {
        "team_id": search.public_id, "rpm_limit_type": "guaranteed_throughput", "model_rpm_limit": {"gpt-4o": 60},
    }  # fmt: skip
    api.key(**body)
    answer = api.post("/key/generate", body)
    assert (answer.status, answer.error["param"]) == (400, "model_rpm_limit")


def test_a_lowered_limit_of_the_team_stops_no_other_change_of_a_key(api: Api, search: Team) -> None:
    body = {"team_id": search.public_id, "rpm_limit_type": "guaranteed_throughput"}
    made = api.key(**body, model_rpm_limit={"gpt-4o": 60}, rpm_limit=60)
    search.rpm_limit, search.model_limits = 5, {"gpt-4o": {"rpm": 5}}
    services.update_limits(search, actor=SYSTEM)
    assert api.post("/key/update", {"key": made["key"], "key_alias": "other"}).status == 200
    assert api.post("/key/update", {"key": made["key"], "model_rpm_limit": {"gpt-4o": 59}}).status == 400


def test_a_soft_budget_is_told_where_clients_look_for_it(api: Api) -> None:
    made = api.post("/key/generate", {"soft_budget": 2, "max_budget": 9}).json
    assert made["litellm_budget_table"]["soft_budget"] == 2
    shown = api.get("/key/info", {"key": made["key"]}).json["info"]["litellm_budget_table"]
    assert (shown["soft_budget"], shown["budget_id"]) == (2, None)
    assert api.post("/key/generate", {"max_budget": 9}).json["litellm_budget_table"] is None
