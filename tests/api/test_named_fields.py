"""Refusals name the field that the request has, whatever it is called elsewhere."""

from typing import Any

import pytest

from teams.models import Membership, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of


@pytest.fixture
def leader(api: Api) -> str:
    """A key of somebody who leads the team `t` of the organization `o`, and has limits in both."""
    api.post("/organization/new", {"organization_id": "o", "organization_alias": "O"})
    there = {"member": {"user_id": "lea", "role": "org_admin"}, "max_budget_in_organization": 5}
    api.post("/organization/member_add", {"organization_id": "o", **there})
    api.post("/team/new", {"team_id": "t", "organization_id": "o"})
    api.post("/team/member_add", {"team_id": "t", "member": {"user_id": "lea", "role": "admin"}})
    return key_of(User.objects.get(public_id="lea"))


@pytest.mark.parametrize("path", ["/team/member_add", "/team/member_update"])
@pytest.mark.parametrize("field", ["allowed_models", "max_budget_in_team", "budget_duration"])
def test_a_wrong_type_names_a_members_own_field(api: Api, leader: str, path: str, field: str) -> None:
    sent = {"team_id": "t", "user_id": "lea", "member": {"user_id": "new", "role": "user"}, field: True}
    answer = api.post(path, sent)
    assert (answer.status, answer.fault) == (422, field)


def test_a_wrong_alias_of_a_customer_names_it(api: Api) -> None:
    assert api.post("/customer/new", {"user_id": "c", "alias": 5}).fault == "alias"


def test_who_may_not_raise_a_limit_is_told_by_which_name_it_was_sent(api: Api) -> None:
    api.post("/team/new", {"team_id": "t", "team_member_budget": 5, "team_member_budget_duration": "30d"})
    limits = {"max_budget_in_team": 3, "allowed_models": ["a"]}
    api.post("/team/member_add", {"team_id": "t", "member": {"user_id": "lea", "role": "admin"}})
    api.post("/team/member_add", {"team_id": "t", "member": {"user_id": "bob", "role": "admin"}, **limits})
    lea, bob = (key_of(User.objects.get(public_id=name)) for name in ("lea", "bob"))
    for field, value in (("team_member_budget", 9), ("team_member_budget_duration", "1d")):
        refused = api.post("/team/update", {"team_id": "t", "max_budget": None, field: value}, bearer=lea)
        assert (refused.status, refused.error["param"]) == (403, field)
        assert refused.error["message"].startswith(f"{field}: ")
    for field, raised in (("max_budget_in_team", 9), ("allowed_models", ["a", "b"])):
        refused = api.post("/team/member_update", {"team_id": "t", "user_id": "bob", field: raised}, bearer=bob)
        assert (refused.status, refused.told.split(":")[0]) == (403, field)


def test_who_may_not_raise_a_limit_in_an_organization_is_told_its_name(api: Api, leader: str) -> None:
    sent = {"organization_id": "o", "user_id": "lea", "max_budget_in_organization": 9}
    refused = api.patch("/organization/member_update", sent, bearer=leader)
    assert (refused.status, refused.told.split(":")[0]) == (403, "max_budget_in_organization")


@pytest.mark.parametrize("field", ["organizations", "organization_id"])
def test_an_unknown_organization_of_a_new_person_names_the_list_it_is_in(api: Api, field: str) -> None:
    answer = api.post("/user/new", {field: ["x"] if field == "organizations" else "x"})
    assert (answer.status, answer.fault) == (400, field)


def test_a_team_named_twice_for_a_new_person_is_joined_once(api: Api) -> None:
    api.post("/team/new", {"team_id": "t"})
    answer = api.post("/user/new", {"user_id": "u", "teams": ["t", {"team_id": "t"}], "team_id": "t"})
    assert (answer.status, Membership.objects.filter(user__public_id="u").count()) == (200, 1)
    refused = api.post("/user/new", {"user_id": "v", "teams": ["t", {"team_id": "t", "max_budget_in_team": 5}]})
    assert (refused.status, refused.fault) == (400, "teams")


def _members(team: str) -> set[str]:
    return set(Membership.objects.filter(team__public_id=team).values_list("user__public_id", flat=True))


@pytest.mark.parametrize("user_id", ["grace", "unknown"])
def test_the_id_and_the_address_of_two_people_are_refused(api: Api, user_id: str) -> None:
    api.post("/team/new", {"team_id": "t"})
    api.post("/organization/new", {"organization_id": "o", "organization_alias": "O"})
    api.post("/user/new", {"user_id": "grace", "user_email": "grace@example.com"})
    api.post("/user/new", {"user_id": "linus", "user_email": "linus@example.com"})
    two = {"user_id": user_id, "user_email": "Linus@example.com", "role": "user"}
    place = {"organization_id": "o", "member": two | {"role": "internal_user"}}
    joined = api.post("/team/member_add", {"team_id": "t", "member": two})
    for answer in (joined, api.post("/organization/member_add", place)):
        assert (answer.status, answer.told.split(":")[0]) == (400, "user_email")
    answer = api.post("/team/new", {"team_id": "new", "members_with_roles": [two]})
    assert (answer.status, answer.fault) == (400, "user_email")
    assert not Team.objects.filter(public_id="new").exists()
    assert "grace" not in _members("t")
    one = {"user_id": "linus", "user_email": "LINUS@example.com", "role": "user"}
    assert api.post("/team/member_add", {"team_id": "t", "member": one}).status == 200


def test_a_person_named_twice_in_a_new_team_is_told_so(api: Api) -> None:
    one = [{"user_email": address, "role": "user"} for address in ("ann@example.com", "Ann@Example.com")]
    answer = api.post("/team/new", {"team_id": "t", "members_with_roles": one})
    assert (answer.status, "is already in team" in answer.text) == (400, True)
    assert not Team.objects.filter(public_id="t").exists()


@pytest.mark.parametrize("path", ["/user/list", "/v2/team/list"])
def test_an_order_that_there_is_not_is_told_all_that_there_are(api: Api, path: str) -> None:
    refused: Any = api.get(path, {"sort_by": "mood"})
    assert (refused.status, "spend" in refused.text) == (400, True)
    assert api.get(path, {"sort_by": "spend"}).status == 200
