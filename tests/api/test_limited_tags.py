"""A tag with a limit holds who wears it: nobody takes the own one off, or makes a key without it."""

from typing import Any

import pytest

from keys.models import VirtualKey
from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, Organization, Tag, Team, User
from tests.api.conftest import Api
from tests.factories import issue


@pytest.fixture
def tag(organization: Organization) -> Tag:
    return services.create_tag(Tag(name="capped", organization=organization, max_budget_nano=10**9), actor=SYSTEM)


@pytest.fixture
def worn(linus: User, tag: Tag) -> tuple[VirtualKey, str]:
    return issue(user=linus, tags=["capped", "free"], metadata={"enforced_params": ["user"]})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tags": []}, "tags"),
        ({"tags": ["free"]}, "tags"),
        ({"metadata": {"tags": []}}, "tags"),
        ({"metadata": {"enforced_params": []}}, "enforced_params"),
        ({"enforced_params": []}, "enforced_params"),
    ],
)
def test_a_key_does_not_free_itself(api: Api, worn: tuple[VirtualKey, str], change: Any, field: str) -> None:
    key, secret = worn
    other = issue(user=key.user)[1]
    for bearer in (secret, other):
        for path in ("/key/update", "/key/regenerate"):
            refusal = api.post(path, {"key": key.token, **change}, bearer=bearer)
            assert refusal.status in (400, 403) and field in refusal.text, refusal.text
    key.refresh_from_db()
    assert (key.tags, key.metadata["enforced_params"]) == (["capped", "free"], ["user"])


def test_what_holds_nobody_is_taken_off_as_ever(api: Api, worn: tuple[VirtualKey, str]) -> None:
    key, secret = worn
    assert api.post("/key/update", {"key": key.token, "tags": ["capped"]}, bearer=secret).status == 200
    assert api.post("/key/update", {"key": key.token, "tags": ["other", "capped"]}, bearer=secret).status == 200
    assert api.post("/key/update", {"key": key.token, "tags": []}).status == 200


def test_a_key_that_it_makes_is_held_as_well(api: Api, worn: tuple[VirtualKey, str]) -> None:
    made = api.post("/key/generate", {"tags": ["own"], "metadata": {"a": 1}}, bearer=worn[1]).json
    child = VirtualKey.objects.get(token=made["token"])
    assert child.tags == ["own", "capped"]
    assert child.metadata == {"a": 1, "enforced_params": ["user"]}


def test_a_team_admin_does_not_take_a_limited_tag_off_the_team(api: Api, linus: User, tag: Tag) -> None:
    team = Team(name="search", metadata={"tags": ["capped", "free"], "a": 1}, organization=tag.organization)
    services.create_team(team, actor=SYSTEM)
    services.add_member(Membership(team=team, user=linus, role="admin"), actor=SYSTEM)
    lead = issue(user=linus)[1]
    for change in ({"tags": []}, {"tags": ["free"]}, {"metadata": {"tags": []}}):
        refusal = api.post("/team/update", {"team_id": team.public_id, **change}, bearer=lead)
        assert refusal.status == 403 and "tags" in refusal.text
    assert api.post("/team/update", {"team_id": team.public_id, "tags": ["capped"]}, bearer=lead).status == 200
    assert api.post("/team/update", {"team_id": team.public_id, "tags": []}).status == 200


@pytest.mark.parametrize("bearer", [None, "lead"])
def test_other_metadata_leaves_the_tags_of_a_team_where_they_are(
    api: Api, linus: User, tag: Tag, bearer: str | None
) -> None:
    team = services.create_team(Team(name="search", metadata={"tags": ["capped"]}), actor=SYSTEM)
    services.add_member(Membership(team=team, user=linus, role="admin"), actor=SYSTEM)
    who = {"bearer": issue(user=linus)[1]} if bearer else {}
    told = api.post("/team/update", {"team_id": team.public_id, "metadata": {"x": 1}}, **who)
    assert told.status == 200, told.text
    team.refresh_from_db()
    assert team.metadata == {"x": 1, "tags": ["capped"]}
