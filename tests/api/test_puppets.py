"""Nobody raises the own limits, nor leaves them behind: not with somebody else's key either, whose secret they know."""

from typing import Any

import pytest

from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, OrganizationMembership, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person


@pytest.fixture
def xavier(db: None) -> User:
    return person("xavier")


@pytest.fixture
def in_team(api: Api, xavier: User, search: Team) -> str:
    """The key of a second admin of the team, made by the first, whose place there has a budget."""
    services.add_member(Membership(team=search, user=xavier, role="admin", max_budget_nano=10**9), actor=SYSTEM)
    secret, team = key_of(xavier), search.public_id
    api.post("/team/member_add", {"team_id": team, "member": {"role": "admin", "user_id": "puppet"}}, bearer=secret)
    made: str = api.post("/key/generate", {"team_id": team, "user_id": "puppet"}, bearer=secret).json["key"]
    return made


@pytest.fixture
def in_organization(api: Api, xavier: User) -> str:
    organization_of("north", xavier)
    OrganizationMembership.objects.filter(user=xavier).update(max_budget_nano=10**9)
    User.objects.filter(pk=xavier.pk).update(max_budget_nano=10**9)
    secret = key_of(xavier)
    api.post("/user/new", {"user_id": "puppet", "organizations": ["north"], "auto_create_key": False}, bearer=secret)
    place = {"organization_id": "north", "user_id": "puppet", "role": "org_admin"}
    api.patch("/organization/member_update", place, bearer=secret)
    made: str = api.post("/key/generate", {"user_id": "puppet"}, bearer=secret).json["key"]
    return made


def test_the_place_in_a_team(api: Api, search: Team, xavier: User, in_team: str) -> None:
    more = {"team_id": search.public_id, "user_id": "xavier", "max_budget_in_team": 100}
    assert api.post("/team/member_update", more, bearer=in_team).status == 403
    again = api.post(f"/team/{search.public_id}/member/xavier/reset_spend", {"reset_to": 0}, bearer=in_team)
    assert again.status == 403
    assert Membership.objects.get(user=xavier).max_budget_nano == 10**9


def test_the_place_in_an_organization(api: Api, xavier: User, in_organization: str) -> None:
    more: dict[str, Any] = {"organization_id": "north", "user_id": "xavier", "max_budget_in_organization": 100}
    assert api.patch("/organization/member_update", more, bearer=in_organization).status == 403
    gone = api.delete("/organization/member_delete", more, bearer=in_organization)
    assert gone.status == 403
    assert OrganizationMembership.objects.get(user=xavier).max_budget_nano == 10**9


def test_the_personal_budget(api: Api, xavier: User, in_organization: str) -> None:
    refused = api.post("/user/update", {"user_id": "xavier", "max_budget": 100}, bearer=in_organization)
    assert refused.status == 403
    assert api.post("/user/update", {"user_id": "puppet", "max_budget": 5}, bearer=key_of(xavier)).status == 200


def test_a_place_in_a_team_that_everybody_may_join_is_not_left_for_one_without_limits(
    api: Api, search: Team, xavier: User, in_team: str, settings: Any
) -> None:
    settings.LITELLM_SETTINGS = {"default_internal_user_params": {"available_teams": [search.public_id]}}
    place = {"team_id": search.public_id, "user_id": "xavier"}
    for bearer in (key_of(xavier), in_team):
        assert api.post("/team/member_delete", place, bearer=bearer).status == 403
    assert api.post("/team/member_delete", place).status == 200


def test_renewing_a_key_changes_it_only_for_who_may_change_it(api: Api, search: Team, xavier: User) -> None:
    services.add_member(Membership(team=search, user=xavier), actor=SYSTEM)
    api.post("/team/permissions_update", {
        "team_id": search.public_id, "team_member_permissions": ["/key/regenerate"],
    })  # fmt: skip
    key = api.key(team_id=search.public_id, tpm_limit=5, key_alias="theirs")["token"]
    freed = api.post("/key/regenerate", {"key": key, "tpm_limit": None}, bearer=key_of(xavier))
    assert freed.status == 401
    renewed = api.post("/key/regenerate", {"key": key, "grace_period": "1h"}, bearer=key_of(xavier))
    assert (renewed.status, renewed.json["tpm_limit"]) == (200, 5)


def test_the_budget_of_all_members(api: Api, search: Team, xavier: User, in_team: str) -> None:
    team = search.public_id
    Membership.objects.filter(user=xavier).update(max_budget_nano=None)
    assert api.post("/team/update", {"team_id": team, "team_member_budget": 3}).status == 200
    Membership.objects.filter(user=xavier).update(shared_budget=Team.objects.get(pk=search.pk).member_budget)
    api.post("/team/member_update", {"team_id": team, "user_id": "puppet", "budget_id": None})
    more = {"team_id": team, "team_member_budget": 300}
    assert api.post("/team/update", more, bearer=in_team).status == 403
