"""Who may do what to teams: admins of the platform, the organization and the team, members, outsiders and keys."""

from typing import Any

import pytest

from keys.models import VirtualKey
from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, SharedBudget, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person
from tests.factories import issue


@pytest.fixture
def member(search: Team) -> User:
    """A plain member of `search`."""
    user = person("mia")
    services.add_member(Membership(team=search, user=user), actor=SYSTEM)
    return user


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("/team/update", {"team_alias": "mine"}),
    ("/team/member_add", {"member": {"user_id": "x"}}),
    ("/team/bulk_member_add", {"members": [{"user_id": "x"}]}),
    ("/team/member_update", {"user_id": "mia", "role": "admin"}),
    ("/team/member_delete", {"user_id": "mia"}),
    ("/team/model/add", {"models": ["x"]}),
    ("/team/permissions_update", {"team_member_permissions": ["/key/generate"]}),
]
OWNERS: list[tuple[str, dict[str, Any]]] = [("/team/delete", {}), ("/team/block", {}), ("/team/unblock", {})]


@pytest.mark.parametrize(("path", "body"), CHANGES)
def test_a_team_admin_leads_the_own_team_and_no_other(
    api: Api, search: Team, grace: User, member: User, path: str, body: dict[str, Any]
) -> None:
    other = services.create_team(Team(name="other"), actor=SYSTEM)
    secret = key_of(grace)
    assert api.post(path, body | {"team_id": other.public_id}, bearer=secret).status == 403
    answer = api.post(path, body | {"team_id": search.public_id}, bearer=secret)
    assert answer.status == 200, answer.text


@pytest.mark.parametrize(("path", "body"), CHANGES + OWNERS)
def test_a_plain_member_an_outsider_and_a_key_of_the_team_change_nothing(
    api: Api, search: Team, grace: User, member: User, path: str, body: dict[str, Any]
) -> None:
    before = (Membership.objects.count(), User.objects.count())
    body = body | {"team_id": search.public_id, "team_ids": [search.public_id]}
    for secret in (key_of(member), key_of(person("oscar")), issue(team=search)[1], issue()[1]):
        assert api.post(path, body, bearer=secret).status in (401, 403)
    search.refresh_from_db()
    assert (search.name, search.blocked, search.deleted_at, search.member_permissions) == ("search", False, None, [])
    assert (Membership.objects.count(), User.objects.count()) == (before[0], before[1] + 1)
    assert Membership.objects.get(user=member).role == "user"


def test_a_plain_member_hears_that_the_call_is_not_allowed(api: Api, search: Team, member: User) -> None:
    body = {"team_id": search.public_id, "member": {"user_id": "x"}}
    answer = api.post("/team/member_add", body, bearer=key_of(member))
    assert (answer.status, "Call not allowed" in answer.json["detail"]["error"]) == (403, True)


@pytest.mark.parametrize(("path", "body"), [*CHANGES, *OWNERS])
def test_an_organization_admin_leads_the_teams_inside_alone(api: Api, path: str, body: dict[str, Any]) -> None:
    boss = person("boss")
    inside = services.create_team(Team(organization=organization_of("north", boss), name="in"), actor=SYSTEM)
    outside = services.create_team(Team(organization=organization_of("south"), name="out"), actor=SYSTEM)
    user, secret = person("mia"), key_of(boss)
    for team in (inside, outside):
        services.add_member(Membership(team=team, user=user), actor=SYSTEM)
    statuses = [
        api.post(path, body | {"team_id": team.public_id, "team_ids": [team.public_id]}, bearer=secret).status
        for team in (outside, inside)
    ]
    assert statuses == [403, 200]


