"""Who knows a secret bounds what it does, whatever happens to the key and to those people afterwards."""

from datetime import timedelta

import pytest
from django.utils import timezone

from keys import rotation
from keys.models import VirtualKey
from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, Organization, OrganizationMembership, Team, User
from tests.api.conftest import Answer, Api
from tests.api.people import key_of, organization_of, person
from tests.factories import issue

ADMINS_ONLY = "/budget/list"


@pytest.fixture
def boss(db: None) -> User:
    """Who leads the organization `home`, and nothing else."""
    user = person("boss")
    organization_of("home", admin=user)
    return user


@pytest.fixture
def known(api: Api, boss: User) -> str:
    """A key of the platform admin `mia` that `boss` made before she was one."""
    made = api.post("/user/new", {"user_id": "mia", "organizations": ["home"]}, bearer=key_of(boss)).json["key"]
    promote(api, "mia")
    return str(made)


def promote(api: Api, name: str) -> None:
    assert api.post("/user/update", {"user_id": name, "user_role": "proxy_admin"}).status == 200


def once(api: Api, bearer: str) -> Answer:
    headers = {"authorization": f"Bearer {bearer}", "Idempotency-Key": "deploy-1"}
    return api.post("/key/generate", {"max_budget": 1}, headers=headers)


def rights_of(api: Api, secret: str) -> int:
    return api.get(ADMINS_ONLY, bearer=secret).status


def test_a_secret_in_its_grace_is_known_to_whom_it_was(api: Api, known: str) -> None:
    mia = User.objects.get(public_id="mia")
    body = {"key": known, "grace_period": "7d"}
    new = api.post("/key/regenerate", body, bearer=key_of(mia)).json["key"]
    assert [rights_of(api, known), rights_of(api, new)] == [401, 200]
    assert api.get("/key/info", bearer=known).status == 200


def test_a_key_that_gets_an_owner_with_its_new_secret_leaves_the_old_one_as_it_was(api: Api, boss: User) -> None:
    promote(api, person("mia").public_id)
    _, old = issue(user=person("max"))
    body = {"key": old, "user_id": "mia", "grace_period": "1d"}
    new = api.post("/key/regenerate", body).json["key"]
    assert [rights_of(api, old), rights_of(api, new)] == [401, 200]


def test_a_key_that_is_handed_on_leaves_its_old_secrets_to_whose_it_was(api: Api, boss: User) -> None:
    max_, mia = person("max"), person("mia")
    _, old = issue(user=max_)
    new = api.post("/key/regenerate", {"key": old, "grace_period": "365d"}, bearer=old).json["key"]
    promote(api, mia.public_id)
    assert api.post("/key/update", {"key": new, "user_id": "mia"}).status == 200
    assert [rights_of(api, old), rights_of(api, new)] == [401, 401]
    assert api.get("/user/list", bearer=old).status == 401


def test_a_secret_that_waits_for_its_earlier_owner_is_known_to_that_one(api: Api) -> None:
    max_, mia = person("max"), person("mia")
    _, old = issue(user=max_, auto_rotate=True, rotation_interval="1d")
    rotation.rotate_due(now=timezone.now() + timedelta(days=1, seconds=1), actor=SYSTEM, grace=timedelta(days=1))
    key = VirtualKey.objects.get(auto_rotate=True)
    assert api.post("/key/update", {"key": key.token, "user_id": "mia"}).status == 200
    promote(api, mia.public_id)
    picked = api.post(f"/key/{key.token}/pick_up", {}, bearer=old)
    assert picked.status == 200, picked.text
    assert [rights_of(api, old), rights_of(api, picked.json["key"])] == [401, 401]


def test_who_becomes_an_admin_keeps_by_a_known_key_what_was_there_before(api: Api, boss: User) -> None:
    home = Organization.objects.get(public_id="home")
    made = api.post("/user/new", {"user_id": "mia", "organizations": ["home"]}, bearer=key_of(boss)).json["key"]
    mia = User.objects.get(public_id="mia")
    member_of(home, mia, "org_admin")
    team = services.create_team(Team(organization=home), actor=SYSTEM)
    promote(api, "mia")
    assert api.get("/team/info", {"team_id": team.public_id}, bearer=made).status == 200
    assert api.post("/team/update", {"team_id": team.public_id, "team_alias": "x"}, bearer=made).status == 200
    assert rights_of(api, made) == 401


def test_only_the_secret_that_a_rotation_replaced_picks_up_the_new_one(api: Api, known: str) -> None:
    own = key_of(User.objects.get(public_id="mia"))
    assert api.post("/key/update", {"key": known, "auto_rotate": True, "rotation_interval": "1d"}).status == 200
    newer = api.post("/key/regenerate", {"key": known, "grace_period": "7d"}, bearer=own).json["key"]
    rotation.rotate_due(now=timezone.now() + timedelta(days=1, seconds=1), actor=SYSTEM, grace=timedelta(days=1))
    token = VirtualKey.objects.get(known_to=None, user__public_id="mia", auto_rotate=True).token
    refused = api.post(f"/key/{token}/pick_up", {}, bearer=known)
    assert (refused.status, "the one that took its place" in refused.text) == (403, True)
    picked = api.post(f"/key/{token}/pick_up", {}, bearer=newer)
    assert rights_of(api, picked.json["key"]) == 200


