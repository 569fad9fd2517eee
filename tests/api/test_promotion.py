"""Who gets rights gets them alone: not together with those who made the account, and know a key."""

from datetime import timedelta

import pytest
from django.utils import timezone

from keys import rotation
from keys.models import VirtualKey
from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, Team, User
from tests.api.conftest import Answer, Api
from tests.api.people import key_of, organization_of, person


@pytest.fixture
def boss(db: None) -> User:
    """Who leads the organization `home`, and nothing else."""
    user = person("boss")
    organization_of("home", admin=user)
    return user


def new_person(api: Api, maker: User, **body: object) -> str:
    """The first key of a new person of `home`, which its maker knows."""
    made = api.post("/user/new", {"user_id": "mia", "organizations": ["home"], **body}, bearer=key_of(maker))
    assert made.status == 200, made.text
    return str(made.json["key"])


def promote(api: Api, **how: str) -> Answer:
    return api.post("/user/update", {"user_id": "mia", "user_role": "proxy_admin"}, **how)


def test_a_key_that_somebody_weaker_made_does_no_more_than_that_one_may(api: Api, boss: User) -> None:
    first = new_person(api, boss)
    second = api.post("/key/generate", {}, bearer=first).json["key"]
    assert promote(api).status == 200
    for known in (first, second):
        refused = api.get("/budget/list", bearer=known)
        assert (refused.status, "everybody may who was given its secret" in refused.text) == (401, True)
        assert api.post("/user/update", {"user_id": "boss", "user_role": "proxy_admin"}, bearer=known).status == 403
        assert api.get("/key/info", bearer=known).status == 200
    for fresh in (api.post("/key/generate", {"user_id": "mia"}), api.post("/key/regenerate", {"key": second})):
        assert api.get("/budget/list", bearer=fresh.json["key"]).status == 200


def test_keys_that_the_platform_or_their_owner_made_get_their_owners_rights(api: Api) -> None:
    first = api.post("/user/new", {"user_id": "mia"}).json["key"]
    second = api.post("/key/generate", {}, bearer=first).json["key"]
    promote(api)
    for own in (first, second):
        assert api.get("/budget/list", bearer=own).status == 200


def test_keys_of_who_was_made_by_an_admin_stay_whoever_promotes(api: Api) -> None:
    first = new_person(api, person("chief", role=User.Role.PROXY_ADMIN), organizations=[])
    promote(api)
    assert api.get("/budget/list", bearer=first).status == 200


def test_a_new_secret_by_somebody_weaker_counts_as_one_that_is_known(api: Api, boss: User) -> None:
    home = boss.organization_memberships.get().organization
    own = key_of(person("mia", organization=home))
    new = api.post("/key/regenerate", {"key": own}, bearer=key_of(boss)).json["key"]
    promote(api)
    assert api.get("/budget/list", bearer=new).status == 401


def test_a_known_key_that_renews_itself_is_known_as_before(api: Api, boss: User) -> None:
    known = new_person(api, boss)
    new = api.post("/key/regenerate", {"key": known}, bearer=known).json["key"]
    promote(api)
    assert api.get("/budget/list", bearer=new).status == 401


def test_keys_stay_as_they_are_where_their_maker_may_do_as_much(api: Api, boss: User) -> None:
    first = new_person(api, boss)
    home = boss.organization_memberships.get().organization
    team = services.create_team(Team(organization=home), actor=SYSTEM)
    body = {"team_id": team.public_id, "member": {"role": "admin", "user_id": "mia"}}
    assert api.post("/team/member_add", body, bearer=key_of(boss)).status == 200
    asked = api.post("/team/update", {"team_id": team.public_id, "team_alias": "mine"}, bearer=first)
    assert asked.status == 200, asked.text


def test_who_leads_a_team_elsewhere_leads_it_alone(api: Api, boss: User) -> None:
    first = new_person(api, boss)
    far = services.create_team(Team(organization=organization_of("far")), actor=SYSTEM)
    services.add_member(
        Membership(team=far, user=User.objects.get(public_id="mia"), role=Membership.Role.ADMIN), actor=SYSTEM
    )
    assert api.post("/team/update", {"team_id": far.public_id, "team_alias": "mine"}, bearer=first).status == 401


def test_a_team_key_whose_secret_a_member_knows_does_not_lead_once_its_owner_does(api: Api, search: Team) -> None:
    mia, peer = person("mia"), person("peer")
    for one in (mia, peer):
        services.add_member(Membership(team=search, user=one), actor=SYSTEM)
    services.grant_to_members(search, ["/key/generate", "/key/regenerate"], actor=SYSTEM)
    own = api.post("/key/generate", {"team_id": search.public_id}, bearer=key_of(mia)).json
    known = api.post("/key/regenerate", {"key": own["token"]}, bearer=key_of(peer)).json["key"]
    personal = key_of(mia)
    raised = {"team_id": search.public_id, "user_id": "mia", "role": "admin"}
    assert api.post("/team/member_update", raised).status == 200
    ask = {"team_id": search.public_id, "user_id": "peer", "role": "admin"}
    assert api.post("/team/member_update", ask, bearer=known).status == 403
    assert api.post("/team/member_update", ask, bearer=personal).status == 200


