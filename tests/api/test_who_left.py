"""Who was demoted, blocked or taken out reaches nothing by what they made before, nor by who is somewhere else."""

import pytest

from teams import departures, services
from teams.actors import SYSTEM
from teams.models import Membership, OrganizationMembership, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person


@pytest.fixture
def xavier(db: None) -> User:
    return person("xavier")


@pytest.mark.parametrize("deed", ["demoted", "blocked", "deleted"])
def test_an_admins_invitation_of_an_admin_ends_with_the_rights(api: Api, ada: User, deed: str) -> None:
    former = person("former", role=User.Role.PROXY_ADMIN)
    person("target", role=User.Role.PROXY_ADMIN)
    invited = api.post("/invitation/new", {"user_id": "target"}, bearer=key_of(former)).json
    if deed == "deleted":
        api.post("/user/delete", {"user_ids": ["former"]})
    else:
        change = {"user_role": "internal_user"} if deed == "demoted" else {"blocked": True}
        assert api.post("/user/update", {"user_id": "former", **change}).status == 200
    link = {"invitation_link": invited["id"], "user_id": "target", "password": "a-Long-enough-password-1"}
    assert api.post("/onboarding/claim_token", link).status in (400, 401, 403)
    assert not User.objects.get(public_id="target").has_usable_password()


def test_a_service_account_makes_keys_as_long_as_who_knows_it_may(api: Api, search: Team, xavier: User) -> None:
    services.add_member(Membership(team=search, user=xavier, role="admin"), actor=SYSTEM)
    secret = api.post("/key/service-account/generate", {"team_id": search.public_id}, bearer=key_of(xavier)).json["key"]
    assert api.post("/key/generate", {}, bearer=secret).status == 200
    departures.remove_member(Membership.objects.get(user=xavier), actor=SYSTEM)
    assert api.post("/key/generate", {}, bearer=secret).status == 401


def test_who_is_blocked_in_an_organization_leads_no_team_there(api: Api, search: Team, xavier: User) -> None:
    services.join_organization(OrganizationMembership(organization=search.organization, user=xavier), actor=SYSTEM)
    services.add_member(Membership(team=search, user=xavier, role="admin"), actor=SYSTEM)
    secret, body = key_of(xavier), {"team_id": search.public_id, "team_member_permissions": ["/key/generate"]}
    assert api.post("/team/permissions_update", body, bearer=secret).status == 200
    place = OrganizationMembership.objects.get(user=xavier, organization=search.organization)
    services.set_blocked(place, True, actor=SYSTEM)
    assert api.post("/team/permissions_update", body, bearer=secret).status in (401, 403)


def test_teams_of_other_organizations_are_not_shown_with_a_person(api: Api, search: Team, xavier: User) -> None:
    north = organization_of("north", xavier)
    both = person("both", organization=north)
    services.join_organization(OrganizationMembership(organization=search.organization, user=both), actor=SYSTEM)
    services.add_member(Membership(team=search, user=both), actor=SYSTEM)
    shown = api.get("/user/info", {"user_id": "both"}, bearer=key_of(xavier))
    assert (shown.status, shown.json["teams"]) == (200, [])
    assert [row["team_id"] for row in api.get("/user/info", {"user_id": "both"}).json["teams"]] == [search.public_id]


def test_an_admin_of_the_home_locks_nobody_out_who_leads_elsewhere(api: Api, xavier: User) -> None:
    north = organization_of("north", xavier)
    other = person("other", organization=north)
    organization_of("south", other)
    for change in ({"blocked": True}, {"user_email": "new@example.com"}, {"user_role": "internal_user_viewer"}):
        assert api.post("/user/update", {"user_id": "other", **change}, bearer=key_of(xavier)).status == 403, change
    assert api.post("/user/update", {"user_id": "other", "user_alias": "O"}, bearer=key_of(xavier)).status == 200


def test_a_kept_answer_stays_with_whose_the_key_was(api: Api, xavier: User, linus: User) -> None:
    secret = key_of(xavier)
    named = {"authorization": f"Bearer {secret}", "Idempotency-Key": "x1"}
    made = api.post("/key/generate", {"key_alias": "mine"}, headers=named).json["key"]
    api.post("/key/update", {"key": secret, "user_id": linus.public_id})
    again = api.post("/key/generate", {"key_alias": "mine"}, headers=named)
    assert made not in again.text
