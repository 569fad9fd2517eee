"""Who may do what to people: nobody raises the own rights, and nobody reaches people of others."""

import json
from typing import Any

import pytest

from keys import users_api
from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, Organization, OrganizationMembership, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person
from tests.factories import issue


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_role", "proxy_admin"), ("max_budget", 1000), ("max_budget", None), ("budget_duration", "1d"),
        ("rpm_limit", 9), ("max_parallel_requests", 9), ("models", ["a"]), ("budget_id", "b"),
        ("budget_limits", [{"budget_duration": "1d", "max_budget": 5}]), ("model_max_budget", {"a": {"max_budget": 5}}),
        ("blocked", True), ("metadata", {"note": "x"}), ("temp_budget_increase", 5), ("soft_budget", 1),
        ("organization_id", "south"), ("organizations", ["south"]), ("sso_user_id", "x"), ("teams", ["t"]),
    ],
)  # fmt: skip
def test_nobody_raises_the_own_rights(api: Api, linus: User, field: str, value: Any) -> None:
    linus.max_budget_nano = 10**9
    services.update_limits(linus, actor=SYSTEM)
    boss = person("boss", organization=organization_of("north"), max_budget_nano=10**9)
    api.post("/budget/new", {"budget_id": "b", "max_budget": 9})
    for user in (linus, boss):
        before = User.objects.values().get(pk=user.pk)
        lasts = {"temp_budget_expiry": "2126-01-01"} if field == "temp_budget_increase" else {}
        body = {"user_id": user.public_id, field: value, **lasts}
        answer = api.post("/user/update", body, bearer=key_of(user))
        assert (answer.status, answer.error["param"]) == (403, field), answer.text
        assert User.objects.values().get(pk=user.pk) == before


@pytest.mark.parametrize("path", ["/user/info", "/v2/user/info"])
def test_somebody_sends_the_own_row_back(api: Api, linus: User, search: Team, path: str) -> None:
    linus.max_budget_nano, linus.budget_duration = 10**9, "30d"
    services.update_limits(linus, actor=SYSTEM)
    services.add_member(Membership(team=search, user=linus), actor=SYSTEM)
    services.join_organization(OrganizationMembership(organization=organization_of("north"), user=linus), actor=SYSTEM)
    shown = json.loads(api.get(path, {"user_id": linus.public_id}, bearer=key_of(linus)).text)
    row = shown.get("user_info", shown)
    assert api.post("/user/update", row | {"user_alias": "Lin"}, bearer=key_of(linus)).status == 200
    assert api.post("/user/update", row | {"user_alias": "Lin"}).status == 200
    linus.refresh_from_db()
    assert (linus.alias, linus.max_budget_nano, linus.budget_duration) == ("Lin", 10**9, "30d")


def test_nobody_learns_by_a_change_where_others_are_and_what_exists(
    api: Api, linus: User, grace: User, search: Team
) -> None:
    services.update_limits(User.objects.get(pk=grace.pk), actor=SYSTEM)
    api.post("/budget/new", {"budget_id": "b", "max_budget": 9})
    api.post("/user/update", {"user_id": grace.public_id, "sso_user_id": "taken"})
    secret = key_of(linus)
    for field, there, absent in (("teams", [search.public_id], ["no"]), ("organizations", ["default"], ["no"])):
        bodies = [{"user_id": grace.public_id, field: value} for value in (there, absent)]
        assert {api.post("/user/update", body, bearer=secret).status for body in bodies} == {403}
    for field, there, absent in (("budget_id", "b", "no"), ("sso_user_id", "taken", "free")):
        answers = [
            api.post("/user/update", {"user_id": linus.public_id, field: value}, bearer=secret)
            for value in (there, absent)
        ]
        assert {(answer.status, answer.error["param"]) for answer in answers} == {(403, field)}


@pytest.mark.parametrize("field", ["teams", "organizations"])
def test_an_admin_is_told_how_people_join(api: Api, linus: User, field: str) -> None:
    answer = api.post("/user/update", {"user_id": linus.public_id, field: ["other"]})
    assert (answer.status, answer.error["param"], "member_add" in answer.text) == (400, field, True)


def test_somebody_changes_harmless_fields_of_the_own_account(api: Api, linus: User) -> None:
    body = {"user_id": linus.public_id, "user_alias": "Lin", "user_email": "lin@example.com", "unknown_field": 1}
    answer = api.post("/user/update", body, bearer=key_of(linus))
    assert (answer.status, answer.json["data"]["user_alias"]) == (200, "Lin")