def test_teams_are_made_by_organization_admins_inside_their_organization(api: Api, grace: User) -> None:
    boss = person("boss", max_budget_nano=5 * 10**9)
    organization_of("north", boss)
    organization_of("south")
    secret = key_of(boss)
    made = api.post("/team/new", {"organization_id": "north", "max_budget": 5}, bearer=secret)
    assert (made.status, made.json["admins"]) == (200, ["boss"])
    for body in ({"organization_id": "south"}, {}):
        assert api.post("/team/new", body, bearer=secret).status == 403
    above = api.post("/team/new", {"organization_id": "north", "max_budget": 6}, bearer=secret)
    assert (above.status, above.error["param"]) == (400, "max_budget")
    assert api.post("/team/new", {}, bearer=key_of(person("dev"))).status == 401
    assert api.post("/team/new", {}, bearer=key_of(grace)).status == 401


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_budget", 11), ("max_budget", None), ("rpm_limit", 11), ("tpm_limit", 11), ("max_parallel_requests", 3),
        ("budget_duration", "1d"), ("budget_limits", []), ("temp_budget_increase", 1), ("blocked", True),
        ("model_max_budget", {"a": {"budget_limit": 1}}), ("budget_id", "b"), ("model_rpm_limit", {"a": 1}),
    ],
)  # fmt: skip
def test_a_team_admin_never_raises_what_limits_the_team(
    api: Api, search: Team, grace: User, field: str, value: Any
) -> None:
    api.post("/budget/new", {"budget_id": "b", "max_budget": 1000})
    # Only a budget that concerns her already can be named at all.
    api.post("/key/generate", {"user_id": grace.public_id, "budget_id": "b"})
    limits = {
        "max_budget": 10, "rpm_limit": 10, "tpm_limit": 10, "max_parallel_requests": 2, "budget_duration": "30d",
        "budget_limits": [{"budget_duration": "1d", "max_budget": 1}],
    }  # fmt: skip
    assert api.post("/team/update", {"team_id": search.public_id} | limits).status == 200
    before = Team.objects.values().get()
    body = {"team_id": search.public_id, field: value, "temp_budget_expiry": "2126-01-01"}
    body |= {} if field == "temp_budget_increase" else {"temp_budget_expiry": None}
    answer = api.post("/team/update", body, bearer=key_of(grace))
    assert answer.status == 403, answer.text
    assert {**Team.objects.values().get(), "version": 0} == {**before, "version": 0}


def test_a_team_admin_may_lower_the_budget(api: Api, search: Team, grace: User) -> None:
    api.post("/team/update", {"team_id": search.public_id, "max_budget": 10})
    answer = api.post("/team/update", {"team_id": search.public_id, "max_budget": 4}, bearer=key_of(grace))
    assert (answer.status, answer.json["data"]["max_budget"]) == (200, 4)


def test_a_team_is_shown_to_who_is_in_it_and_to_its_keys(api: Api, search: Team, grace: User, member: User) -> None:
    named, hidden = {"team_id": search.public_id}, key_of(grace)
    issue(team=search, user=grace)
    of_team = issue(team=search)[1]
    for secret, status in ((hidden, 200), (key_of(member), 200), (of_team, 200), (key_of(person("oscar")), 403)):
        assert api.get("/team/info", named, bearer=secret).status == status
    shown = api.get("/team/info", named, bearer=of_team).json["keys"]
    assert [row["token"] for row in shown] == [VirtualKey.objects.get(user=None).token]


def test_people_list_their_own_teams_and_nobody_elses(api: Api, search: Team, member: User) -> None:
    services.create_team(Team(name="other"), actor=SYSTEM)
    secret = key_of(member)
    for path in ("/team/list", "/v2/team/list"):
        answer = api.get(path, {"user_id": "mia"}, bearer=secret)
        rows = answer.json["teams"] if path.startswith("/v2") else answer.json
        assert [row["team_id"] for row in rows] == [search.public_id]
        assert api.get(path, {"user_id": "somebody"}, bearer=secret).status == 401
        assert api.get(path, bearer=secret).status == 401


def test_an_available_team_is_joined_by_oneself_alone_and_without_privileges(
    api: Api, search: Team, settings: Any
) -> None:
    settings.LITELLM_SETTINGS = {"default_internal_user_params": {"available_teams": [search.public_id]}}
    secret = key_of(person("oscar"))
    assert [row["team_id"] for row in api.get("/team/available", bearer=secret).json] == [search.public_id]
    body: dict[str, Any] = {"team_id": search.public_id, "member": {"user_id": "oscar", "role": "user"}}
    for wrong in (
        {"member": {"user_id": "eve"}}, {"member": {"user_id": "oscar", "role": "admin"}}, {"max_budget_in_team": 9},
        {"member": [{"user_id": "oscar"}, {"user_id": "eve"}]}, {"max_parallel_requests": 10**6},
        {"budget_limits": []}, {"metadata": {"model_rpm_limit": {"a": 1}}},
    ):  # fmt: skip
        assert api.post("/team/member_add", body | wrong, bearer=secret).status == 403
    assert api.post("/team/member_add", body, bearer=secret).status == 200
    assert api.get("/team/available", bearer=secret).json == []


def test_a_read_only_admin_reads_teams_and_changes_none(api: Api, search: Team) -> None:
    secret = key_of(person("vera", role=User.Role.PROXY_ADMIN_VIEWER))
    assert api.get("/team/info", {"team_id": search.public_id}, bearer=secret).status == 200
    assert len(api.get("/v2/team/list", bearer=secret).json["teams"]) == 1
    for path, body in [*CHANGES, *OWNERS]:
        assert api.post(path, body | {"team_id": search.public_id}, bearer=secret).status == 403


