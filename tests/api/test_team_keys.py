"""A key of a team acts with its owner's rights inside that team only: the team's leaders may know its secret."""

from typing import Any

import pytest

from keys.models import VirtualKey
from teams import services
from teams.actors import MASTER
from teams.models import Membership, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, person
from tests.factories import issue

pytestmark = pytest.mark.django_db


@pytest.fixture
def secret(search: Team, linus: User) -> str:
    """A key that the team's leaders made for Linus."""
    services.add_member(Membership(team=search, user=linus), actor=MASTER)
    return issue(team=search, user=linus)[1]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/key/generate", {"team_id": ""}),
        ("/user/update", {"user_alias": "somebody else"}),
        ("/user/password/change", {"new_password": "a long enough passphrase"}),
    ],
)
def test_it_changes_nothing_that_is_the_persons_own(
    api: Api, secret: str, linus: User, path: str, body: dict[str, Any]
) -> None:
    before = User.objects.values("alias", "password").get(pk=linus.pk), VirtualKey.objects.count()
    answer = api.post(path, body, bearer=secret)
    assert answer.status in (401, 403), answer.text
    assert (User.objects.values("alias", "password").get(pk=linus.pk), VirtualKey.objects.count()) == before


def test_it_does_not_get_at_the_persons_own_keys(api: Api, secret: str, linus: User) -> None:
    own, _ = issue(user=linus)
    for path in ("/key/regenerate", "/key/update", "/key/delete"):
        body = {"keys": [own.token]} if "delete" in path else {"key": own.token}
        assert api.post(path, body, bearer=secret).status == 403, path


def test_the_person_is_still_shown_to_itself(api: Api, secret: str, linus: User) -> None:
    shown = api.get("/user/info", {"user_id": linus.public_id}, bearer=secret)
    assert shown.json["user_info"]["user_id"] == linus.public_id


def test_a_key_in_a_team_of_an_admin_leads_that_team_and_nothing_else(api: Api, search: Team, ada: User) -> None:
    _, secret = issue(team=search, user=ada)
    assert api.post("/team/new", {}, bearer=secret).status == 401
    assert api.post("/key/generate", {"team_id": search.public_id}, bearer=secret).status == 200


def test_a_personal_key_goes_on_as_before(api: Api, linus: User) -> None:
    _, secret = issue(user=linus)
    assert api.post("/key/generate", {}, bearer=secret).json["user_id"] == linus.public_id
    assert api.post("/user/update", {"user_alias": "Linus"}, bearer=secret).status == 200


def test_no_member_takes_another_members_key(api: Api, search: Team, linus: User, secret: str) -> None:
    peer = person("peer")
    services.add_member(Membership(team=search, user=peer), actor=MASTER)
    services.grant_to_members(search, ["/key/generate", "/key/update"], actor=MASTER)
    answer = api.post("/key/update", {"key": secret, "user_id": "peer"}, bearer=key_of(peer))
    assert (answer.status, answer.error["param"]) == (403, "user_id")
    assert VirtualKey.objects.filter(user=linus, team=search).exists()
