"""/team/... and /user/...: the owners of keys."""

from decimal import Decimal
from typing import Any

import pytest

from keys.models import VirtualKey
from teams import paging, services
from teams.actors import MASTER
from teams.models import AuditEvent, Membership, Organization, Team, User
from tests.api.conftest import Api
from tests.factories import issue


def test_a_team_is_made_with_its_limits_and_members(api: Api, linus: User) -> None:
    answer = api.post(
        "/team/new",
        {
            "team_alias": "Search", "team_id": "search-1", "max_budget": 100.25, "budget_duration": "1mo",
            "models": ["gpt-4o-mini"], "model_aliases": {"fast": "gpt-4o-mini"}, "rpm_limit": 10,
            "members_with_roles": [
                {"role": "admin", "user_id": linus.public_id}, {"role": "user", "user_email": "new@example.com"},
            ],
        },
    )  # fmt: skip
    assert answer.status == 200, answer.text
    made = answer.json
    assert (made["team_id"], made["team_alias"], made["max_budget"]) == ("search-1", "Search", Decimal("100.25"))
    assert made["admins"] == [linus.public_id, "default_user_id"]
    assert [member["role"] for member in made["members_with_roles"]] == ["admin", "user", "admin"]
    assert User.objects.filter(email="new@example.com").exists()
    assert AuditEvent.objects.filter(action="team.created").count() == 1


def test_a_team_id_exists_once(api: Api, search: Team) -> None:
    answer = api.post("/team/new", {"team_id": search.public_id})
    assert (answer.status, answer.error["param"]) == (400, "team_id")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"team_id": "litellm-dashboard"}, "team_id"),
        ({"organization_id": "nobody"}, "organization_id"),
        ({"max_budget": -1}, "max_budget"),
        ({"max_budget": 1, "soft_budget": 1}, "soft_budget"),
        ({"budget_duration": "x"}, "budget_duration"),
        ({"tpm_limit": -1}, "tpm_limit"),
    ],
)
def test_a_bad_team_is_400_naming_its_field(api: Api, body: dict[str, Any], field: str) -> None:
    answer = api.post("/team/new", body)
    assert (answer.status, answer.error["param"]) == (400, field)


@pytest.mark.parametrize(("field", "value"), [("max_budget", True), ("team_alias", 7), ("model_aliases", {"a": 1})])
def test_a_team_of_a_wrong_shape_is_422_naming_its_field(api: Api, field: str, value: Any) -> None:
    answer = api.post("/team/new", {field: value})
    assert (answer.status, answer.fault) == (422, field)


def test_a_team_never_exceeds_its_organization(api: Api) -> None:
    Organization.objects.create(
        public_id="small", name="Small", max_budget_nano=10**9, rpm_limit=5, allowed_models=["a"]
    )
    for body in ({"max_budget": 2}, {"rpm_limit": 6}, {"models": ["b"]}):
        answer = api.post("/team/new", body | {"organization_id": "small"})
        assert (answer.status, answer.error["param"]) == (400, next(iter(body)))


def test_a_team_is_blocked_and_unblocked(api: Api, search: Team) -> None:
    _, secret = issue(team=search)
    assert api.post("/team/block", {"team_id": search.public_id}).json["blocked"] is True
    assert api.get("/key/info", bearer=secret).status == 401
    assert api.post("/team/unblock", {"team_id": search.public_id}).json["blocked"] is False
    assert api.get("/key/info", bearer=secret).status == 200
    assert AuditEvent.objects.filter(action__in=["team.blocked", "team.unblocked"]).count() == 2


def test_blocking_an_unknown_team_is_404_as_a_detail(api: Api) -> None:
    answer = api.post("/team/block", {"team_id": "unknown"})
    assert answer.status == 404
    assert "unknown" in answer.json["detail"]["error"]
    assert "team_id" in api.post("/team/unblock", {}).told


def test_team_info_shows_members_and_keys(api: Api, search: Team, grace: User) -> None:
    key, secret = issue(team=search, user=grace)
    answer = api.get("/team/info", {"team_id": search.public_id})
    shown = answer.json
    assert (shown["team_id"], shown["team_info"]["team_alias"]) == (search.public_id, "search")
    assert [row["token"] for row in shown["keys"]] == [key.token]
    assert shown["team_memberships"][0]["user_id"] == grace.public_id
    assert secret not in answer.text


def test_an_unknown_team_is_404_and_none_422(api: Api) -> None:
    assert api.get("/team/info", {"team_id": "unknown"}).status == 404
    assert api.get("/team/info").json["detail"][0]["loc"] == ["query", "team_id"]


