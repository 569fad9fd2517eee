"""A member's own limits hold for every key of the team whose secret the member gets."""

from typing import Any

import pytest

from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, Team, User
from tests.api.conftest import Answer, Api
from tests.api.people import key_of, person
from tests.factories import issue

ROBOT, ASSIGN = "/key/service-account/generate", "/key/access_group_assignment"


@pytest.fixture
def member(search: Team, linus: User) -> User:
    """Held to a budget and a model in a team that lets its members make keys of programs and renew secrets."""
    search.allowed_models = ["gpt-a", "gpt-b"]
    services.update_limits(search, actor=SYSTEM)
    place = Membership(team=search, user=linus, max_budget_nano=10**9, budget_duration="30d", allowed_models=["gpt-a"])
    services.add_member(place, actor=SYSTEM)
    services.grant_to_members(search, [ROBOT, "/key/regenerate", "/key/update", ASSIGN], actor=SYSTEM)
    return linus


def _robot(api: Api, team: Team, bearer: str, **fields: Any) -> Answer:
    return api.post(ROBOT, {"team_id": team.public_id, **fields}, bearer=bearer)


def test_who_leads_the_team_is_held_to_the_team_alone(api: Api, search: Team, member: User) -> None:
    place = search.memberships.get(user=member)
    place.role = Membership.Role.ADMIN
    services.update_limits(place, actor=SYSTEM)
    made = _robot(api, search, key_of(member), max_budget=5, models=["gpt-b"])
    assert (made.status, made.json["max_budget"]) == (200, 5)


def test_the_secret_of_a_key_with_wider_limits_is_not_to_be_had(api: Api, search: Team, member: User) -> None:
    peer = person("peer")
    services.add_member(Membership(team=search, user=peer, max_budget_nano=5 * 10**9), actor=SYSTEM)
    wider = issue(team=search, user=peer)[0], issue(team=search)[0], issue(team=search, max_budget_nano=10**9)[0]
    for key in wider:
        answer = api.post("/key/regenerate", {"key": key.token}, bearer=key_of(member))
        assert (answer.status, answer.error["param"] in ("max_budget", "models")) == (400, True), answer.text


def test_the_secret_of_a_key_that_is_held_as_tightly_is(api: Api, search: Team, member: User) -> None:
    """By its own limits, or by those of whose it is."""
    peer = person("peer")
    place = Membership(team=search, user=peer, max_budget_nano=10**9, budget_duration="30d", allowed_models=["gpt-a"])
    services.add_member(place, actor=SYSTEM)
    limits: dict[str, Any] = {"max_budget_nano": 10**8, "budget_duration": "30d", "allowed_models": ["gpt-a"]}
    for key in (issue(team=search, user=peer)[0], issue(team=search, **limits)[0]):
        assert api.post("/key/regenerate", {"key": key.token}, bearer=key_of(member)).status == 200


@pytest.mark.parametrize(
    "fields",
    [{"models": ["gpt-b"]}, {"max_budget": 2}, {"rpm_limit": 9}],
)
def test_a_key_of_a_program_is_not_widened_afterwards(
    api: Api, search: Team, member: User, fields: dict[str, Any]
) -> None:
    place = search.memberships.get(user=member)
    place.rpm_limit = 5
    services.update_limits(place, actor=SYSTEM)
    robot = _robot(api, search, key_of(member)).json
    refused = api.post("/key/update", {"key": robot["key"], **fields}, bearer=key_of(member))
    assert refused.status in (400, 403), refused.text
    assert _robot(api, search, key_of(member), **fields).status in (400, 403)
    assert api.post("/key/update", {"key": robot["key"], "rpm_limit": 4}, bearer=key_of(member)).status == 200
    assert api.post("/key/update", {"key": robot["key"], "metadata": {"a": 1}}, bearer=key_of(member)).status == 200


def test_the_secret_of_a_key_that_is_raised_or_in_a_group_is_not_to_be_had(
    api: Api, search: Team, member: User
) -> None:
    limits: dict[str, Any] = {"max_budget_nano": 10**8, "budget_duration": "30d", "allowed_models": ["gpt-a"]}
    raised, grouped = (issue(team=search, **limits)[0] for _ in range(2))
    body = {"key": raised.token, "temp_budget_increase": 50, "temp_budget_expiry": "2126-01-01"}
    assert api.post("/key/update", body).status == 200
    group = api.post("/v1/access_group", {"access_group_name": "g", "access_model_names": ["gpt-b"]}).json
    body = {"key": grouped.token, "access_group_ids": [group["access_group_id"]]}
    assert api.post("/key/update", body).status == 200
    for key in (raised, grouped):
        assert api.post("/key/regenerate", {"key": key.token}, bearer=key_of(member)).status == 400


def test_a_colleagues_key_is_not_widened_on_the_way_to_its_secret(api: Api, search: Team, member: User) -> None:
    peer, secret = person("peer"), key_of(member)
    services.add_member(Membership(team=search, user=peer), actor=SYSTEM)
    limits: dict[str, Any] = {"max_budget_nano": 10**8, "budget_duration": "30d", "allowed_models": ["gpt-a"]}
    key = issue(team=search, user=peer, **limits)[0]
    for path, body in (("/key/update", {"models": []}), ("/key/regenerate", {"models": [], "max_budget": 50})):
        assert api.post(path, {"key": key.token, **body}, bearer=secret).status in (400, 403)
    assert api.post("/key/regenerate", {"key": key.token}, bearer=secret).status == 200


def test_what_is_wider_than_oneself_may_be_tightened(api: Api, search: Team, member: User) -> None:
    wide = issue(team=search, max_budget_nano=50 * 10**9)[0]
    for body in ({"max_budget": 40}, {"rpm_limit": 9}, {"models": ["gpt-b"]}):
        answer = api.post("/key/update", {"key": wide.token, **body}, bearer=key_of(member))
        assert answer.status == 200, answer.text


def test_a_key_of_a_program_moves_only_to_where_its_mover_may_make_one(api: Api, search: Team, member: User) -> None:
    home = services.create_team(Team(name="home", organization=search.organization), actor=SYSTEM)
    services.add_member(Membership(team=home, user=member, role=Membership.Role.ADMIN), actor=SYSTEM)
    secret, robot = key_of(member), _robot(api, home, key_of(member)).json["key"]
    moved = {"key": robot, "team_id": search.public_id}
    for granted, status in (("/key/generate", 401), (ROBOT, 200)):
        services.grant_to_members(search, [granted], actor=SYSTEM)
        assert api.post("/key/update", moved, bearer=secret).status == status
