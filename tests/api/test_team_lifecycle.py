"""Teams from making to deleting: rows, lists, members' defaults and bounds."""

from decimal import Decimal
from typing import Any

import pytest

from keys import teams_api
from keys.loading import load_grants
from keys.models import VirtualKey
from teams.models import AuditEvent, Membership, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person
from tests.api.spending import spend
from tests.factories import issue


def test_a_deleted_team_is_gone_with_its_keys_and_its_id_is_never_given_again(
    api: Api, search: Team, grace: User
) -> None:
    of_team, secret = issue(team=search, user=grace)
    own = key_of(grace)
    answer = api.post("/team/delete", {"team_ids": [search.public_id]})
    assert answer.status == 200, answer.text
    assert [row["team_id"] for row in answer.json] == [search.public_id]
    assert VirtualKey.objects.get(pk=of_team.pk).status() == "deleted"
    assert (api.get("/key/info", bearer=secret).status, api.get("/key/info", bearer=own).status) == (401, 200)
    assert api.get("/team/info", {"team_id": search.public_id}).status == 404
    again = api.post("/team/new", {"team_id": search.public_id})
    assert (again.status, again.error["param"]) == (400, "team_id")
    assert "deleted team" in again.error["message"]
    assert AuditEvent.objects.filter(action="team.deleted").count() == 1


def test_a_key_that_outlived_its_team_lets_nobody_in(search: Team) -> None:
    key, _ = issue(team=search)
    Team.objects.filter(pk=search.pk).update(deleted_at="2026-01-01T00:00:00Z")
    assert [policy.blocked for policy in load_grants([key.token])[key.token].chain] == [False, True, False]


def test_of_several_teams_none_is_deleted_if_one_is_unknown(api: Api, search: Team) -> None:
    answer = api.post("/team/delete", {"team_ids": [search.public_id, "unknown"]})
    assert answer.status == 404
    assert "unknown" in answer.json["detail"]["error"]
    assert Team.objects.live().count() == 1


def test_teams_are_listed_with_members_and_keys(api: Api, search: Team, grace: User) -> None:
    key, _ = issue(team=search)
    [row] = api.get("/team/list").json
    assert (row["team_id"], row["keys"][0]["token"]) == (search.public_id, key.token)
    assert [member["user_id"] for member in row["team_memberships"]] == [grace.public_id]
    assert [row["team_id"] for row in api.get("/team/list", {"user_id": grace.public_id}).json] == [search.public_id]
    assert api.get("/team/list", {"user_id": "nobody"}).json == []


def test_teams_are_paged_sorted_filtered_and_deleted_ones_apart(api: Api) -> None:
    for number in range(3):
        assert api.post("/team/new", {"team_id": f"t{number}", "team_alias": f"Team {number}"}).status == 200
    api.post("/team/delete", {"team_ids": ["t1"]})
    page = api.get("/v2/team/list", {"page_size": 1, "sort_by": "team_alias", "sort_order": "asc"}).json
    assert ([row["team_id"] for row in page["teams"]], page["total"], page["total_pages"]) == (["t0"], 2, 2)
    assert [row["team_id"] for row in api.get("/v2/team/list", {"status": "deleted"}).json["teams"]] == ["t1"]
    assert [row["team_id"] for row in api.get("/v2/team/list", {"search": "team 2"}).json["teams"]] == ["t2"]
    assert api.get("/v2/team/list", {"sort_by": "nonsense"}).status == 400


