"""Who gets rights on the platform has no password that somebody else may know: others' links set it, or may still."""

from typing import Any

import pytest

from teams.models import User
from tests.api.conftest import Answer, Api
from tests.api.people import key_of, organization_of, person

PASSWORD = "correct-horse-7"


@pytest.fixture
def boss(db: None) -> User:
    """Who leads the organization `home`, and nothing else."""
    user = person("boss")
    home = organization_of("home", admin=user)
    person("mia", organization=home)
    return user


def link_for(api: Api, name: str, **how: str) -> str:
    return str(api.post("/invitation/new", {"user_id": name}, **how).json["id"])


def claim(api: Api, link: str, name: str = "mia", password: str = PASSWORD) -> Answer:
    body = {"invitation_link": link, "user_id": name, "password": password}
    return api.post("/onboarding/claim_token", body)


def promote(api: Api, name: str = "mia") -> None:
    assert api.post("/user/update", {"user_id": name, "user_role": "proxy_admin"}).status == 200


def has_password(name: str = "mia") -> bool:
    return User.objects.get(public_id=name).has_usable_password()


@pytest.mark.parametrize("path", ["", "/invitation/delete", "/invitation/update"])
def test_a_password_from_a_link_of_somebody_weaker_ends(api: Api, boss: User, path: str) -> None:
    how, link = {"bearer": key_of(boss)}, link_for(api, "mia", bearer=key_of(boss))
    assert claim(api, link).status == 200
    if path:
        assert api.post(path, {"invitation_id": link, "is_accepted": False}, **how).status == 200
    promote(api)
    assert not has_password()
    assert claim(api, link_for(api, "mia")).status == 200


def test_a_used_link_is_never_opened_again(api: Api, boss: User) -> None:
    link = link_for(api, "mia", bearer=key_of(boss))
    assert claim(api, link).status == 200
    api.post("/invitation/update", {"invitation_id": link, "is_accepted": False}, bearer=key_of(boss))
    assert claim(api, link, password="correct-horse-8").status == 401


def test_whoever_knows_a_password_may_be_who_changes_it(api: Api, boss: User) -> None:
    claim(api, link_for(api, "mia", bearer=key_of(boss)))
    new = {"current_password": PASSWORD, "new_password": "correct-horse-8"}
    assert api.post("/user/password/change", new, bearer=key_of(User.objects.get(public_id="mia"))).status == 200
    promote(api)
    assert not has_password()


def test_a_link_that_was_made_with_a_known_key_is_known_to_as_many(api: Api, boss: User) -> None:
    made: dict[str, Any] = {"user_id": "deputy", "organizations": ["home"]}
    known = api.post("/user/new", made, bearer=key_of(boss)).json["key"]
    place = {"organization_id": "home", "user_id": "deputy", "role": "org_admin"}
    assert api.patch("/organization/member_update", place).status == 200
    claim(api, link_for(api, "mia", bearer=known))
    promote(api, "deputy")
    promote(api)
    assert not has_password()


def test_a_password_stays_where_an_admin_made_the_link(api: Api, boss: User) -> None:
    claim(api, link_for(api, "mia", bearer=key_of(person("pat", role=User.Role.PROXY_ADMIN))))
    promote(api)
    assert has_password()
    claim(api, link_for(api, "boss"), "boss")
    promote(api, "boss")
    assert has_password("boss")


@pytest.mark.parametrize("name", ["system", "default_user_id", "litellm-proxy-budget"])
def test_nobody_takes_a_name_under_which_the_platform_is_known(api: Api, boss: User, name: str) -> None:
    made = api.post("/user/new", {"user_id": name, "organizations": ["home"]}, bearer=key_of(boss))
    assert (made.status, "is reserved" in made.text) == (400, True)
    invited = {"organization_id": "home", "member": {"user_id": name, "role": "internal_user"}}
    api.post("/organization/member_add", invited, bearer=key_of(boss))
    assert not User.objects.filter(public_id=name).exclude(role="proxy_admin").exists()


def test_nobody_takes_the_login_of_the_master_key(api: Api, boss: User) -> None:
    made = api.post("/user/new", {"user_id": "admin", "organizations": ["home"]}, bearer=key_of(boss))
    assert made.status == 200
    assert not User.objects.filter(username="admin").exists()
