"""An empty text where something is made is what forms send for "not set"; in a change it clears nothing."""

from typing import Any

import pytest

from keys.models import VirtualKey
from proxy.services import sync_providers
from teams.models import Team, User
from tests.api.conftest import Api

_OF_KEYS = (
    "key", "user_id", "team_id", "project_id", "organization_id", "budget_id", "duration", "expires", "budget_duration",
    "rotation_interval", "key_alias",
)  # fmt: skip
_OF_PEOPLE = (*_OF_KEYS, "user_email", "user_alias", "user_role", "sso_user_id")
_OF_TEAMS = (
    "team_id", "team_alias", "organization_id", "budget_id", "budget_duration", "team_member_budget_duration",
    "team_member_key_duration",
)  # fmt: skip


def test_a_new_key_takes_empty_texts_for_absent_ones(api: Api) -> None:
    made = api.post("/key/generate", dict.fromkeys(_OF_KEYS, ""))
    assert made.status == 200, made.text
    key = VirtualKey.objects.get(token=made.json["token"])
    assert (key.user, key.team, key.shared_budget, key.budget_duration, key.expires_at) == (None, None, None, "", None)
    assert made.json["key"].startswith("sk-")


def test_a_new_person_takes_empty_texts_for_absent_ones(api: Api) -> None:
    made = api.post("/user/new", dict.fromkeys(_OF_PEOPLE, ""))
    assert made.status == 200, made.text
    assert made.json["user_id"]
    assert (made.json["user_email"], made.json["user_alias"], made.json["budget_duration"]) == (None, None, None)
    assert api.post("/user/new", dict.fromkeys(_OF_PEOPLE, "")).status == 200


def test_a_new_team_takes_empty_texts_for_absent_ones(api: Api) -> None:
    made = api.post("/team/new", dict.fromkeys(_OF_TEAMS, ""))
    assert made.status == 200, made.text
    assert made.json["team_id"]
    assert (made.json["budget_duration"], made.json["team_member_budget_table"]) == (None, None)


def test_a_key_of_a_person_with_an_empty_owner_is_the_persons(api: Api, grace: User) -> None:
    bearer = api.key(user_id=grace.public_id)["key"]
    made = api.post("/key/generate", {"user_id": "", "team_id": ""}, bearer=bearer)
    assert (made.status, made.json["user_id"]) == (200, grace.public_id)


def test_a_service_account_still_names_its_team(api: Api) -> None:
    answer = api.post("/key/service-account/generate", {"team_id": ""})
    assert (answer.status, answer.fault) == (400, "team_id")


@pytest.mark.parametrize("field", ["user_id", "budget_duration", "budget_id"])
def test_a_change_of_a_key_refuses_an_empty_text(api: Api, grace: User, search: Team, field: str) -> None:
    made = api.key(user_id=grace.public_id, budget_duration="30d", max_budget=5)
    answer = api.post("/key/update", {"key": made["key"], field: ""})
    assert (answer.status, answer.fault) == (400, field)


def test_but_where_clients_send_it_of_every_key_it_changes_nothing(api: Api, search: Team) -> None:
    made = api.key(team_id=search.public_id, duration="30d")
    blanks = dict.fromkeys(("team_id", "organization_id", "duration"), "")
    changed = api.post("/key/update", {"key": made["key"], "rpm_limit": 5, **blanks})
    assert (changed.status, changed.json["rpm_limit"], changed.json["team_id"]) == (200, 5, search.public_id)
    assert changed.json["expires"] == made["expires"]


@pytest.mark.parametrize("path", ["/budget/new", "/organization/new", "/customer/new", "/tag/new"])
def test_limits_of_whatever_is_made_may_be_empty_texts(api: Api, path: str) -> None:
    named = {"organization_alias": "new", "user_id": "new", "name": "new"}
    assert api.post(path, {**named, "budget_id": "", "budget_duration": ""}).status == 200


@pytest.mark.parametrize(("path", "name"), [("/team/update", "team_id"), ("/user/update", "user_id")])
@pytest.mark.parametrize("field", ["budget_duration", "budget_id"])
def test_a_change_of_anything_else_does_too(
    api: Api, grace: User, search: Team, path: str, name: str, field: str
) -> None:
    body: dict[str, Any] = {name: (search if name == "team_id" else grace).public_id}
    answer = api.post(path, {**body, field: ""})
    assert (answer.status, answer.fault) == (400, field)


@pytest.mark.parametrize("scope", ["team", "organization"])
def test_a_member_is_named_by_the_one_of_id_and_address_that_is_not_empty(
    api: Api, search: Team, linus: User, scope: str
) -> None:
    role = "user" if scope == "team" else "internal_user"
    where = {f"{scope}_id": (search if scope == "team" else search.organization).public_id}
    by_address = {"user_id": "", "user_email": linus.email}
    for named in (by_address, {"user_id": linus.public_id, "user_email": ""}):
        joined = api.post(f"/{scope}/member_add", where | {"member": named | {"role": role}})
        assert joined.status == 200, joined.text
        assert [user["user_id"] for user in joined.json["updated_users"]] == [linus.public_id]
        changed = api.post(f"/{scope}/member_update", where | named | {"rpm_limit": 5})
        assert (changed.status, changed.json["user_id"]) == (200, linus.public_id)
        assert api.post(f"/{scope}/member_delete", where | named).status == 200
    for path, body in (("add", {"member": dict.fromkeys(by_address, "") | {"role": role}}), ("delete", {})):
        assert api.post(f"/{scope}/member_{path}", where | dict.fromkeys(by_address, "") | body).status in (400, 422)


def test_secrets_that_a_model_does_not_have_may_be_sent_empty(api: Api) -> None:
    sync_providers()
    prices = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    params = {"model": "openai/gpt-4o-mini", "aws_access_key_id": "", "vertex_credentials": "", **prices}
    made = api.post("/model/new", {"model_name": "m", "litellm_params": params})
    assert made.status == 200, made.text


def test_an_organization_keeps_its_alias_where_a_null_is_sent(api: Api) -> None:
    made = api.post("/organization/new", {"organization_alias": "north"}).json["organization_id"]
    sent = {"organization_id": made, "organization_alias": None, "max_budget": 5}
    assert api.patch("/organization/update", sent).json["organization_alias"] == "north"
    assert api.post("/organization/new", {"organization_alias": None}).status in (400, 422)