def test_teams_are_ordered_by_what_they_spent(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, nano in (("t0", 2), ("t1", 3), ("t2", 1), ("t3", 0)):
        api.post("/team/new", {"team_id": name, "team_alias": "Spender"})
        if nano:
            key, _ = issue(team=Team.objects.get(public_id=name))
            spend(key, nano, scopes=(key.organization.scope, Team.objects.get(public_id=name).scope, key.scope))

    def listed(**query: Any) -> list[tuple[str, int]]:
        answer = api.get("/v2/team/list", {"sort_by": "spend", "team_alias": "Spender"} | query)
        return [(row["team_id"], row["keys_count"]) for row in answer.json["teams"]]

    assert listed() == [("t1", 1), ("t0", 1), ("t2", 1), ("t3", 0)]
    assert listed(sort_order="asc", page_size=2) == [("t3", 0), ("t2", 1)]
    assert listed(page_size=3, page=2) == [("t3", 0)]
    monkeypatch.setattr(teams_api, "_MOST", 3)
    refused = api.get("/v2/team/list", {"sort_by": "spend"})
    assert (refused.status, "narrow the list" in refused.told) == (400, True)


def test_a_member_without_limits_has_those_the_team_gives_everybody(api: Api, settings: Any) -> None:
    settings.LITELLM_SETTINGS = {"disable_auto_add_proxy_admin_to_teams": True}
    api.post("/team/new", {"team_id": "t", "members_with_roles": [{"user_id": "early"}]})
    api.post("/team/member_add", {"team_id": "t", "member": {"user_id": "own"}, "max_budget_in_team": 7})
    body = {"team_id": "t", "team_member_budget": 2, "team_member_budget_duration": "30d", "team_member_rpm_limit": 9}
    row = api.post("/team/update", body).json["data"]
    assert (row["team_member_budget"], row["team_member_rpm_limit"]) == (2, 9)
    api.post("/team/member_add", {"team_id": "t", "member": {"user_id": "late"}})
    assert _budgets() == {"early": 2, "late": 2, "own": 7}
    api.post("/team/update", {"team_id": "t", "team_member_budget": 3})
    assert _budgets() == {"early": 3, "late": 3, "own": 7}
    shown = api.get("/team/info", {"team_id": "t"}).json
    tables = [row["litellm_budget_table"]["max_budget"] for row in shown["team_memberships"]]
    assert sorted(tables) == [3, 3, 7]
    assert shown["team_info"]["metadata"]["team_member_budget_id"]


def test_a_bad_limit_of_members_is_named_as_it_was_sent(api: Api) -> None:
    answer = api.post("/team/new", {"team_id": "t", "team_member_budget": -1})
    assert (answer.status, answer.error["param"]) == (400, "team_member_budget")
    assert not Team.objects.exists()


def test_new_members_get_the_models_that_the_team_gives_them(api: Api) -> None:
    api.post("/team/new", {"team_id": "t", "default_team_member_models": ["a"]})
    answer = api.post("/team/member_add", {"team_id": "t", "member": [{"user_id": "u"}]})
    assert answer.json["updated_team_memberships"][0]["allowed_models"] == ["a"]


def test_who_makes_a_team_leads_it_also_the_holder_of_the_master_key(api: Api, ada: User) -> None:
    assert api.post("/team/new", {}, bearer=key_of(ada)).json["admins"] == [ada.public_id]
    assert api.post("/team/new", {}).json["admins"] == ["default_user_id"]
    assert api.post("/team/new", {}).json["admins"] == ["default_user_id"]
    assert not User.objects.get(public_id="default_user_id").has_usable_password()


def test_the_holder_of_the_master_key_leads_new_teams_also_after_it_was_deleted(api: Api) -> None:
    api.post("/team/new", {})
    assert api.post("/user/delete", {"user_ids": ["default_user_id"]}).status == 200
    team = api.post("/team/new", {}).json["team_id"]
    shown = api.get("/user/info", {"user_id": "default_user_id"}).json
    assert (shown["user_info"]["user_role"], [row["team_id"] for row in shown["teams"]]) == ("proxy_admin", [team])


def test_a_platform_admin_can_be_kept_out_of_the_teams_it_makes(api: Api, ada: User, settings: Any) -> None:
    settings.LITELLM_SETTINGS = {"disable_auto_add_proxy_admin_to_teams": True}
    assert api.post("/team/new", {}, bearer=key_of(ada)).json["admins"] == []


def test_models_are_added_and_taken_away(api: Api) -> None:
    api.post("/team/new", {"team_id": "t", "models": ["a"]})
    assert api.post("/team/model/add", {"team_id": "t", "models": ["b"]}).json["models"] == ["a", "b"]
    assert api.post("/team/model/delete", {"team_id": "t", "models": ["a"]}).json["models"] == ["b"]
    last = api.post("/team/model/delete", {"team_id": "t", "models": ["b"]})
    assert (last.status, "block the team" in last.text) == (400, True)


def test_permissions_of_members_are_listed_set_and_added_in_bulk(api: Api, search: Team) -> None:
    named = {"team_id": search.public_id}
    shown = api.get("/team/permissions_list", named).json
    assert shown["team_member_permissions"] == []
    assert "/key/generate" in shown["all_available_permissions"]
    set_ = api.post("/team/permissions_update", named | {"team_member_permissions": ["/key/generate"]})
    assert "/key/generate" in set_.json["team_member_permissions"]
    bulk = api.post("/team/permissions_bulk_update", {"team_ids": [search.public_id], "permissions": ["/key/update"]})
    assert (bulk.status, bulk.json["teams_updated"]) == (200, 1)
    assert api.get("/team/info", named).json["team_info"]["team_member_permissions"] == ["/key/generate", "/key/update"]
    bad = api.post("/team/permissions_update", named | {"team_member_permissions": ["/user/delete"]})
    assert (bad.status, bad.error["param"]) == (400, "team_member_permissions")
    assert api.post("/team/permissions_update", named).status == 422


@pytest.mark.parametrize("nothing", [None, []])
def test_permissions_that_a_team_takes_back_are_shown_as_none_everywhere(
    api: Api, search: Team, nothing: list[str] | None
) -> None:
    named = {"team_id": search.public_id}
    api.post("/team/permissions_update", named | {"team_member_permissions": ["/key/generate"]})
    taken = api.post("/team/permissions_update", named | {"team_member_permissions": nothing})
    assert (taken.status, taken.json["team_member_permissions"]) == (200, [])
    assert api.get("/team/permissions_list", named).json["team_member_permissions"] == []
    assert api.get("/team/info", named).json["team_info"]["team_member_permissions"] == []


def test_a_team_is_changed_by_patch_too(api: Api, search: Team) -> None:
    answer = api.patch(f"/team/{search.public_id}", {"team_alias": "found", "unknown_field": 1})
    assert (answer.status, answer.json["data"]["team_alias"]) == (200, "found")


def test_windows_of_a_team_fit_into_its_organization(api: Api) -> None:
    organization_of("small", max_budget_nano=10**9)
    window = {"budget_duration": "1d", "max_budget": 2}
    answer = api.post("/team/new", {"organization_id": "small", "budget_limits": [window]})
    assert (answer.status, answer.error["param"]) == (400, "budget_limits")


@pytest.mark.parametrize(("field", "value"), [("tpd_limit", 5), ("guardrails", ["pii"]), ("policies", ["p"])])
def test_what_is_not_enforced_is_refused_and_its_empty_value_accepted(api: Api, field: str, value: Any) -> None:
    answer = api.post("/team/new", {field: value})
    assert (answer.status, answer.error["param"]) == (400, field)
    assert api.post("/team/new", {field: None}).status == 200


def test_many_join_at_once_and_each_failure_is_named(api: Api, search: Team, grace: User) -> None:
    members = [{"user_id": "n1"}, {"user_id": grace.public_id}, {"role": "king", "user_id": "n2"}]
    answer = api.post("/team/bulk_member_add", {"team_id": search.public_id, "members": members})
    assert answer.status == 200, answer.text
    counts = [answer.json[name] for name in ("total_requested", "successful_additions", "failed_additions")]
    assert counts == [3, 1, 2]
    assert [result["success"] for result in answer.json["results"]] == [True, False, False]
    assert "already in team" in answer.json["results"][1]["error"]
    assert answer.json["results"][2]["error"].startswith("member.role: ")


def test_everybody_joins_who_is_not_in_the_team_yet(api: Api, search: Team, grace: User, linus: User) -> None:
    person("eve")
    sent = {"team_id": search.public_id, "all_users": True}
    answer = api.post("/team/bulk_member_add", sent)
    assert answer.status == 200, answer.text
    assert (answer.json["successful_additions"], answer.json["failed_additions"]) == (2, 0)
    members = Membership.objects.filter(team=search).values_list("user__public_id", flat=True)
    assert set(members) == {grace.public_id, linus.public_id, "eve"}
    again = api.post("/team/bulk_member_add", sent)
    assert (again.status, "members: write a list" in again.told) == (400, True)


def test_somebody_reads_the_own_place_in_a_team(api: Api, search: Team, grace: User) -> None:
    answer = api.get(f"/team/{search.public_id}/members/me", bearer=key_of(grace))
    assert (answer.status, answer.json["user_id"], answer.json["spend"]) == (200, grace.public_id, Decimal(0))
    assert api.get(f"/team/{search.public_id}/members/me", bearer=key_of(person("eve"))).status == 403


def _budgets() -> dict[str, int]:
    rows = Membership.objects.select_related("user", "shared_budget")
    return {row.user.public_id: row.effective("max_budget_nano") // 10**9 for row in rows}
