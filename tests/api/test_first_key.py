"""The key that /user/new makes: what is said about keys in the body is said about it."""

from typing import Any

import pytest

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
