"""Nobody gets at the rights of somebody stronger through a key: a key has the rights of its owner."""

import pytest

from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, OrganizationMembership, Team, User
from teams.services import default_organization
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person
from tests.factories import issue


@pytest.fixture
def boss(db: None) -> User:
    """Admin of the default organization, which is everybody's home."""
    user, role = person("boss"), OrganizationMembership.Role.ADMIN
    place = OrganizationMembership(organization=default_organization(), user=user, role=role)
    services.join_organization(place, actor=SYSTEM)
    return user


@pytest.fixture
def strong(ada: User, search: Team) -> list[User]:
    """Members of `search` who may do more than its admin and its organization's."""
    elsewhere, abroad = person("elsewhere"), person("abroad")
    south = organization_of("south", elsewhere)
    far = services.create_team(Team(organization=south), actor=SYSTEM)
    services.add_member(Membership(team=far, user=abroad, role=Membership.Role.ADMIN), actor=SYSTEM)
    root = person("root", is_superuser=True)
    people = [ada, person("vera", role=User.Role.PROXY_ADMIN_VIEWER), root, elsewhere, abroad]
    for user in people:
        services.add_member(Membership(team=search, user=user), actor=SYSTEM)
    return people


def test_leaders_make_no_personal_keys_for_who_may_do_more(
    api: Api, search: Team, grace: User, boss: User, strong: list[User]
) -> None:
    spare = issue(user=person("mia"))[0]
    for leader in (grace, boss):
        secret = key_of(leader)
        for user in strong:
            assert api.post("/key/generate", {"user_id": user.public_id}, bearer=secret).status == 403
            moved = api.post("/key/update", {"key": spare.token, "user_id": user.public_id}, bearer=secret)
            assert moved.status == 403
            personal, old = issue(user=user)
            assert api.post(f"/key/{personal.token}/regenerate", {}, bearer=secret).status == 403
            assert api.get("/key/info", bearer=old).status == 200


def test_keys_of_a_team_that_leaders_make_do_nothing_that_these_may_not(
    api: Api, search: Team, grace: User, boss: User, strong: list[User]
) -> None:
    for leader in (grace, boss):
        for user in strong:
            body = {"team_id": search.public_id, "user_id": user.public_id}
            made = api.post("/key/generate", body, bearer=key_of(leader))
            assert made.status == 200, made.text
            new = api.post(f"/key/{made.json['token']}/regenerate", {}, bearer=key_of(leader)).json["key"]
            assert api.get("/budget/list", bearer=new).status in (401, 403)
            for path, wanted in (("/user/new", {}), ("/team/new", {"organization_id": "south"}), ("/key/generate", {})):
                answer = api.post(path, wanted, bearer=new)
                own = path == "/key/generate" and answer.status == 200 and answer.json["team_id"] == search.public_id
                assert own or answer.status in (401, 403), answer.text


def test_leaders_make_keys_for_those_they_lead(api: Api, search: Team, grace: User, boss: User) -> None:
    services.add_member(Membership(team=search, user=person("mia")), actor=SYSTEM)
    body = {"team_id": search.public_id, "user_id": "mia"}
    for leader in (grace, boss):
        assert api.post("/key/generate", body, bearer=key_of(leader)).status == 200
    assert api.post("/key/generate", {"user_id": grace.public_id}, bearer=key_of(boss)).status == 200


def test_nobody_invites_a_superuser_or_changes_one(api: Api, boss: User) -> None:
    person("root", is_superuser=True)
    for path, body in (
        ("/invitation/new", {}),
        ("/user/update", {"max_budget": 0}),
        ("/user/delete", {"user_ids": ["root"]}),
    ):
        assert api.post(path, {"user_id": "root"} | body, bearer=key_of(boss)).status == 403


def test_a_key_of_a_team_shows_no_other_organization_of_its_owner(api: Api, search: Team, linus: User) -> None:
    services.add_member(Membership(team=search, user=linus), actor=SYSTEM)
    secret = issue(team=search, user=linus)[1]
    abroad = organization_of("abroad", linus)
    assert abroad.public_id in api.get("/organization/list", bearer=key_of(linus)).text
    assert abroad.public_id not in api.get("/organization/list", bearer=secret).text
    asked = api.get("/organization/info", {"organization_id": abroad.public_id}, bearer=secret)
    assert asked.status in (403, 404) and "members" not in asked.text


def test_nobody_invites_somebody_who_may_do_more(api: Api) -> None:
    boss = person("boss")
    home = organization_of("home", admin=boss)
    organization_of("north", admin=person("mia", organization=home))
    answer = api.post("/invitation/new", {"user_id": "mia"}, bearer=key_of(boss))
    assert (answer.status, answer.error["param"]) == (403, "user_id")
    assert api.post("/invitation/new", {"user_id": "mia"}).status == 200


@pytest.mark.parametrize("gains", ["platform", "organization"])
def test_an_invitation_of_somebody_weaker_ends_when_its_person_gets_rights(api: Api, gains: str) -> None:
    boss = person("boss")
    person("mia", organization=organization_of("home", admin=boss))
    organization_of("north")
    links = [
        api.post("/invitation/new", {"user_id": "mia"}, **how).json["id"] for how in ({"bearer": key_of(boss)}, {})
    ]
    if gains == "platform":
        api.post("/user/update", {"user_id": "mia", "user_role": "proxy_admin"})
    else:
        body = {"organization_id": "north", "member": {"role": "org_admin", "user_id": "mia"}}
        assert api.post("/organization/member_add", body).status == 200
    claims = [{"invitation_link": link, "user_id": "mia", "password": "correct-horse-7"} for link in links]
    assert [api.post("/onboarding/claim_token", claim).status for claim in claims] == [401, 200]
