"""Who is in a team, with which limits; and changes to teams and people."""

from decimal import Decimal
from typing import Any

import pytest

from keys.models import VirtualKey
from teams.models import Membership, Organization, Team, User
from tests.api.conftest import Api
from tests.factories import issue


def test_a_member_joins_with_a_budget_of_its_own(api: Api, search: Team, linus: User) -> None:
    body = {
        "team_id": search.public_id, "member": {"role": "admin", "user_id": linus.public_id},
        "max_budget_in_team": 1.5, "budget_duration": "1d", "allowed_models": ["gpt-4o"],
    }  # fmt: skip
    answer = api.post("/team/member_add", body)
    assert answer.status == 200, answer.text
    [row] = answer.json["updated_team_memberships"]
    assert (row["user_id"], row["litellm_budget_table"]["max_budget"]) == (linus.public_id, Decimal("1.5"))
    assert (row["allowed_models"], row["role"]) == (["gpt-4o"], "admin")
    assert [user["user_id"] for user in answer.json["updated_users"]] == [linus.public_id]
    assert [member["user_id"] for member in answer.json["members_with_roles"]] == [linus.public_id]


def test_several_join_at_once_and_the_unknown_are_made(api: Api, search: Team) -> None:
    members = [{"user_email": "new@example.com"}, {"user_id": "u7", "role": "user"}]
    answer = api.post("/team/member_add", {"team_id": search.public_id, "member": members})
    assert len(answer.json["updated_users"]) == 2
    assert set(search.members.values_list("organization_id", flat=True)) == {search.organization_id}


def test_who_is_in_already_is_refused_and_nobody_else_joins(api: Api, search: Team, grace: User) -> None:
    members = [{"user_id": "u7"}, {"user_id": grace.public_id}]
    answer = api.post("/team/member_add", {"team_id": search.public_id, "member": members})
    assert (answer.status, answer.error["type"]) == (400, "team_member_already_in_team")
    assert not User.objects.filter(public_id="u7").exists()


def test_a_team_that_names_somebody_twice_is_refused_in_the_same_words_and_not_made(api: Api) -> None:
    members = [{"role": "admin", "user_id": "u7"}, {"role": "user", "user_id": "u7"}]
    answer = api.post("/team/new", {"team_id": "twice", "members_with_roles": members})
    assert (answer.status, answer.error["type"]) == (400, "team_member_already_in_team")
    assert not Team.objects.filter(public_id="twice").exists()


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("add", {"member": {"user_id": "x"}, "team_id": "no"}, 404, "no"),
        ("add", {"member": {}}, 400, "user_id or user_email"),
        ("add", {"member": []}, 400, "member"),
        ("add", {}, 422, "member"),
        ("add", {"member": {"user_id": "x"}, "max_budget_in_team": -1}, 400, "max_budget_in_team"),
        ("update", {"user_id": "x"}, 400, "not in team"),
        ("update", {}, 400, "user_email"),
        ("delete", {"user_email": "x@example.com"}, 400, "not in team"),
    ],
)
def test_refusals_about_members_are_details(
    api: Api, search: Team, path: str, body: dict[str, Any], status: int, said: str
) -> None:
    answer = api.post(f"/team/member_{path}", {"team_id": search.public_id} | body)
    assert answer.status == status
    assert said in answer.told


def test_a_member_is_changed_and_only_where_named(api: Api, search: Team, grace: User) -> None:
    named = {"team_id": search.public_id, "user_email": "grace@example.com"}
    changed = api.post("/team/member_update", named | {"max_budget_in_team": 3, "tpm_limit": 9}).json
    assert (changed["max_budget_in_team"], changed["tpm_limit"], changed["role"]) == (3, 9, "admin")
    changed = api.post("/team/member_update", named | {"role": "user"}).json
    assert (changed["max_budget_in_team"], changed["role"], changed["user_id"]) == (3, "user", grace.public_id)


def test_a_member_leaves_with_the_keys_of_the_team_alone(api: Api, search: Team, grace: User) -> None:
    of_team, own = issue(team=search, user=grace)[0], issue(user=grace)[0]
    answer = api.post("/team/member_delete", {"team_id": search.public_id, "user_id": grace.public_id})
    assert (answer.status, answer.json["members_with_roles"]) == (200, [])
    assert not Membership.objects.exists()
    assert [VirtualKey.objects.get(pk=key.pk).status() for key in (of_team, own)] == ["deleted", "active"]


def test_a_team_is_changed_and_only_where_named(api: Api) -> None:
    api.post("/team/new", {"team_id": "t", "team_alias": "T", "max_budget": 5, "models": ["a"]})
    answer = api.post("/team/update", {"team_id": "t", "max_budget": 6, "model_aliases": {"fast": "a"}})
    assert (answer.json["team_id"], answer.json["data"]["max_budget"]) == ("t", 6)
    assert (answer.json["data"]["team_alias"], answer.json["data"]["models"]) == ("T", ["a"])
    assert api.post("/team/update", {"team_id": "t", "models": None}).json["data"]["models"] == []


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"team_id": "no"}, 404, "team_id"),
        ({}, 422, "team_id"),
        ({"team_id": "t", "soft_budget": 5}, 400, "soft_budget"),
        ({"team_id": "t", "max_budget": 11}, 400, "max_budget"),
        ({"team_id": "t", "organization_id": "other"}, 400, "organization_id"),
        ({"team_id": "t", "organization_id": "no"}, 400, "organization_id"),
    ],
)
def test_a_bad_change_of_a_team_names_its_field(api: Api, body: dict[str, Any], status: int, field: str) -> None:
    for public_id in ("small", "other"):
        api.post("/organization/new", {"organization_id": public_id, "organization_alias": "O", "max_budget": 10})
    assert api.post("/team/new", {"team_id": "t", "organization_id": "small", "max_budget": 5}).status == 200
    answer = api.post("/team/update", body)
    assert (answer.status, answer.fault) == (status, field)
    assert Organization.objects.get(public_id="small").teams.get().max_budget_nano == 5 * 10**9


def test_a_person_is_changed_by_id_or_email(api: Api, linus: User) -> None:
    answer = api.post("/user/update", {"user_id": linus.public_id, "user_alias": "L", "max_budget": 2})
    assert (answer.json["user_id"], answer.json["data"]["max_budget"]) == (linus.public_id, 2)
    answer = api.post("/user/update", {"user_email": "linus@example.com", "user_role": "internal_user_viewer"})
    assert answer.json["data"] | {"user_role": "internal_user_viewer", "user_alias": "L"} == answer.json["data"]
    api.post("/user/update", {"user_id": linus.public_id, "user_email": "l@example.com"})
    linus.refresh_from_db()
    assert (linus.email, linus.check_password("correct-horse-battery-staple")) == ("l@example.com", True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user_id": "no"}, 404),
        ({}, 422),
        ({"user_email": "linus@example.com", "password": "hunter2"}, 422),
        ({"user_email": "linus@example.com", "user_role": "king"}, 422),
        ({"user_email": "linus@example.com", "rpm_limit": -1}, 400),
    ],
)
def test_a_bad_change_of_a_person_is_refused(api: Api, linus: User, body: dict[str, Any], status: int) -> None:
    assert api.post("/user/update", body).status == status


def test_an_email_of_somebody_else_is_refused(api: Api, linus: User, grace: User) -> None:
    answer = api.post("/user/update", {"user_id": linus.public_id, "user_email": "grace@example.com"})
    assert answer.status == 400
