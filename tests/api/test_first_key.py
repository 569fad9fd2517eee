"""The key that /user/new makes: what is said about keys in the body is said about it."""

from typing import Any

import pytest

from keys.key_rules import read_key_rules
from keys.models import VirtualKey
from teams.models import User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person

_FIELDS: dict[str, Any] = {
    "config": {"a": 1},
    "permissions": {"get_spend_routes": True},
    "allowed_cache_controls": ["no-cache"],
    "metadata": {"owner": "finance"},
    "enforced_params": ["user"],
    "budget_fallbacks": {"gpt-4o": ["gpt-4o-mini"]},
    "auto_rotate": True,
    "rotation_interval": "30d",
}


def test_it_has_the_fields_that_a_generated_key_would_have(api: Api) -> None:
    made = api.post("/user/new", {"user_id": "mia", "tags": ["t"]} | _FIELDS)
    assert made.status == 200, made.text
    info = api.get("/key/info", {"key": made.json["key"]}).json["info"]
    generated = api.get("/key/info", {"key": api.key(tags=["t"], **_FIELDS)["key"]}).json["info"]
    for field in _FIELDS:
        assert info[field] == generated[field], field
    assert info["metadata"]["owner"] == "finance"
    assert User.objects.get(public_id="mia").metadata["owner"] == "finance"


def test_who_is_made_without_one_has_an_empty_key_and_no_other_field_of_one(api: Api) -> None:
    made = api.post("/user/new", {"user_id": "mia", "auto_create_key": False}).json
    assert made["key"] == ""
    assert {made[name] for name in ("key_name", "key_alias", "token", "token_id", "expires")} == {None}
    assert not VirtualKey.objects.exists()


def test_limits_inside_metadata_are_the_persons_alone(api: Api) -> None:
    api.post("/user/new", {"user_id": "mia", "metadata": {"model_rpm_limit": {"demo": 5}, "a": 1}})
    user = User.objects.get(public_id="mia")
    key = VirtualKey.objects.get(user=user)
    assert (user.model_limits, key.model_limits, key.metadata) == ({"demo": {"rpm": 5}}, {}, {"a": 1})


@pytest.mark.parametrize("field", ["permissions", "allowed_routes"])
def test_what_only_admins_write_nobody_else_writes_here(api: Api, field: str) -> None:
    boss = person("boss")
    organization_of("north", boss)
    value = ["/key/info"] if field == "allowed_routes" else {"get_spend_routes": True}
    body = {"user_id": "mia", "organizations": ["north"], field: value}
    answer = api.post("/user/new", body, bearer=key_of(boss))
    assert (answer.status, answer.error["param"]) == (403, field)
    assert not User.objects.filter(public_id="mia").exists()


@pytest.mark.parametrize("field", ["agent_id", "tag_rpm_limit", "config"])
def test_what_a_key_refuses_makes_nobody(api: Api, field: str) -> None:
    answer = api.post("/user/new", {"user_id": "mia", field: "x"})
    assert (answer.status in (400, 422), answer.fault) == (True, field)
    assert not User.objects.filter(public_id="mia").exists()


@pytest.mark.parametrize(
    ("rule", "body", "status", "named"),
    [
        ({"upperbound_key_generate_params": {"duration": "30d"}}, {"duration": "3650d"}, 400, "duration"),
        ({"key_generation_settings": {"personal_key_generation": {"required_params": ["tags"]}}}, {}, 400, "tags"),
        ({"key_generation_settings": {"personal_key_generation": {"allowed_user_roles": ["proxy_admin"]}}}, {}, 400,
         None),
        ({"custom_key_generate": "tests.api.test_key_rules.refuses_big_budgets"}, {"max_budget": 6}, 403, None),
    ],
)  # fmt: skip
def test_what_the_file_says_of_new_keys_holds_for_it_too(
    api: Api, settings: Any, rule: dict[str, Any], body: dict[str, Any], status: int, named: str | None
) -> None:
    boss = person("boss")
    organization_of("north", boss)
    bearer = key_of(boss)
    settings.KEY_RULES = read_key_rules({}, rule)
    body = {"user_id": "mia", "organizations": ["north"], **body}
    answer = api.post("/user/new", body, bearer=bearer)
    assert (answer.status, answer.error["param"]) == (status, named), answer.text
    assert not User.objects.filter(public_id="mia").exists()
    assert api.post("/user/new", {**body, "auto_create_key": False}, bearer=bearer).status == 200


def test_it_gets_the_upper_bounds_and_no_defaults(api: Api, settings: Any) -> None:
    bounds, defaults = {"max_budget": 10, "duration": "30d"}, {"models": ["a"], "rpm_limit": 7}
    rules = {"upperbound_key_generate_params": bounds, "default_key_generate_params": defaults}
    settings.KEY_RULES = read_key_rules({}, rules)
    made = api.post("/user/new", {"user_id": "mia", "max_budget": 100}).json
    key = VirtualKey.objects.get(user__public_id="mia")
    assert (made["max_budget"], key.max_budget_nano, key.expires_at is None) == (100, 10 * 10**9, False)
    assert (key.allowed_models, key.rpm_limit) == ([], None)