def test_a_key_that_was_anothers_is_known_to_that_one(api: Api) -> None:
    mia, dev = person("mia"), person("dev")
    first = api.post("/key/generate", {}, bearer=key_of(dev)).json["key"]
    assert api.post("/key/update", {"key": first, "user_id": mia.public_id}).status == 200
    promote(api)
    assert api.get("/budget/list", bearer=first).status == 401


def test_a_teams_key_that_becomes_personal_is_known_to_who_made_it(api: Api, search: Team, grace: User) -> None:
    services.add_member(Membership(team=search, user=person("mia")), actor=SYSTEM)
    body = {"team_id": search.public_id, "user_id": "mia"}
    made = api.post("/key/generate", body, bearer=key_of(grace))
    assert made.status == 200, made.text
    assert api.post("/key/update", {"key": made.json["key"], "team_id": None}).status == 200
    promote(api)
    assert api.get("/budget/list", bearer=made.json["key"]).status == 401


def test_who_is_blocked_for_a_while_is_as_strong_as_without(api: Api, boss: User) -> None:
    new_person(api, boss)
    organization_of("north")
    who = {"organization_id": "north", "user_id": "mia"}
    member = {"organization_id": "north", "member": {"role": "org_admin", "user_id": "mia"}}
    assert api.post("/organization/member_add", member).status == 200
    assert api.patch("/organization/member_update", who | {"blocked": True}).status == 200
    for path in ("/key/generate", "/invitation/new"):
        assert api.post(path, {"user_id": "mia"}, bearer=key_of(boss)).status == 403


def test_a_personal_key_that_somebody_outside_knows_makes_no_keys_of_a_team_that_would_let_it(
    api: Api, boss: User
) -> None:
    first = new_person(api, boss)
    far = services.create_team(Team(organization=organization_of("far")), actor=SYSTEM)
    body = {"team_id": far.public_id, "member": {"role": "user", "user_id": "mia"}}
    assert api.post("/team/member_add", body).status == 200
    services.grant_to_members(far, ["/key/generate"], actor=SYSTEM)
    assert api.post("/key/generate", {"team_id": far.public_id}, bearer=first).status == 401
    assert api.post("/key/generate", {}, bearer=first).status == 200
    own = api.post("/key/generate", {"user_id": "mia"}).json["key"]
    assert api.post("/key/generate", {"team_id": far.public_id}, bearer=own).status == 200


def test_a_key_that_a_leader_takes_over_leads_nothing_for_who_had_it(api: Api) -> None:
    home = organization_of("home")
    chief, _ = person("chief", organization=home), person("mia", organization=home)
    lead = {"organization_id": "home", "role": "org_admin"}
    assert api.patch("/organization/member_update", lead | {"user_id": "chief"}).status == 200
    old = api.post("/key/generate", {"user_id": "mia"}).json["key"]
    assert api.post("/key/update", {"key": old, "user_id": "chief"}, bearer=key_of(chief)).status == 200
    raised = lead | {"user_id": "mia"}
    assert api.patch("/organization/member_update", raised, bearer=old).status == 403
    new = api.post("/key/regenerate", {"key": old}, bearer=key_of(chief)).json["key"]
    assert api.patch("/organization/member_update", raised, bearer=new).status == 200


def test_the_new_secret_of_a_rotation_is_known_to_who_knew_the_old_one(api: Api, boss: User) -> None:
    first = new_person(api, boss, auto_rotate=True, rotation_interval="1d")
    promote(api)
    later = timezone.now() + timedelta(days=1, seconds=1)
    assert rotation.rotate_due(now=later, actor=SYSTEM, grace=timedelta(hours=1)) == 1
    token = VirtualKey.objects.get(user__public_id="mia").token
    picked = api.post(f"/key/{token}/pick_up", {}, bearer=first)
    assert picked.status == 200, picked.text
    assert api.get("/budget/list", bearer=picked.json["key"]).status == 401


def test_nobody_takes_rights_from_others_by_giving_them_more(api: Api, boss: User) -> None:
    first = new_person(api, boss)
    home = boss.organization_memberships.get().organization
    body = {"organization_id": home.public_id, "user_id": "mia", "role": "org_admin"}
    assert api.patch("/organization/member_update", body, bearer=key_of(boss)).status == 200
    other = person("other")
    organization_of("south", admin=other)
    body = {"organization_id": "south", "member": {"role": "org_admin", "user_email": "mia@example.com"}}
    User.objects.filter(public_id="mia").update(email="mia@example.com")
    assert api.post("/organization/member_add", body, bearer=key_of(other)).status == 200
    assert api.post("/team/new", {"organization_id": home.public_id}, bearer=first).status == 200
    assert api.post("/team/new", {"organization_id": "south"}, bearer=first).status == 403
