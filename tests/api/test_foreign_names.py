"""What is not there is refused as what is foreign is, to who is no platform admin: nobody learns ids by asking."""

from typing import Any

import pytest

from teams.models import Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person


@pytest.fixture
def boss(api: Api) -> str:
    """The key of an admin of an organization, beside which there is another one with a team and a person."""
    boss = person("boss")
    organization_of("north", boss)
    organization_of("foreign")
    assert api.post("/team/new", {"team_id": "foreign", "organization_id": "foreign"}).status == 200
    body = {"user_id": "foreign", "user_email": "foreign@example.com", "organizations": ["foreign"]}
    assert api.post("/user/new", body).status == 200
    return key_of(boss)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/team/new", {"organization_id": "{}"}),
        ("/user/new", {"organizations": ["{}"]}),
        ("/user/new", {"organization_id": "{}"}),
        ("/user/new", {"organizations": ["north", "{}"]}),
        ("/user/new", {"organizations": ["north"], "teams": ["{}"]}),
        ("/user/new", {"organizations": ["north"], "team_id": "{}"}),
        ("/user/update", {"user_id": "{}", "user_alias": "x"}),
        ("/user/update", {"user_email": "{}@example.com", "user_alias": "x"}),
        ("/user/delete", {"user_ids": ["{}"]}),
    ],
)
def test_a_foreign_name_is_refused_as_one_that_nobody_has(api: Api, boss: str, path: str, body: dict[str, Any]) -> None:
    people, teams = User.objects.count(), Team.objects.count()
    foreign, absent = (api.post(path, _naming(body, name), bearer=boss) for name in ("foreign", "absent"))
    assert absent.status == 403, absent.text
    assert (foreign.status, foreign.text) == (403, absent.text.replace("absent", "foreign"))
    assert (User.objects.count(), Team.objects.count()) == (people, teams)


def _naming(body: Any, name: str) -> Any:
    if isinstance(body, dict):
        return {key: _naming(value, name) for key, value in body.items()}
    return [_naming(one, name) for one in body] if isinstance(body, list) else body.replace("{}", name)


def test_a_team_that_is_to_move_is_told_nothing_of_where(api: Api) -> None:
    boss = person("chief")
    organization_of("south", boss)
    organization_of("far", max_budget_nano=5 * 10**9)
    api.post("/team/new", {"team_id": "own", "organization_id": "south", "max_budget": 9})
    for name in ("far", "absent"):
        answer = api.post("/team/update", {"team_id": "own", "organization_id": name}, bearer=key_of(boss))
        assert (answer.status, answer.error["param"]) == (400, "organization_id"), answer.text
        assert "cannot move" in answer.text
    assert api.post("/team/update", {"team_id": "own", "organization_id": "south"}, bearer=key_of(boss)).status == 200