def test_a_person_comes_with_a_first_key(api: Api) -> None:
    answer = api.post(
        "/user/new",
        {
            "user_id": "u1",
            "user_email": "u1@example.com",
            "user_role": "internal_user",
            "max_budget": 5,
            "models": ["m"],
        },
    )
    assert answer.status == 200, answer.text
    made = answer.json
    assert (made["user_id"], made["user_email"], made["max_budget"]) == ("u1", "u1@example.com", 5)
    info = api.get("/key/info", bearer=made["key"]).json["info"]
    assert (info["user_id"], info["models"], info["max_budget"]) == ("u1", ["m"], None)


def test_a_person_can_come_without_a_key(api: Api) -> None:
    made = api.post("/user/new", {"auto_create_key": False}).json
    assert made["key"] == ""
    assert VirtualKey.objects.count() == 0


def test_a_person_joins_the_teams_that_are_named(api: Api, search: Team) -> None:
    teams = [{"team_id": search.public_id, "max_budget_in_team": 1.5, "user_role": "admin"}]
    assert api.post("/user/new", {"user_id": "u1", "teams": teams}).json["teams"] == [search.public_id]
    membership = Membership.objects.get(user__public_id="u1")
    assert (membership.role, membership.max_budget_nano) == ("admin", 1_500_000_000)
    assert api.post("/user/new", {"teams": [search.public_id]}).status == 200


def test_a_taken_id_or_email_is_409(api: Api, linus: User) -> None:
    for field, value in (("user_id", linus.public_id), ("user_email", "LINUS@example.com")):
        answer = api.post("/user/new", {field: value})
        assert (answer.status, answer.error["param"]) == (409, field)
    answer = api.post("/user/new", {"user_id": linus.public_id})
    assert f"User with id {linus.public_id} already exists" in answer.error["message"]


def test_a_password_is_refused_in_the_shape_of_a_validation(api: Api) -> None:
    answer = api.post("/user/new", {"password": "hunter2-hunter2"})
    assert answer.status == 422
    assert answer.json["detail"][0]["loc"] == ["body", "password"]
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"user_role": "king"}, 422, "user_role"), ({"user_email": "nonsense"}, 400, "user_email"),
        ({"max_budget": -1}, 400, "max_budget"), ({"teams": ["unknown"]}, 400, "teams"),
        ({"user_id": 7}, 422, "user_id"), ({"user_email": 7}, 422, "user_email"),
        ({"duration": "soon"}, 400, "duration"), ({"key_alias": ".."}, 400, "key_alias"),
    ],
)  # fmt: skip
def test_a_bad_person_names_its_field_and_leaves_nothing(
    api: Api, body: dict[str, Any], status: int, field: str
) -> None:
    answer = api.post("/user/new", body)
    assert (answer.status, answer.fault) == (status, field)
    assert User.objects.count() == 0


def test_an_id_that_is_somebodys_user_name_cannot_take_it(api: Api, ada: User) -> None:
    assert api.post("/user/new", {"user_id": "ada"}).status == 200
    assert User.objects.get(public_id="ada").username != "ada"


def test_user_info_shows_keys_and_teams(api: Api, search: Team, grace: User) -> None:
    key, secret = issue(user=grace)
    answer = api.get("/user/info", {"user_id": grace.public_id})
    shown = answer.json
    assert shown["user_info"]["user_email"] == "grace@example.com"
    assert [row["token"] for row in shown["keys"]] == [key.token]
    assert [team["team_id"] for team in shown["teams"]] == [search.public_id]
    assert secret not in answer.text
    assert "password" not in answer.text


def test_user_info_without_an_id_shows_everything_and_of_a_stranger_nothing(api: Api, search: Team) -> None:
    issue()
    shown = api.get("/user/info").json
    assert (len(shown["keys"]), len(shown["teams"])) == (1, 1)
    assert api.get("/user/info", {"user_id": "unknown"}).status == 404


def test_lists_without_pages_name_what_they_leave_out(
    api: Api, search: Team, grace: User, linus: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.add_member(Membership(team=search, user=linus), actor=MASTER)
    for _ in range(2):
        issue(team=search, user=grace)
    whole = api.get("/team/info", {"team_id": search.public_id})
    assert "x-latchkey-truncated" not in whole.headers
    monkeypatch.setattr(paging.first, "__defaults__", (1,))
    for path, query, left_out in (
        ("/team/info", {"team_id": search.public_id}, "keys, team_memberships"),
        ("/team/list", {}, "keys, team_memberships"),
        ("/user/info", {}, "keys"),
        ("/user/info", {"user_id": grace.public_id}, "keys"),
    ):
        assert api.get(path, query).headers["x-latchkey-truncated"] == left_out, path
    (team,) = api.get("/team/list").json
    assert (len(team["keys"]), len(team["team_memberships"]), len(team["members_with_roles"])) == (1, 1, 2)
    services.create_team(Team(public_id="second", organization=search.organization), actor=MASTER)
    monkeypatch.setattr("teams.organizations_api.MOST", 1)
    answer = api.get("/organization/info", {"organization_id": search.organization.public_id})
    assert (answer.headers["x-latchkey-truncated"], len(answer.json["teams"])) == ("teams", 1)
