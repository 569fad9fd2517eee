"""/key/list, /key/aliases, /v2/key/info and the endpoints about many keys at once."""

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from keys import list_api
from keys.models import VirtualKey
from spend import services as ledger
from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, Organization, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person
from tests.factories import intent_for, issue, posting_of


def spend(key: VirtualKey, nano: int) -> None:
    intent = intent_for(key, at=timezone.now())
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, nano)], now=timezone.now())


def bearer_of(person: User, **fields: Any) -> str:
    return issue(user=person, **fields)[1]


@pytest.mark.parametrize("name", ["spend", "total_spend"])
def test_keys_are_ordered_by_what_they_spent(api: Api, name: str) -> None:
    keys = [issue()[0] for _ in range(3)]
    for key, nano in zip(keys, (5, 9, 1), strict=True):
        spend(key, nano)
    listed = api.get("/key/list", {"sort_by": name, "sort_order": "desc"}).json["keys"]
    assert listed == [keys[1].token, keys[0].token, keys[2].token]
    page = api.get("/key/list", {"sort_by": name, "sort_order": "asc", "size": 1, "page": 2}).json
    assert (page["keys"], page["total_pages"]) == ([keys[0].token], 3)


def test_keys_without_a_value_come_last_in_both_orders(api: Api) -> None:
    none, small, other, large = (issue(max_budget_nano=nano)[0].token for nano in (None, 1, None, 2))
    for order, expected in (("asc", [small, large, other, none]), ("desc", [large, small, other, none])):
        pages = [
            api.get("/key/list", {"sort_by": "max_budget", "sort_order": order, "size": 3, "page": page}).json["keys"]
            for page in (1, 2)
        ]
        assert pages == [expected[:3], expected[3:]]