def test_an_email_of_somebody_else_stays_with_them(api: Api, linus: User, grace: User) -> None:
    answer = api.post(
        "/user/update", {"user_id": linus.public_id, "user_email": "GRACE@example.com"}, bearer=key_of(linus)
    )
    assert (answer.status, answer.error["param"]) == (400, "user_email")


def test_a_stranger_and_somebody_absent_look_the_same(api: Api, linus: User, grace: User) -> None:
    secret = key_of(linus)
    for path in ("/user/info", "/v2/user/info"):
        answers = [api.get(path, {"user_id": one}, bearer=secret) for one in (grace.public_id, "absent")]
        assert answers[0].status == answers[1].status == (404 if path.startswith("/v2") else 403)
        assert answers[0].text.replace(grace.public_id, "absent") == answers[1].text
    for one in (grace.public_id, "absent"):
        assert api.post("/user/update", {"user_id": one, "user_alias": "x"}, bearer=secret).status == 403


def test_somebody_sees_the_own_account_alone(api: Api, linus: User, grace: User) -> None:
    issue(user=grace)
    secret = key_of(linus)
    for query in ({}, {"user_id": linus.public_id}):
        shown = api.get("/user/info", query, bearer=secret).json
        assert (shown["user_info"]["user_id"], len(shown["keys"])) == (linus.public_id, 1)
    assert api.get("/v2/user/info", bearer=secret).json["user_id"] == linus.public_id
    nobody = api.get("/user/info", bearer=issue()[1]).json
    assert (nobody["user_info"], len(nobody["keys"]), nobody["teams"]) == (None, 1, [])


def test_a_team_admin_sees_the_row_of_a_member(api: Api, search: Team, grace: User) -> None:
    mia = person("mia")
    services.add_member(Membership(team=search, user=mia), actor=SYSTEM)
    assert api.get("/v2/user/info", {"user_id": "mia"}, bearer=key_of(grace)).status == 200
    assert api.get("/v2/user/info", {"user_id": grace.public_id}, bearer=key_of(mia)).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/user/new",
        "/user/delete",
        "/user/bulk_update",
        "/invitation/new",
        "/user/list",
        "/team/permissions_bulk_update",
    ],
)
def test_a_developer_and_a_team_admin_do_not_get_at_people(api: Api, grace: User, linus: User, path: str) -> None:
    for user in (grace, linus):
        send = api.get if path == "/user/list" else api.post
        assert send(path, {"user_ids": ["x"], "user_id": "x"}, bearer=key_of(user)).status == 401


def test_an_organization_admin_makes_changes_and_deletes_people_inside_alone(api: Api) -> None:
    boss = person("boss")
    organization_of("north", boss)
    organization_of("south")
    stranger, secret = person("stranger"), key_of(boss)
    made = api.post("/user/new", {"user_id": "in", "organizations": ["north"]}, bearer=secret)
    assert (made.status, made.json["organization_id"]) == (200, "north")
    for body in ({}, {"organizations": ["south"]}, {"organizations": ["north", "south"]}):
        assert api.post("/user/new", {"user_id": "x"} | body, bearer=secret).status == 403
    admin = api.post("/user/new", {"user_role": "proxy_admin", "organizations": ["north"]}, bearer=secret)
    assert (admin.status, admin.error["param"]) == (403, "user_role")
    assert api.post("/user/update", {"user_id": "in", "max_budget": 5}, bearer=secret).status == 200
    raised = api.post("/user/update", {"user_id": "in", "user_role": "proxy_admin_viewer"}, bearer=secret)
    assert (raised.status, raised.error["param"]) == (403, "user_role")
    for other in (stranger.public_id, "absent", "boss"):
        assert api.post("/user/update", {"user_id": other, "max_budget": 5}, bearer=secret).status == 403
    assert {row["user_id"] for row in api.get("/user/list", bearer=secret).json["users"]} == {"boss", "in"}
    assert api.get("/user/info", {"user_id": "in"}, bearer=secret).status == 200
    assert api.post("/user/delete", {"user_ids": ["stranger"]}, bearer=secret).status == 403
    assert api.post("/invitation/new", {"user_id": "stranger"}, bearer=secret).status == 403
    assert api.post("/invitation/new", {"user_id": "in"}, bearer=secret).status == 200
    assert api.post("/user/delete", {"user_ids": ["in"]}, bearer=secret).json == 1