def test_who_alone_picked_up_a_secret_is_alone_with_it(api: Api, known: str) -> None:
    own = key_of(User.objects.get(public_id="mia"))
    api.post("/key/update", {"key": known, "auto_rotate": True, "rotation_interval": "1d"})
    rotation.rotate_due(now=timezone.now() + timedelta(days=1, seconds=1), actor=SYSTEM, grace=timedelta(days=1))
    token = VirtualKey.objects.get(auto_rotate=True).token
    assert rights_of(api, api.post(f"/key/{token}/pick_up", {}, bearer=own).json["key"]) == 200


def test_a_key_that_is_put_into_another_team_is_known_to_nobody_more(api: Api, boss: User, search: Team) -> None:
    mia, home = person("mia"), Organization.objects.get(public_id="home")
    team = services.create_team(Team(organization=home), actor=SYSTEM)
    services.join_organization(OrganizationMembership(organization=home, user=mia), actor=SYSTEM)
    services.add_member(Membership(team=team, user=mia, role="admin"), actor=SYSTEM)
    key, _ = issue(user=mia, organization=home)
    moved = api.post("/key/update", {"key": key.token, "team_id": team.public_id}, bearer=key_of(boss))
    assert moved.status == 200, moved.text
    assert not key.known_to.exists()


def test_the_first_answer_is_told_to_the_secret_that_asked_alone(api: Api, boss: User) -> None:
    mia = person("mia", organization=Organization.objects.get(public_id="home"))
    key, secret = issue(user=mia)
    first = once(api, secret)
    renewed = api.post("/key/regenerate", {"key": key.token}, bearer=key_of(boss)).json["key"]
    assert first.json["key"] not in once(api, renewed).text


def member_of(home: Organization, user: User, role: str) -> None:
    place = OrganizationMembership.objects.filter(organization=home, user=user)
    if not place.update(role=role):
        services.join_organization(OrganizationMembership(organization=home, user=user, role=role), actor=SYSTEM)


@pytest.mark.parametrize("how", ["deleted", "blocked"])
def test_who_is_let_in_no_more_has_no_rights_by_keys_made_for_others(api: Api, how: str) -> None:
    person("pat", role=User.Role.PROXY_ADMIN)
    promote(api, person("mia").public_id)
    made = api.post("/key/generate", {"user_id": "mia"}, bearer=key_of(User.objects.get(public_id="pat"))).json["key"]
    assert rights_of(api, made) == 200
    if how == "deleted":
        api.post("/user/delete", {"user_ids": ["pat"]})
    else:
        api.post("/user/update", {"user_id": "pat", "blocked": True})
    assert rights_of(api, made) == 401
    assert api.get("/key/info", bearer=made).status == 200


def test_who_may_only_look_does_no_more_by_a_key_made_for_another(api: Api, boss: User) -> None:
    home = Organization.objects.get(public_id="home")
    made = api.post("/user/new", {"user_id": "mia", "organizations": ["home"]}, bearer=key_of(boss)).json["key"]
    member_of(home, User.objects.get(public_id="mia"), "org_admin")
    body = {"organization_id": "home"}
    assert api.post("/team/new", body, bearer=made).status == 200
    api.post("/user/update", {"user_id": "boss", "user_role": "internal_user_viewer"})
    assert api.post("/team/new", body, bearer=made).status == 401
    assert api.post("/key/generate", {}, bearer=made).status == 403


def test_who_is_blocked_in_a_team_makes_no_keys_of_it_by_a_key_of_another(api: Api, search: Team) -> None:
    Team.objects.filter(pk=search.pk).update(member_permissions=["/key/generate"])
    ann, mia = person("ann"), person("mia")
    for user in (ann, mia):
        services.add_member(Membership(team=search, user=user), actor=SYSTEM)
    key, secret = issue(user=mia)
    key.known_to.add(ann)
    assert api.post("/key/generate", {"team_id": search.public_id}, bearer=secret).status == 200
    Membership.objects.filter(user=ann).update(blocked=True)
    assert api.post("/key/generate", {"team_id": search.public_id}, bearer=secret).status == 401


def test_of_somebody_stronger_a_known_key_changes_neither_account_nor_other_keys(api: Api, known: str) -> None:
    own, _ = issue(user=User.objects.get(public_id="mia"))
    for path, body in (
        ("/key/update", {"key": own.token, "key_alias": "x"}),
        ("/key/delete", {"keys": [own.token]}),
        ("/key/generate", {}),
        ("/user/update", {"user_id": "mia", "user_email": "x@evil.example"}),
    ):
        refused = api.post(path, body, bearer=known)
        assert (refused.status, "was given its secret" in refused.text) == (403, True), path


def test_a_right_that_an_admin_gave_a_key_is_not_for_who_renews_it(api: Api, boss: User) -> None:
    home = Organization.objects.get(public_id="home")
    mia = person("mia", organization=home)
    body = {"user_id": "mia", "permissions": {"get_spend_routes": True}}
    made = api.post("/key/generate", body).json
    assert api.get("/global/spend/teams", bearer=made["key"]).status == 200
    new = api.post("/key/regenerate", {"key": made["token"]}, bearer=key_of(boss)).json
    assert api.get("/global/spend/teams", bearer=new["key"]).status == 401
    own = api.post("/key/regenerate", {"key": new["token"]}, bearer=key_of(mia)).json
    assert api.get("/global/spend/teams", bearer=own["key"]).status == 200