@pytest.mark.parametrize("name", ["spend", "total_spend", "last_active", "budget_reset_at"])
def test_more_keys_than_can_be_added_up_are_not_ordered_by_a_sum(
    api: Api, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(list_api, "_MOST", 1)
    assert issue()[0] != issue(alias="mine")[0]
    assert api.get("/key/list", {"sort_by": name}).error["param"] == "sort_by"
    assert len(api.get("/key/list", {"sort_by": name, "key_alias": "mine"}).json["keys"]) == 1


def test_keys_are_ordered_by_their_last_call_and_their_next_window(api: Api) -> None:
    idle, daily, monthly = issue()[0], issue(budget_duration="1d")[0], issue(budget_duration="30d")[0]
    spend(monthly, 1)
    by_use = api.get("/key/list", {"sort_by": "last_active", "return_full_object": "true"}).json["keys"]
    assert by_use[0]["token"] == monthly.token
    assert by_use[0]["last_active"] is not None
    by_reset = api.get("/key/list", {"sort_by": "budget_reset_at", "sort_order": "asc"}).json["keys"]
    assert by_reset == [daily.token, monthly.token, idle.token]


@pytest.mark.parametrize(
    ("query", "field"),
    [({"sort_by": "secret"}, "sort_by"), ({"sort_order": "up"}, "sort_order"), ({"status": "odd"}, "status"),
     ({"expires": "soon"}, "expires")],
)  # fmt: skip
def test_a_bad_filter_is_400_naming_it(api: Api, query: dict[str, str], field: str) -> None:
    answer = api.get("/key/list", query)
    assert (answer.status, answer.error["param"]) == (400, field)


@pytest.mark.parametrize("field", ["user_id", "team_id", "organization_id", "key_hash"])
def test_a_foreign_filter_is_403(api: Api, linus: User, grace: User, search: Team, field: str) -> None:
    other = services.create_organization(Organization(name="Other"), actor=SYSTEM)
    foreign = {
        "user_id": grace.public_id, "team_id": search.public_id, "organization_id": other.public_id,
        "key_hash": issue()[0].token,
    }  # fmt: skip
    assert api.get("/key/list", {field: foreign[field]}, bearer=bearer_of(linus)).status == 403
    assert api.get("/key/list", {field: foreign[field]}).status == 200
    assert api.get("/key/list", {field: "unknown"}, bearer=bearer_of(linus)).status == 403


def test_keys_are_filtered(api: Api, linus: User) -> None:
    key = issue(user=linus, alias="reports", expires_at=timezone.now().replace(year=2126))[0]
    issue()
    queries = [
        {"user_id": linus.public_id}, {"key_alias": "reports"}, {"expires": "2126-12-31"}, {"search": "repo"},
        {"key_alias": "epor", "substring_matching": "true"}, {"key_hash": key.token},
    ]  # fmt: skip
    for query in queries:
        assert api.get("/key/list", query).json["keys"] == [key.token], query
    api.key(expires="2125-12-31")
    found = [api.get("/key/list", {"expires": day}).json["total_count"] for day in ("2125-12-30", "2125-12-31")]
    assert found == [0, 1]
    assert api.get("/key/list", {"expires": "never"}).json["total_count"] == 1
    assert api.get("/key/list", {"project_id": "p"}).json["keys"] == []


def test_a_list_shows_the_person_behind_a_key(api: Api, linus: User) -> None:
    issue(user=linus)
    [row] = api.get("/key/list", {"expand": "user"}).json["keys"]
    assert (row["user"]["user_id"], row["user"]["user_email"]) == (linus.public_id, linus.email)


def test_a_person_finds_the_keys_it_made(api: Api, grace: User, linus: User, search: Team) -> None:
    services.add_member(Membership(team=search, user=linus), actor=SYSTEM)
    search.member_permissions = ["/key/generate"]
    services.update_limits(search, actor=SYSTEM)
    bearer = bearer_of(linus)
    made = api.post("/key/generate", {"team_id": search.public_id}, bearer=bearer).json
    assert made["created_by"] == linus.public_id
    VirtualKey.objects.filter(token=made["token"]).update(user=None)
    assert made["token"] not in api.get("/key/list", bearer=bearer).json["keys"]
    assert made["token"] in api.get("/key/list", {"include_created_by_keys": "true"}, bearer=bearer).json["keys"]
    search.memberships.get(user=linus).delete()
    assert made["token"] not in api.get("/key/list", {"include_created_by_keys": "true"}, bearer=bearer).json["keys"]


def test_who_is_called_as_an_admin_signs_in_finds_none_that_the_admin_made(api: Api, ada: User) -> None:
    key, _ = issue()
    VirtualKey.objects.filter(pk=key.pk).update(created_by=ada.email)
    made = api.post("/user/new", {"user_id": ada.email}).json["key"]
    assert key.token not in api.get("/key/list", {"include_created_by_keys": "true"}, bearer=made).json["keys"]


def test_a_list_of_ones_own_keys_may_have_those_one_made_and_those_of_ones_teams(
    api: Api, grace: User, linus: User, search: Team
) -> None:
    bearer, own = bearer_of(grace), {"user_id": grace.public_id}
    [mine] = api.get("/key/list", own, bearer=bearer).json["keys"]
    services.add_member(Membership(team=search, user=linus), actor=SYSTEM)
    made = api.post("/key/generate", {"team_id": search.public_id, "user_id": linus.public_id}, bearer=bearer).json
    found = {mine, made["token"]}
    issue(user=linus)
    for asked, seen in (({}, {mine}), ({"include_created_by_keys": "true"}, found)):
        for who in (bearer, None):
            assert set(api.get("/key/list", {**own, **asked}, bearer=who).json["keys"]) == seen
    of_team = issue(team=search)[0].token
    with_team = {**own, "include_team_keys": "true"}
    assert set(api.get("/key/list", with_team, bearer=bearer).json["keys"]) == {*found, of_team}
    assert api.get("/key/list", with_team).json["keys"] == [mine]
    foreign = {"user_id": linus.public_id, "include_team_keys": "true"}
    assert api.get("/key/list", foreign, bearer=bearer).json["keys"] == [made["token"]]


def test_a_leader_leaves_the_teams_keys_out(api: Api, grace: User, search: Team) -> None:
    team_key, bearer = issue(team=search)[0], bearer_of(grace)
    assert team_key.token in api.get("/key/list", bearer=bearer).json["keys"]
    assert team_key.token not in api.get("/key/list", {"include_team_keys": "false"}, bearer=bearer).json["keys"]


def test_aliases_are_listed_page_by_page(api: Api, linus: User, search: Team) -> None:
    for name in ("b", "a", "c"):
        issue(alias=name, user=linus)
    issue(alias="d", team=search)
    issue()
    answer = api.get("/key/aliases", {"size": "2"}).json
    assert answer == {"aliases": ["a", "b"], "total_count": 4, "current_page": 1, "total_pages": 2, "size": 2}
    assert api.get("/key/aliases", {"search": "C"}).json["aliases"] == ["c"]
    assert api.get("/key/aliases", {"team_id": search.public_id}).json["aliases"] == ["d"]
    assert api.get("/key/aliases", bearer=bearer_of(linus)).json["total_count"] == 3
    assert api.get("/key/aliases", {"team_id": search.public_id}, bearer=bearer_of(linus)).status == 403


def test_many_keys_are_described_at_once(api: Api, linus: User) -> None:
    mine, other = issue(user=linus, alias="mine")[0], issue(alias="other")
    body = {"keys": [mine.token, other[1], "sk-unknown-0123456789"]}
    answer = api.post("/v2/key/info", body).json
    assert answer["key"] == body["keys"]
    assert [row["key_alias"] for row in answer["info"]] == ["mine", "other"]
    turned = api.post("/v2/key/info", {"keys": body["keys"][::-1]}).json["info"]
    assert [row["token"] for row in turned] == [other[0].token, mine.token]
    bearer = bearer_of(linus)
    assert [row["key_alias"] for row in api.post("/v2/key/info", body, bearer=bearer).json["info"]] == ["mine"]
    assert api.post("/v2/key/info", {"key_aliases": ["other"]}).json["info"][0]["key_alias"] == "other"
    assert api.post("/v2/key/info", {}).status == 422


# --- many at once -----------------------------------------------------------------------------------


def test_each_key_of_a_bulk_is_changed_for_itself(api: Api) -> None:
    a, b = issue()[0], issue(alias="b")[0]
    patches = [{"key": a.token, "max_budget": 5}, {"key": "0" * 64, "max_budget": 5}, {"key": b.token, "rpm_limit": -1}]
    answer = api.post("/key/bulk_update", {"keys": patches}).json
    assert answer["total_requested"] == 3
    assert [(done["key"], done["key_info"]["max_budget"]) for done in answer["successful_updates"]] == [(a.token, 5)]
    assert [failed["key"] for failed in answer["failed_updates"]] == ["0" * 64, b.token]
    assert all(failed["failed_reason"] for failed in answer["failed_updates"])


def test_a_bulk_sets_what_each_budget_counts(api: Api) -> None:
    made = [api.key(max_budget=5) for _ in range(2)]
    patches = [{"key": key["key"], "spend": 1.5 + n} for n, key in enumerate(made)]
    done = api.post("/key/bulk_update", {"keys": patches}).json["successful_updates"]
    assert [row["key_info"]["spend"] for row in done] == [Decimal("1.5"), Decimal("2.5")]


def test_bulks_are_for_admins_and_bounded(api: Api, linus: User) -> None:
    key = issue(user=linus)[0]
    body = {"keys": [{"key": key.token, "rpm_limit": 1}]}
    refused = api.post("/key/bulk_update", body, bearer=bearer_of(linus))
    assert (refused.status, set(refused.json)) == (403, {"detail"})
    assert "Only proxy admin" in refused.told
    for bad, status in (({}, 422), ({"keys": ["x"]}, 422), ({"keys": []}, 400), ({"keys": [{"key": "x"}] * 501}, 400)):
        answer = api.post("/key/bulk_update", bad)
        assert (answer.status, set(answer.json)) == (status, {"detail"})


def test_the_keys_of_a_team_are_changed_by_its_admin(api: Api, grace: User, linus: User, search: Team) -> None:
    keys, foreign, bearer = [issue(team=search)[0] for _ in range(2)], issue()[0], bearer_of(grace)
    body = {"team_id": search.public_id, "keys": [{"key": keys[0].token, "rpm_limit": 3}, {"key": foreign.token}]}
    answer = api.post("/team/key/bulk_update", body, bearer=bearer).json
    assert [done["key"] for done in answer["successful_updates"]] == [keys[0].token]
    assert [failed["key"] for failed in answer["failed_updates"]] == [foreign.token]
    every = {"team_id": search.public_id, "all_keys_in_team": True, "update_fields": {"tpm_limit": 7}}
    assert len(api.post("/team/key/bulk_update", every, bearer=bearer).json["successful_updates"]) == 2
    assert api.post("/team/key/bulk_update", every, bearer=bearer_of(linus)).status == 404
    assert api.post("/team/key/bulk_update", {"team_id": "unknown"}, bearer=bearer).status == 404


# --- service accounts, health ---------------------------------------------------------------------------


def test_a_service_account_has_a_team_and_no_person(api: Api, grace: User, search: Team) -> None:
    body = {"team_id": search.public_id, "key_alias": "robot", "user_id": grace.public_id}
    made = api.post("/key/service-account/generate", body, bearer=bearer_of(grace)).json
    assert (made["user_id"], made["metadata"]["service_account_id"]) == (None, "robot")
    assert VirtualKey.objects.get(token=made["token"]).service_account == "robot"
    assert api.post("/key/generate", {}, bearer=made["key"]).json["team_id"] == search.public_id


def test_a_service_account_is_told_whatever_its_metadata_says(api: Api, search: Team) -> None:
    api.post("/key/service-account/generate", {"team_id": search.public_id, "key_alias": "robot"})
    token = VirtualKey.objects.get(service_account="robot").token
    for metadata in ({"n": 1}, {"service_account_id": "other"}, None):
        api.post("/key/update", {"key": token, "metadata": metadata})
        info = api.get("/key/info", {"key": token}).json["info"]
        assert info["metadata"] == (metadata or {}) | {"service_account_id": "robot"}
        assert info["service_account_id"] == "robot"


def test_a_service_account_needs_a_team_that_one_may_use(api: Api, linus: User, search: Team) -> None:
    assert api.post("/key/service-account/generate", {}).error["param"] == "team_id"
    assert api.post("/key/service-account/generate", {"team_id": "unknown"}).status == 400
    answer = api.post("/key/service-account/generate", {"team_id": search.public_id}, bearer=bearer_of(linus))
    assert (answer.status, answer.error["type"]) == (401, "team_member_permission_error")


def test_the_health_of_a_key_tells_of_its_callbacks(api: Api) -> None:
    assert api.post("/key/health", bearer=api.key()["key"]).json == {"key": "healthy", "logging_callbacks": None}
    assert api.post("/key/health").json["key"] == "healthy"
    logging = [{"callback_name": "langsmith", "callback_type": "success", "callback_vars": {}}]
    answer = api.post("/key/health", bearer=api.key(metadata={"logging": logging})["key"]).json
    assert (answer["key"], answer["logging_callbacks"]["callbacks"]) == ("unhealthy", ["langsmith"])


def test_the_master_key_is_not_rotated_here(api: Api) -> None:
    answer = api.post("/key/regenerate", {"key": "sk-x", "new_master_key": "sk-new-0123456789"})
    assert (answer.status, answer.error["param"]) == (400, "new_master_key")


def test_a_new_secret_is_counted(api: Api) -> None:
    made = api.key()
    again = api.post(f"/key/{made['token']}/regenerate", {"key_alias": "x", "grace_period": "1h"}).json
    assert (again["rotation_count"], again["key_alias"]) == (1, "x")
    assert again["last_rotation_at"] is not None


@pytest.mark.parametrize(("word", "status"), [("yes", 200), ("True", 200), ("", 200), ("perhaps", 422)])
def test_what_asks_for_yes_or_no_takes_the_usual_words(api: Api, word: str, status: int) -> None:
    assert api.get("/key/list", {"return_full_object": word}).status == status


def test_somebody_new_under_an_old_id_does_not_see_what_keys_its_predecessor_made(api: Api) -> None:
    boss = person("boss")
    organization_of("north", boss)
    left = api.post("/key/generate", {"organization_id": "north"}, bearer=key_of(boss)).json["token"]
    assert api.post("/user/delete", {"user_ids": ["boss"]}).status == 200
    bearer = api.post("/user/new", {"user_id": "boss"}).json["key"]
    for query in ({}, {"user_id": "boss"}):
        listed = api.get("/key/list", {"include_created_by_keys": "true", **query}, bearer=bearer)
        assert (listed.status, left in listed.json["keys"]) == (200, False), listed.text
