"""What a team grants its plain members: each route alone has its effect, on this team and on nothing else."""

from collections.abc import Callable

import pytest

from keys.models import VirtualKey
from teams import services
from teams.actors import SYSTEM
from teams.callers import BASELINE_ROUTES, MEMBER_ROUTES
from teams.models import Membership, Team, User
from tests.api.conftest import Answer, Api
from tests.api.people import key_of, organization_of
from tests.api.spending import DAY, spend
from tests.factories import issue

ACTIVITY = "/team/daily/activity"
#: Adds a field to what other routes open.
ASSIGN = "/key/access_group_assignment"
Try = Callable[[Api, VirtualKey, str], bool]


def _posts(path: str, **fields: object) -> Try:
    """A POST about a key of the team, which `{key}` and `{team}` name."""

    def attempt(api: Api, key: VirtualKey, bearer: str) -> bool:
        named = {"key": key.token, "team": _team_of(key).public_id}
        body = {name: value.format(**named) if isinstance(value, str) else value for name, value in fields.items()}
        return api.post(path.format(**named), body, bearer=bearer).status == 200

    return attempt


def _shows(path: str, **query: str) -> Try:
    """A GET that shows the team's key, or a call of it."""

    def attempt(api: Api, key: VirtualKey, bearer: str) -> bool:
        asked = {name: value.format(team=_team_of(key).public_id) for name, value in query.items()}
        answer = api.get(path, asked, bearer=bearer)
        return answer.status == 200 and (key.token in answer.text or f'"{key.alias}"' in answer.text)

    return attempt


def _deletes(api: Api, key: VirtualKey, bearer: str) -> bool:
    return api.post("/key/delete", {"keys": [key.token]}, bearer=bearer).status == 200


def _updates_many(api: Api, key: VirtualKey, bearer: str) -> bool:
    body = {"team_id": _team_of(key).public_id, "keys": [{"key": key.token, "rpm_limit": 3}]}
    answer = api.post("/team/key/bulk_update", body, bearer=bearer)
    return answer.status == 200 and not answer.json["failed_updates"]


#: What each route is for, tried on a key of the team that belongs to nobody.
TRIES: dict[str, Try] = {
    "/key/generate": _posts("/key/generate", team_id="{team}"),
    "/key/update": _posts("/key/update", key="{key}", rpm_limit=3),
    "/key/delete": _deletes,
    "/key/regenerate": _posts("/key/regenerate", key="{key}"),
    "/key/{key_id}/regenerate": _posts("/key/{key}/regenerate"),
    "/key/service-account/generate": _posts("/key/service-account/generate", team_id="{team}", key_alias="robot"),
    "/key/block": _posts("/key/block", key="{key}"),
    "/key/unblock": _posts("/key/unblock", key="{key}"),
    "/key/bulk_update": _updates_many,
    "/key/list": _shows("/key/list", team_id="{team}"),
    "/key/aliases": _shows("/key/aliases", team_id="{team}"),
    "/key/{key_id}/reset_spend": _posts("/key/{key}/reset_spend", reset_to=0),
    ACTIVITY: _shows(ACTIVITY, team_ids="{team}", **DAY),
    "/spend/logs": _shows("/spend/logs/v2", team_id="{team}", **DAY),
}
#: What shows the same in another form.
FORMS = {
    ACTIVITY: [f"{ACTIVITY}/aggregated", f"{ACTIVITY}/export?export_type=daily_with_keys"],
    "/spend/logs": [
        "/spend/logs", "/spend/logs?summarize=false", "/spend/logs/ui", "/spend/logs/session/ui?session_id=request-1",
        "/spend/logs/ui/request-1",
    ],
}  # fmt: skip
READS = ["/key/list", "/key/aliases", ACTIVITY, "/spend/logs"]


@pytest.fixture
def team_key(search: Team) -> VirtualKey:
    return _key_of(search, "teams-own")


@pytest.fixture
def other_key(search: Team) -> VirtualKey:
    """Of a team beside it in the organization, which Linus is in too and which grants nothing."""
    other = services.create_team(Team(name="other", organization=search.organization), actor=SYSTEM)
    return _key_of(other, "others")


