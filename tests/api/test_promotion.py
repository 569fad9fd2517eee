"""Who gets rights gets them alone: not together with those who made the account, and know a key or the password."""

import pytest

from keys import secrets
from keys.models import VirtualKey
from teams import services
from teams.actors import SYSTEM
from teams.models import AuditEvent, Membership, Team, User
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


def test_a_key_that_somebody_weaker_made_calls_models_alone_once_its_owner_is_an_admin(api: Api, boss: User) -> None:
    first = new_person(api, boss)
    second = api.post("/key/generate", {}, bearer=first).json["key"]
    reads = api.post("/key/generate", {"key_type": "read_only"}, bearer=first).json["key"]
    assert promote(api).status == 200
    for known in (first, second):
        assert api.get("/user/list", bearer=known).status == 403
        assert api.post("/key/generate", {}, bearer=known).status == 403
        assert VirtualKey.objects.get(token=secrets.token_of(known)).allowed_routes == ["llm_api_routes"]
    assert api.get("/key/list", bearer=reads).status == 401
    fresh = api.post("/key/generate", {"user_id": "mia"}).json["key"]
    assert api.get("/user/list", bearer=fresh).status == 200
    assert AuditEvent.objects.filter(action="key.narrowed").count() == 3


def test_keys_that_the_platform_or_their_owner_made_get_their_owners_rights(api: Api) -> None:
    first = api.post("/user/new", {"user_id": "mia"}).json["key"]
    second = api.post("/key/generate", {}, bearer=first).json["key"]
    promote(api)
    for own in (first, second):
        assert api.get("/user/list", bearer=own).status == 200


def test_keys_of_who_was_made_by_an_admin_stay_whoever_promotes(api: Api) -> None:
    first = new_person(api, person("chief", role=User.Role.PROXY_ADMIN), organizations=[])
    promote(api)
    assert api.get("/user/list", bearer=first).status == 200


def test_a_new_secret_by_somebody_weaker_counts_as_one_that_is_known(api: Api, boss: User) -> None:
    home = boss.organization_memberships.get().organization
    own = key_of(person("mia", organization=home))
    new = api.post("/key/regenerate", {"key": own}, bearer=key_of(boss)).json["key"]
    promote(api)
    assert api.get("/user/list", bearer=new).status == 403


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
    assert api.post("/team/update", {"team_id": far.public_id, "team_alias": "mine"}, bearer=first).status == 403


def test_a_password_from_a_link_of_somebody_weaker_ends(api: Api, boss: User) -> None:
    new_person(api, boss)
    link = api.post("/invitation/new", {"user_id": "mia"}, bearer=key_of(boss)).json["id"]
    claim = {"invitation_link": link, "user_id": "mia", "password": "correct-horse-7"}
    assert api.post("/onboarding/claim_token", claim).status == 200
    assert User.objects.get(public_id="mia").has_usable_password()
    promote(api)
    assert not User.objects.get(public_id="mia").has_usable_password()
    again = api.post("/invitation/new", {"user_id": "mia"}).json["id"]
    assert api.post("/onboarding/claim_token", claim | {"invitation_link": again}).status == 200
