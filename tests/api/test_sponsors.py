"""A program's key that a plain member of a team makes is held to that member's limits, and they add up."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from keys.key_rules import read_key_rules
from keys.loading import load_grants
from keys.models import VirtualKey
from keys.secrets import token_of
from teams import departures, services
from teams.actors import SYSTEM
from teams.models import Membership, OrganizationMembership, Team, User
from tests.api.conftest import Answer, Api
from tests.api.people import key_of
from tests.factories import issue

BeforeLock = Callable[[type, Callable[[], object]], None]
ROBOT = "/key/service-account/generate"


@pytest.fixture
def member(search: Team, linus: User) -> User:
    place = Membership(team=search, user=linus, max_budget_nano=10**9, budget_duration="30d", allowed_models=["gpt-a"])
    services.add_member(place, actor=SYSTEM)
    services.grant_to_members(search, [ROBOT, "/key/generate", "/key/update"], actor=SYSTEM)
    return linus


def robot(api: Api, team: Team, bearer: str, **fields: Any) -> Answer:
    return api.post(ROBOT, {"team_id": team.public_id, **fields}, bearer=bearer)


def chain(secret: str) -> list[str]:
    [grant] = load_grants([token_of(secret)]).values()
    return [policy.scope for policy in grant.chain]


@pytest.mark.parametrize("own", [True, False])
def test_it_spends_from_the_members_budget(api: Api, search: Team, member: User, own: bool) -> None:
    bearer = issue(user=member, team=search)[1] if own else key_of(member)
    made = robot(api, search, bearer)
    assert made.status == 200, made.text
    assert made.json["user_id"] is None
    assert search.memberships.get(user=member).scope in chain(made.json["key"])


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"max_budget": 2}, "max_budget"), ({"models": ["gpt-b"]}, "models")],
)
def test_it_names_no_limit_beyond_the_members(
    api: Api, search: Team, member: User, fields: dict[str, Any], name: str
) -> None:
    answer = robot(api, search, key_of(member), **fields)
    assert (answer.status, answer.error["param"]) == (400, name), answer.text


def test_so_does_a_key_that_such_a_key_makes(api: Api, search: Team, member: User) -> None:
    first = robot(api, search, key_of(member)).json["key"]
    made = api.post("/key/generate", {}, bearer=first)
    assert made.status == 200, made.text
    assert search.memberships.get(user=member).scope in chain(made.json["key"])


def test_a_programs_key_with_a_budget_makes_no_others(api: Api, search: Team, member: User) -> None:
    limited = robot(api, search, key_of(member), max_budget=0.5).json["key"]
    answer = api.post("/key/generate", {}, bearer=limited)
    assert (answer.status, answer.error["param"]) == (403, "key")


def test_the_key_of_who_leads_the_team_is_held_to_the_team_alone(api: Api, search: Team, grace: User) -> None:
    made = robot(api, search, key_of(grace)).json["key"]
    assert search.memberships.get(user=grace).scope not in chain(made)


def test_it_ends_as_members_keys_do(api: Api, search: Team, member: User) -> None:
    search.refresh_from_db()
    search.member_key_duration = "1d"
    services.update_limits(search, actor=SYSTEM)
    made = VirtualKey.objects.get(token=robot(api, search, key_of(member)).json["token"])
    assert made.expires_at is not None and made.expires_at <= timezone.now() + timedelta(days=1)


def test_it_outlives_the_membership_with_what_held_it(api: Api, search: Team, member: User) -> None:
    made = robot(api, search, key_of(member)).json
    departures.remove_member(search.memberships.get(user=member), actor=SYSTEM)
    key = VirtualKey.objects.live().get(token=made["token"])
    assert (key.max_budget_nano, key.budget_duration, key.allowed_models) == (10**9, "30d", ["gpt-a"])
    assert (key.sponsor, len(chain(made["key"]))) == (None, 3)


@pytest.mark.parametrize(
    ("own", "of_member", "after"),
    [
        ({"max_budget": 0.5}, {"max_budget_nano": 2}, {"max_budget_nano": 2}),
        (
            {"budget_duration": "1d"},
            {"max_budget_nano": 5, "budget_duration": "30d"},
            {"max_budget_nano": 5, "budget_duration": "30d"},
        ),
        (
            {"max_budget": 0.5, "budget_duration": "90d"},
            {"max_budget_nano": 5, "budget_duration": "30d"},
            {"max_budget_nano": 5 * 10**8, "budget_limits": [{"duration": "30d", "max_nano": 5}]},
        ),
        (
            {"max_budget": 0.5, "budget_duration": "30d"},
            {"max_budget_nano": 5, "budget_duration": ""},
            {"max_budget_nano": 5, "budget_limits": [{"duration": "30d", "max_nano": 5 * 10**8}]},
        ),
        ({"models": ["gpt-a"]}, {"allowed_models": ["gpt-b"]}, {"allowed_models": ["no-default-models"]}),
        ({}, {"allowed_models": ["gpt-b"]}, {"allowed_models": ["gpt-b"]}),
        ({"models": ["gpt-a", "gpt-b"]}, {"allowed_models": ["gpt-a"]}, {"allowed_models": ["gpt-a"]}),
        ({"rpm_limit": 50}, {"rpm_limit": 1}, {"rpm_limit": 1}),
        (
            {"model_max_budget": {"gpt-a": {"budget_limit": 5, "time_period": "1d"}}},
            {"model_limits": {"gpt-a": {"max_nano": 7, "duration": "1d"}}},
            {"model_limits": {"gpt-a": {"max_nano": 7, "duration": "1d"}}},
        ),
        (
            {"model_max_budget": {"gpt-a": {"budget_limit": 0.5, "time_period": "1d"}}},
            {"model_limits": {"gpt-a": {"max_nano": 5 * 10**9, "duration": "30d", "rpm": 3}}},
            {"model_limits": {"gpt-a": {"max_nano": 5 * 10**8, "duration": "1d", "rpm": 3}}},
        ),
        ({}, {"blocked": True}, {"blocked": True}),
    ],
)
def test_of_what_both_set_the_narrower_stays(
    api: Api, search: Team, member: User, own: dict[str, Any], of_member: dict[str, Any], after: dict[str, Any]
) -> None:
    place = search.memberships.get(user=member)
    place.max_budget_nano, place.budget_duration, place.allowed_models = None, "", []
    services.update_limits(place, actor=SYSTEM)
    made = robot(api, search, key_of(member), **own)
    assert made.status == 200, made.text
    for name, value in of_member.items():
        setattr(place, name, value)
    services.update_limits(place, actor=SYSTEM)
    departures.remove_member(place, actor=SYSTEM)
    key = VirtualKey.objects.get(token=made.json["token"])
    assert {name: getattr(key, name) for name in after} == after


def test_what_the_organization_sets_for_the_member_stays_as_well(api: Api, search: Team, member: User) -> None:
    place = OrganizationMembership(organization=search.organization, user=member, rpm_limit=3)
    services.join_organization(place, actor=SYSTEM)
    made = robot(api, search, key_of(member)).json
    departures.remove_member(search.memberships.get(user=member), actor=SYSTEM)
    assert VirtualKey.objects.get(token=made["token"]).rpm_limit == 3


def test_it_is_refused_while_the_member_is_blocked(api: Api, search: Team, member: User) -> None:
    made = robot(api, search, key_of(member)).json["key"]
    for blocked, status in ((True, 401), (False, 200)):
        api.post("/user/update", {"user_id": member.public_id, "blocked": blocked})
        assert api.get("/key/info", bearer=made).status == status


def test_a_key_that_is_moved_is_held_to_its_movers_place_there(api: Api, search: Team, member: User) -> None:
    home = services.create_team(Team(name="home", organization=search.organization), actor=SYSTEM)
    services.add_member(Membership(team=home, user=member, role=Membership.Role.ADMIN), actor=SYSTEM)
    made = robot(api, home, key_of(member)).json["key"]
    moved = api.post("/key/update", {"key": made, "team_id": search.public_id}, bearer=key_of(member))
    assert moved.status == 200, moved.text
    assert search.memberships.get(user=member).scope in chain(made)


def test_who_is_given_the_key_is_its_holder_from_then_on(api: Api, search: Team, member: User, grace: User) -> None:
    made = robot(api, search, key_of(member)).json["key"]
    body = {"key": made, "user_id": grace.public_id, "metadata": {}}
    VirtualKey.objects.filter(token=token_of(made)).update(service_account="")
    assert api.post("/key/update", body).status == 200
    assert search.memberships.get(user=member).scope not in chain(made)


def test_it_counts_for_the_member_where_people_pay_for_their_team_keys(
    api: Api, search: Team, member: User, settings: Any
) -> None:
    settings.KEY_RULES = read_key_rules({}, {"apply_user_budget_to_team_keys": True})
    member.max_budget_nano = 4 * 10**8
    services.update_limits(member, actor=SYSTEM)
    made = robot(api, search, key_of(member)).json
    assert member.scope in chain(made["key"])
    departures.remove_member(search.memberships.get(user=member), actor=SYSTEM)
    left = VirtualKey.objects.get(token=made["token"])
    assert (left.max_budget_nano, left.sponsor) == (4 * 10**8, None)


@pytest.mark.parametrize("path", [ROBOT, "/key/generate"])
def test_whoever_is_taken_out_of_the_team_meanwhile_makes_none(
    api: Api, search: Team, member: User, path: str, before_lock: BeforeLock
) -> None:
    bearer = key_of(member)
    place = search.memberships.get(user=member)
    before_lock(Team, lambda: departures.remove_member(place, actor=SYSTEM))
    answer = api.post(path, {"team_id": search.public_id}, bearer=bearer)
    assert answer.status in (400, 401), answer.text
    assert not VirtualKey.objects.live().filter(team=search).exists()


def test_a_team_that_is_deleted_meanwhile_gets_no_key(search: Team, before_lock: BeforeLock) -> None:
    before_lock(Team, lambda: departures.delete_team(search, actor=SYSTEM))
    with pytest.raises(ValidationError, match="deleted a moment ago"):
        issue(team=search)
    assert not VirtualKey.objects.filter(team=search).exists()


def test_whoever_is_deleted_meanwhile_gets_no_key(linus: User, before_lock: BeforeLock) -> None:
    before_lock(User, lambda: departures.delete_user(linus, actor=SYSTEM))
    with pytest.raises(ValidationError, match="deleted a moment ago"):
        issue(user=linus)
    assert not VirtualKey.objects.filter(user=linus).exists()