def test_a_team_admin_never_changes_a_budget_that_others_share(api: Api, search: Team, grace: User) -> None:
    api.post("/budget/new", {"budget_id": "b", "max_budget": 5})
    api.post("/user/new", {"user_id": "other", "budget_id": "b"})
    search.member_budget = SharedBudget.objects.get(public_id="b")
    services.update_limits(search, actor=SYSTEM)
    body = {"team_id": search.public_id, "team_member_budget": 3}
    assert api.post("/team/update", body, bearer=key_of(grace)).json["data"]["team_member_budget"] == 3
    assert api.post("/budget/info", {"budgets": ["b"]}).json[0]["max_budget"] == 5
    assert Membership.objects.get(user=grace).effective("max_budget_nano") == 3 * 10**9


@pytest.mark.parametrize("raised", [{"max_budget": 6}, {"rpm_limit": 3}, {"budget_duration": "1d"}])
def test_a_limit_of_a_shared_budget_is_not_raised_by_whom_it_holds_either(
    api: Api, search: Team, grace: User, raised: dict[str, Any]
) -> None:
    api.post("/budget/new", {"budget_id": "b", "max_budget": 5, "rpm_limit": 2, "budget_duration": "30d"})
    named = {"team_id": search.public_id}
    assert api.post("/team/update", named | {"budget_id": "b"}).status == 200
    answer = api.post("/team/update", named | raised, bearer=key_of(grace))
    assert (answer.status, answer.fault) == (403, next(iter(raised)))
    lowered = api.post("/team/update", named | {"max_budget": 4, "rpm_limit": 1}, bearer=key_of(grace))
    assert (lowered.status, lowered.json["data"]["max_budget"]) == (200, 4)


@pytest.mark.parametrize("value", [6, None])
def test_a_team_admin_whom_the_members_budget_holds_does_not_raise_it(
    api: Api, search: Team, grace: User, value: int | None
) -> None:
    team, me = {"team_id": search.public_id}, {"user_id": grace.public_id}
    assert api.post("/team/update", team | {"team_member_budget": 5}).status == 200
    secret = key_of(grace)
    assert api.post("/team/update", team | {"team_member_budget": value}, bearer=secret).status == 403
    if value is not None:
        assert api.post("/team/member_update", team | me | {"max_budget_in_team": value}, bearer=secret).status == 403
    assert Membership.objects.get(user=grace).effective("max_budget_nano") == 5 * 10**9
    api.post("/team/member_update", team | me | {"max_budget_in_team": 7, "budget_id": None})
    assert api.post("/team/update", team | {"team_member_budget": 6}, bearer=secret).status == 200


def test_an_organization_admin_does_not_raise_a_budget_that_others_share(api: Api) -> None:
    api.post("/budget/new", {"budget_id": "b", "max_budget": 5})
    api.post("/user/new", {"user_id": "other", "budget_id": "b"})
    made = api.post("/organization/new", {"organization_alias": "o", "budget_id": "b"}).json["organization_id"]
    api.post("/user/new", {"user_id": "olga", "auto_create_key": False})
    member = {"role": "org_admin", "user_id": "olga"}
    assert api.post("/organization/member_add", {"organization_id": made, "member": member}).status == 200
    secret = api.key(user_id="olga")["key"]
    body = {"organization_id": made, "max_budget": 100}
    assert api.patch("/organization/update", body, bearer=secret).status == 403


def test_a_team_admin_never_raises_the_own_limits_in_the_team(
    api: Api, search: Team, grace: User, member: User
) -> None:
    named = {"team_id": search.public_id, "user_id": grace.public_id}
    api.post("/team/member_update", named | {"max_budget_in_team": 5})
    for value in (6, None):
        body = named | {"max_budget_in_team": value}
        assert api.post("/team/member_update", body, bearer=key_of(grace)).status == 403
    others = named | {"user_id": "mia", "max_budget_in_team": 6}
    assert api.post("/team/member_update", others, bearer=key_of(grace)).status == 200


def test_who_is_blocked_in_a_team_or_an_organization_leads_it_no_more(api: Api, search: Team, grace: User) -> None:
    secret = key_of(grace)
    change = {"team_id": search.public_id, "team_alias": "mine"}
    assert api.post("/team/update", change, bearer=secret).status == 200
    blocked = {"team_id": search.public_id, "user_id": grace.public_id, "blocked": True}
    assert api.post("/team/member_update", blocked).status == 200
    assert api.post("/team/update", change, bearer=secret).status in (401, 403)
    boss = person("boss")
    organization_of("north", admin=boss)
    new = {"organization_id": "north"}
    assert api.post("/team/new", new, bearer=key_of(boss)).status == 200
    assert api.patch("/organization/member_update", new | {"user_id": "boss", "blocked": True}).status == 200
    assert api.post("/team/new", new, bearer=key_of(boss)).status in (401, 403)
