"""People from making to deleting, lists of them, and invitations."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from keys import users_api
from keys.models import VirtualKey
from spend import services as ledger
from teams.models import AuditEvent, Invitation, Membership, OrganizationMembership, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person
from tests.factories import intent_for, issue, posting_of

PASSWORD = "a-long-sentence-with-7-words"


def test_a_deleted_person_is_gone_with_all_keys_and_the_id_is_free_again(api: Api, search: Team, grace: User) -> None:
    of_team, own = issue(team=search, user=grace), issue(user=grace)
    answer = api.post("/user/delete", {"user_ids": [grace.public_id]})
    assert (answer.status, answer.json) == (200, 1)
    for key, secret in (of_team, own):
        assert VirtualKey.objects.get(pk=key.pk).status() == "deleted"
        assert api.get("/key/info", bearer=secret).status == 401
    assert not Membership.objects.exists()
    assert api.get("/user/info", {"user_id": grace.public_id}).status == 404
    again = api.post("/user/new", {"user_id": grace.public_id, "user_email": grace.email, "auto_create_key": False})
    assert again.status == 200, again.text
    assert User.objects.live().get(public_id=grace.public_id).pk != grace.pk
    assert AuditEvent.objects.filter(action="user.deleted").count() == 1


def test_somebody_deleted_never_signs_in_again(api: Api, grace: User) -> None:
    api.post("/user/delete", {"user_ids": [grace.public_id]})
    grace.refresh_from_db()
    assert (grace.is_active, grace.has_usable_password(), grace.username == "grace") == (False, False, False)


def test_of_several_people_none_is_deleted_if_one_is_unknown(api: Api, grace: User) -> None:
    answer = api.post("/user/delete", {"user_ids": [grace.public_id, "unknown"]})
    assert answer.status == 404
    assert "unknown" in answer.json["detail"]["error"]
    assert User.objects.live().filter(pk=grace.pk).exists()


def test_people_are_paged_sorted_and_filtered(api: Api, search: Team, grace: User) -> None:
    for name in ("a", "b"):
        api.post("/user/new", {"user_id": name, "user_email": f"{name}@corp.com", "user_role": "internal_user_viewer"})
    shown = api.get(
        "/user/list", {"page_size": 1, "sort_by": "user_id", "sort_order": "asc", "role": "internal_user_viewer"}
    )
    assert ([row["user_id"] for row in shown.json["users"]], shown.json["total"]) == (["a"], 2)
    assert (shown.json["total_pages"], shown.json["users"][0]["key_count"]) == (2, 1)

    def ids(**query: str) -> list[str]:
        return sorted(row["user_id"] for row in api.get("/user/list", query).json["users"])

    assert ids(user_ids="a,b") == ["a", "b"]
    assert ids(user_email="corp.com") == ["a", "b"]
    assert ids(team=search.public_id) == [grace.public_id]
    assert ids(search="grace@") == ids(search=grace.public_id[:-1]) == [grace.public_id]
    for bad in ({"role": "king"}, {"sort_by": "shoe"}):
        assert api.get("/user/list", bad).status == 400
    for bad in ({"page_size": "101"}, {"page": "0"}):
        assert api.get("/user/list", bad).status == 422


def test_a_person_without_limits_gets_those_of_the_file(api: Api, settings: Any) -> None:
    settings.LITELLM_SETTINGS = {
        "default_internal_user_params": {"user_role": "internal_user_viewer", "models": ["m"], "max_budget": 0.1},
        "max_internal_user_budget": 9, "internal_user_budget_duration": "30d",
    }  # fmt: skip
    made = api.post("/user/new", {}).json
    assert (made["user_role"], made["models"], made["max_budget"]) == ("internal_user_viewer", ["m"], Decimal("0.1"))
    assert made["budget_duration"] == "30d"
    own = api.post("/user/new", {"user_role": "internal_user", "max_budget": 3, "models": ["x"]}).json
    assert (own["user_role"], own["models"], own["max_budget"]) == ("internal_user", ["x"], 3)
    assert own["budget_duration"] == "30d"
    assert api.post("/user/new", {"user_role": "proxy_admin"}).json["max_budget"] is None


def test_what_a_person_lacks_is_filled_each_for_itself(api: Api, settings: Any) -> None:
    defaults = {"max_budget": 7, "budget_duration": "1mo", "models": ["m"]}
    settings.LITELLM_SETTINGS = {"default_internal_user_params": defaults}
    for body, shown in (
        ({"max_budget": 1}, (1, "1mo", ["m"])), ({"budget_duration": "1d"}, (7, "1d", ["m"])),
        ({"models": []}, (7, "1mo", [])), (dict.fromkeys(defaults), (7, "1mo", ["m"])),
    ):  # fmt: skip
        made = api.post("/user/new", body).json
        assert (made["max_budget"], made["budget_duration"], made["models"]) == shown
        assert made["budget_reset_at"] is not None


def test_a_person_joins_organizations_and_the_first_is_the_home(api: Api) -> None:
    organization_of("north")
    organization_of("south")
    made = api.post("/user/new", {"user_id": "u", "organizations": ["north", "south"]}).json
    assert made["organization_id"] == "north"
    joined = OrganizationMembership.objects.values_list("organization__public_id", "role")
    assert sorted(joined) == [("north", "internal_user"), ("south", "internal_user")]


def test_a_first_key_may_be_one_of_a_team(api: Api, search: Team) -> None:
    made = api.post("/user/new", {"user_id": "u", "team_id": search.public_id}).json
    assert made["teams"] == [search.public_id]
    assert api.get("/key/info", bearer=made["key"]).json["info"]["team_id"] == search.public_id


def test_a_person_is_shown_with_the_own_place_in_each_team(api: Api, search: Team, grace: User) -> None:
    named = {"team_id": search.public_id, "user_id": grace.public_id}
    api.post("/team/member_update", named | {"max_budget_in_team": 0.0000001})
    [team] = api.get("/user/info", {"user_id": grace.public_id}).json["teams"]
    [place] = team["team_memberships"]
    assert place["litellm_budget_table"]["max_budget"] == Decimal("0.0000001")


def test_many_people_are_changed_at_once(api: Api, linus: User, grace: User) -> None:
    users = [
        {"user_id": linus.public_id, "max_budget": 2},
        {"user_id": "unknown"},
        {"user_email": grace.email, "rpm_limit": -1},
    ]
    answer = api.post("/user/bulk_update", {"users": users}).json
    assert (answer["total_requested"], answer["successful_updates"], answer["failed_updates"]) == (3, 1, 2)
    assert [result["success"] for result in answer["results"]] == [True, False, False]
    assert answer["results"][2]["error"].startswith("rpm_limit: ")
    answer = api.post("/user/bulk_update", {"all_users": True, "user_updates": {"max_budget": 4}}).json
    assert answer["failed_updates"] == 0
    assert set(User.objects.values_list("max_budget_nano", flat=True)) == {4 * 10**9}
    for bad, status in (({}, 422), ({"users": []}, 400), ({"all_users": True}, 400)):
        assert api.post("/user/bulk_update", bad).status == status


def test_roles_and_pickers(api: Api, grace: User) -> None:
    assert set(api.get("/user/available_roles").json) == set(User.Role.values)
    assert [row["user_id"] for row in api.get("/user/filter/ui", {"user_email": "GRACE"}).json] == [grace.public_id]


def test_an_invitation_lets_its_person_set_a_password_once(api: Api, linus: User) -> None:
    made = api.post("/invitation/new", {"user_id": linus.public_id}).json
    link = made["id"]
    assert (made["user_id"], made["is_accepted"]) == (linus.public_id, False)
    assert link not in str(Invitation.objects.values().get()) + str(list(AuditEvent.objects.values()))
    opened = api.get("/onboarding/get_token", {"invite_link": link}, headers={})
    assert (opened.status, opened.json["user_email"]) == (200, linus.email)
    claim = {"invitation_link": link, "user_id": linus.public_id, "password": PASSWORD}
    assert api.post("/onboarding/claim_token", claim | {"user_id": "other"}, headers={}).status == 400
    assert api.post("/onboarding/claim_token", claim | {"password": "short"}, headers={}).error["param"] == "password"
    assert api.post("/onboarding/claim_token", claim, headers={}).status == 200
    linus.refresh_from_db()
    assert linus.check_password(PASSWORD)
    assert api.get("/invitation/info", {"invitation_id": link}).json["is_accepted"] is True
    assert api.post("/onboarding/claim_token", claim, headers={}).status == 401
    assert api.get("/onboarding/get_token", {"invite_link": link}, headers={}).status == 401


def test_an_invitation_ends_after_a_week_or_when_it_is_deleted(api: Api, linus: User) -> None:
    old, gone = (api.post("/invitation/new", {"user_id": linus.public_id}).json["id"] for _ in range(2))
    assert api.post("/invitation/delete", {"invitation_id": gone}).status == 200
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for link in (old, gone, "sk-guess"):
        body = {"invitation_link": link, "user_id": linus.public_id, "password": PASSWORD}
        assert api.post("/onboarding/claim_token", body, headers={}).status == 401
    assert api.get("/invitation/info", {"invitation_id": gone}).status == 400
    assert api.post("/invitation/new", {"user_id": "unknown"}).status == 404


def test_an_invitation_is_marked_as_accepted(api: Api, linus: User) -> None:
    link = api.post("/invitation/new", {"user_id": linus.public_id}).json["id"]
    assert api.post("/invitation/update", {"invitation_id": link, "is_accepted": True}).json["is_accepted"] is True
    assert api.post("/invitation/update", {"invitation_id": link}).status == 400


def test_somebody_changes_the_own_password_knowing_the_old_one(api: Api, linus: User) -> None:
    secret = key_of(linus)
    body = {"new_password": PASSWORD, "current_password": "wrong"}
    assert api.post("/user/password/change", body, bearer=secret).status == 403
    right = body | {"current_password": "correct-horse-battery-staple"}
    assert api.post("/user/password/change", right | {"new_password": "short"}, bearer=secret).status == 400
    assert api.post("/user/password/change", right, bearer=secret).status == 200
    linus.refresh_from_db()
    assert linus.check_password(PASSWORD)
    assert api.post("/user/password/change", right).status == 400


@pytest.mark.parametrize("role", ["internal_user", "proxy_admin"])
def test_nobody_sets_a_first_password_by_a_key(api: Api, role: User.Role) -> None:
    somebody = person("somebody", role=role)
    secret = key_of(somebody)
    for current in ("", "anything", None, 1):
        body = {"new_password": PASSWORD, "current_password": current}
        refused = api.post("/user/password/change", body, bearer=secret)
        assert (refused.status, refused.error["param"]) == (400, "current_password")
        assert "/invitation/new" in refused.error["message"]
    assert api.post("/user/password/change", {"new_password": PASSWORD}, bearer=secret).status == 400
    somebody.refresh_from_db()
    assert not somebody.has_usable_password()


def test_a_person_shows_every_field_that_clients_know(api: Api) -> None:
    row = api.post("/user/new", {"user_id": "u", "sso_user_id": "sso-1"}).json
    for name in (
        "user_alias",
        "sso_user_id",
        "tpm_limit",
        "rpm_limit",
        "spend",
        "model_max_budget",
        "created_at",
        "teams",
    ):
        assert name in row
    assert api.post("/user/new", {"sso_user_id": "sso-1"}).status == 409
    assert api.get("/v2/user/info", {"user_id": "u"}).json["sso_user_id"] == "sso-1"
    assert api.get("/v2/user/info", {"user_id": "unknown"}).status == 404
    assert person("p").sso_id == ""


def test_people_are_ordered_by_what_they_spent(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    spenders = {name: person(name) for name in ("a", "b", "c")}
    for name, nano in (("a", 2), ("b", 3), ("c", 1)):
        key, _ = issue(user=spenders[name])
        intent = intent_for(key, at=timezone.now(), scopes=(key.organization.scope, spenders[name].scope, key.scope))
        ledger.write_intents([intent])
        ledger.post([posting_of(intent, nano)], now=timezone.now())

    def ids(**query: Any) -> list[str]:
        answer = api.get("/user/list", {"sort_by": "spend", "user_ids": "a,b,c"} | query)
        return [row["user_id"] for row in answer.json["users"]]

    assert (ids(), ids(sort_order="asc"), ids(page_size=2, page=2)) == (["b", "a", "c"], ["c", "a", "b"], ["c"])
    monkeypatch.setattr(users_api, "_MOST", 2)
    refused = api.get("/user/list", {"sort_by": "spend"})
    assert refused.status == 400
    assert "sort_by" in refused.told
    assert "sort_order" in api.get("/user/list", {"sort_by": "spend", "sort_order": "up", "user_ids": "a"}).told