def test_an_organization_admin_does_not_delete_who_is_elsewhere_too(api: Api) -> None:
    boss = person("boss")
    north = organization_of("north", boss)
    person("both", organization=north)
    elsewhere = services.create_team(Team(organization=organization_of("south")), actor=SYSTEM)
    api.post("/team/member_add", {"team_id": elsewhere.public_id, "member": {"user_id": "both"}})
    answer = api.post("/user/delete", {"user_ids": ["both"]}, bearer=key_of(boss))
    assert answer.status == 403
    assert User.objects.live().filter(public_id="both").exists()


def test_an_organization_admin_never_touches_an_admin_of_the_platform(api: Api, ada: User) -> None:
    boss = person("boss")
    organization = Organization.objects.get(pk=ada.organization_id)
    api.post("/organization/update", {"organization_id": organization.public_id, "organization_alias": "D"})
    secret = key_of(person("p", organization=organization_of("north", boss), role=User.Role.PROXY_ADMIN))
    assert api.get("/user/list", bearer=secret).status == 200
    for path, body in (("/user/update", {"user_id": "p", "max_budget": 0}), ("/user/delete", {"user_ids": ["p"]})):
        assert api.post(path, body, bearer=key_of(boss)).status == 403


def test_nobody_deletes_the_own_account(api: Api, ada: User) -> None:
    assert api.post("/user/delete", {"user_ids": [ada.public_id]}, bearer=key_of(ada)).status == 400


def test_a_read_only_admin_reads_everybody_and_changes_the_own_email_alone(api: Api, linus: User) -> None:
    vera = person("vera", role=User.Role.PROXY_ADMIN_VIEWER)
    secret = key_of(vera)
    assert api.get("/user/info", {"user_id": linus.public_id}, bearer=secret).status == 200
    assert api.get("/user/list", bearer=secret).json["total"] == 2
    assert api.post("/user/update", {"user_id": "vera", "user_email": "v@example.com"}, bearer=secret).status == 200
    assert api.post("/user/update", {"user_id": "vera", "user_role": "proxy_admin"}, bearer=secret).status == 403
    assert api.post("/user/update", {"user_id": linus.public_id, "user_alias": "x"}, bearer=secret).status == 403
    for path in ("/user/new", "/user/delete", "/user/bulk_update", "/invitation/new"):
        assert api.post(path, {"user_ids": [linus.public_id]}, bearer=secret).status == 403


def test_a_demoted_superuser_is_no_admin_any_more(api: Api, ada: User) -> None:
    secret = key_of(ada)
    assert api.post("/user/update", {"user_id": ada.public_id, "user_role": "internal_user"}).status == 200
    ada.refresh_from_db()
    assert (ada.is_superuser, ada.is_staff) == (False, False)
    assert api.get("/user/list", bearer=secret).status == 401


def test_who_was_only_named_by_a_key_makes_no_further_ones(api: Api) -> None:
    key = api.post("/key/generate", {"user_id": "ada"}).json["key"]
    refused = api.post("/key/generate", {"user_id": "ada"}, bearer=key)
    assert refused.status == 401
    assert "Only proxy admin can be used to generate" in refused.text
    assert api.get("/key/info", bearer=key).status == 200
    assert api.get("/user/info", bearer=key).json["user_info"]["user_role"] == "internal_user_viewer"
    api.post("/user/update", {"user_id": "ada", "user_role": "internal_user"})
    assert api.post("/key/generate", {}, bearer=key).status == 200


def test_a_read_only_admin_changes_nothing_of_the_own_account_but_the_address(api: Api) -> None:
    viewer = person("viewer", role=User.Role.PROXY_ADMIN_VIEWER)
    body, bearer = {"user_id": "viewer"}, key_of(viewer)
    refused = api.post("/user/update", body | {"user_alias": "V"}, bearer=bearer)
    assert (refused.status, refused.error["param"]) == (403, "user_alias")
    assert api.post("/user/update", body | {"user_email": "v@example.com"}, bearer=bearer).status == 200


def test_who_loses_a_race_for_an_address_is_told_that_it_is_taken(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    # Between the look whether it is taken and the insert.
    monkeypatch.setattr(users_api.UserNew, "_refuse_foreign", lambda *_: person("first"))
    answer = api.post("/user/new", {"user_email": "first@example.com", "auto_create_key": False})
    assert (answer.status, answer.error["param"]) == (409, "user_email")