def _key_of(team: Team, alias: str) -> VirtualKey:
    key = issue(team=team, alias=alias, max_budget_nano=10**9)[0]
    spend(key, 1000)
    return key


def _team_of(key: VirtualKey) -> Team:
    assert key.team is not None
    return key.team


def _join(key: VirtualKey, person: User, *routes: str) -> None:
    team = _team_of(key)
    services.add_member(Membership(team=team, user=person), actor=SYSTEM)
    services.grant_to_members(team, list(routes), actor=SYSTEM)


def test_every_route_that_can_be_granted_is_tried() -> None:
    assert TRIES.keys() == set(MEMBER_ROUTES) - {*BASELINE_ROUTES, ASSIGN}


@pytest.mark.parametrize("route", TRIES)
def test_a_granted_route_has_its_effect_on_this_team_alone(
    api: Api, linus: User, team_key: VirtualKey, other_key: VirtualKey, route: str
) -> None:
    _join(team_key, linus, *BASELINE_ROUTES)
    _join(other_key, linus, *BASELINE_ROUTES)
    bearer = key_of(linus)
    assert not TRIES[route](api, team_key, bearer)
    services.grant_to_members(_team_of(team_key), [route], actor=SYSTEM)
    assert not TRIES[route](api, other_key, bearer)
    assert TRIES[route](api, team_key, bearer)


@pytest.mark.parametrize("route", TRIES)
def test_a_key_of_one_team_does_nothing_that_another_team_grants_its_owner(
    api: Api, linus: User, team_key: VirtualKey, other_key: VirtualKey, route: str
) -> None:
    """Who leads the one team may have made the key, and know its secret."""
    _join(team_key, linus, *MEMBER_ROUTES)
    _join(other_key, linus, *MEMBER_ROUTES)
    bearer = issue(team=other_key.team, user=linus)[1]
    assert not TRIES[route](api, team_key, bearer)
    for path in FORMS.get(route, ["/key/list", "/key/aliases"]):
        shown = api.get(path, DAY, bearer=bearer).text
        assert team_key.token not in shown and str(team_key.alias) not in shown


@pytest.mark.parametrize(("route", "path"), [(route, path) for route, paths in FORMS.items() for path in paths])
def test_what_a_team_lets_its_members_read_they_read_in_every_form(
    api: Api, linus: User, team_key: VirtualKey, other_key: VirtualKey, route: str, path: str
) -> None:
    _join(team_key, linus, *BASELINE_ROUTES)
    _join(other_key, linus, *BASELINE_ROUTES)
    bearer = key_of(linus)
    where, _, asked = path.partition("?")
    query = DAY | dict(part.split("=") for part in asked.split("&") if part)
    assert team_key.token not in api.get(where, query, bearer=bearer).text
    services.grant_to_members(_team_of(team_key), [route], actor=SYSTEM)
    shown = api.get(where, query, bearer=bearer)
    assert team_key.token in shown.text
    assert other_key.token not in shown.text


@pytest.mark.parametrize("route", TRIES)
def test_who_may_only_look_is_granted_what_shows_something(
    api: Api, linus: User, team_key: VirtualKey, route: str
) -> None:
    linus.role = User.Role.INTERNAL_USER_VIEWER
    services.update_limits(linus, actor=SYSTEM)
    _join(team_key, linus, route)
    assert TRIES[route](api, team_key, key_of(linus)) is (route in READS)


def test_spend_of_the_team_is_shown_nowhere_else(api: Api, linus: User, team_key: VirtualKey) -> None:
    _join(team_key, linus, ACTIVITY)
    bearer = key_of(linus)
    for path in ("/spend/logs", "/spend/keys", "/user/daily/activity", "/key/spend/report", "/global/spend/keys"):
        answer = api.get(path, DAY, bearer=bearer)
        assert (answer.status, team_key.token in answer.text) == (200, False), path


def test_a_member_who_leaves_reads_nothing_more(api: Api, linus: User, team_key: VirtualKey) -> None:
    _join(team_key, linus, *MEMBER_ROUTES)
    bearer = key_of(linus)
    assert TRIES["/spend/logs"](api, team_key, bearer)
    body = {"team_id": _team_of(team_key).public_id, "user_id": linus.public_id}
    assert api.post("/team/member_delete", body).status == 200
    assert team_key.token not in api.get("/spend/logs/v2", DAY, bearer=bearer).text


def test_a_member_sets_back_no_key_outside_of_the_team_and_not_the_one_that_calls(
    api: Api, linus: User, grace: User, search: Team
) -> None:
    services.add_member(Membership(team=search, user=linus), actor=SYSTEM)
    services.grant_to_members(search, ["/key/{key_id}/reset_spend"], actor=SYSTEM)
    (own, bearer), (foreign, _) = issue(user=linus), issue(user=grace)
    calling, of_team = issue(user=linus, team=search, max_budget_nano=10**9)
    spend(calling, 1000)

    def reset(key: VirtualKey, bearer: str) -> Answer:
        return api.post(f"/key/{key.token}/reset_spend", {"reset_to": 0}, bearer=bearer)

    assert [reset(key, bearer).status for key in (own, foreign)] == [403, 403]
    assert reset(calling, of_team).status == 403
    assert reset(calling, bearer).json["previous_spend"] > 0


def test_members_whom_the_team_lets_give_access_groups_to_its_keys(api: Api, linus: User, search: Team) -> None:
    services.add_member(Membership(team=search, user=linus), actor=SYSTEM)
    group = api.post("/v1/access_group", {"access_group_name": "g"}).json["access_group_id"]
    key, own, (limited, narrow) = (
        issue(team=search)[0],
        issue(user=linus)[0],
        issue(team=search, user=linus, allowed_models=["gpt-4o"]),
    )

    def assigned(key: VirtualKey, bearer: str) -> int:
        return api.post("/key/update", {"key": key.token, "access_group_ids": [group]}, bearer=bearer).status

    bearer = key_of(linus)
    services.grant_to_members(search, ["/key/update"], actor=SYSTEM)
    assert assigned(key, bearer) == 403
    services.grant_to_members(search, ["/key/update", ASSIGN], actor=SYSTEM)
    assert [assigned(each, narrow) for each in (limited, key)] == [403, 403]
    assert [assigned(each, bearer) for each in (limited, key, own)] == [200, 200, 403]


def test_in_bulk_a_member_changes_what_one_update_would_let_it(api: Api, linus: User, search: Team) -> None:
    services.add_member(Membership(team=search, user=linus), actor=SYSTEM)
    services.grant_to_members(search, ["/key/bulk_update"], actor=SYSTEM)
    key, limited = issue(team=search, max_budget_nano=10**9)[0], issue(user=linus, team=search, rpm_limit=2)[1]
    elsewhere = organization_of("elsewhere")

    def changed(bearer: str, **fields: object) -> bool:
        body = {"team_id": search.public_id, "all_keys_in_team": True, "update_fields": fields}
        answer = api.post("/team/key/bulk_update", body, bearer=bearer)
        assert answer.status == 200, answer.text
        return key.token in [done["key"] for done in answer.json["successful_updates"]]

    bearer = key_of(linus)
    assert changed(bearer, max_budget=0.5, key_alias=None)
    for fields in (
        {"max_budget": 2}, {"max_budget": None}, {"blocked": True}, {"team_id": None}, {"spend": 5},
        {"organization_id": elsewhere.public_id}, {"access_group_ids": ["g"]}, {"allowed_routes": ["/x"]},
    ):  # fmt: skip
        assert not changed(bearer, **fields), fields
    assert not changed(limited, rpm_limit=3)
    assert changed(limited, rpm_limit=1)
    own = {"team_id": search.public_id, "keys": [{"key": issue(user=linus)[0].token, "rpm_limit": 1}]}
    assert api.post("/team/key/bulk_update", own, bearer=bearer).json["successful_updates"] == []
    assert api.post("/key/bulk_update", own, bearer=bearer).status == 403


def test_who_is_not_granted_a_bulk_is_told_whom_to_ask(api: Api, linus: User, search: Team) -> None:
    services.add_member(Membership(team=search, user=linus), actor=SYSTEM)
    body = {"team_id": search.public_id, "all_keys_in_team": True, "update_fields": {"rpm_limit": 1}}
    refused = api.post("/team/key/bulk_update", body, bearer=key_of(linus))
    assert (refused.status, "/key/bulk_update" in refused.text) == (401, True)
