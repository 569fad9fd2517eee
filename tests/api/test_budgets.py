"""/budget/...: limits that many scopes share by reference."""

from typing import Any

import pytest

from keys.loading import load_grants
from teams import store
from teams.models import AuditEvent, Organization, PolicyChange, SharedBudget, User
from tests.api.conftest import Api
from tests.factories import issue

GOLD = {
    "budget_id": "gold", "max_budget": 50, "soft_budget": 40, "budget_duration": "30d", "rpm_limit": 10,
    "model_max_budget": {"gpt-4o": {"budget_limit": 5, "time_period": "1d"}},
}  # fmt: skip
PER_MODEL = {"model_max_budget": GOLD["model_max_budget"]}


def limits_of(token: str) -> list[tuple[str, str, int | None]]:
    return [(b.model, b.duration, b.limit_nano) for b in load_grants([token])[token].key.budgets]


def test_a_budget_is_made_changed_shown_and_deleted(api: Api) -> None:
    made = api.post("/budget/new", GOLD).json
    assert (made["budget_id"], made["max_budget"], made["created_by"]) == ("gold", 50, "default_user_id")
    assert made["model_max_budget"] == GOLD["model_max_budget"]
    assert made["budget_reset_at"].endswith("-01T00:00:00Z")
    changed = api.post("/budget/update", {"budget_id": "gold", "max_budget": 60, "rpm_limit": None}).json
    assert (changed["max_budget"], changed["rpm_limit"], changed["soft_budget"]) == (60, None, 40)
    assert api.post("/budget/info", {"budgets": ["gold", "unknown"]}).json == [changed]
    assert api.get("/budget/list").json == [changed]
    settings = api.get("/budget/settings", {"budget_id": "gold"}).json
    assert {field["field_name"]: field["field_value"] for field in settings}["max_budget"] == 60
    assert api.post("/budget/delete", {"id": "gold"}).json["budget_id"] == "gold"
    assert not SharedBudget.objects.exists()
    actions = AuditEvent.objects.filter(object_id="gold").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["budget.created", "budget.updated", "budget.deleted"]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("new", {"budget_id": "gold"}, 400, "exists"),
        ("new", {"max_budget": -1}, 400, "max_budget"),
        ("new", {"max_budget": "NaN"}, 400, "max_budget"),
        ("new", {"budget_duration": "2mo"}, 400, "budget_duration"),
        ("update", {"max_budget": 1}, 422, "budget_id"),
        ("update", {"budget_id": "no"}, 404, "no"),
        ("info", {"budgets": []}, 400, "budgets"),
        ("delete", {"id": "no"}, 404, "no"),
        ("delete", {}, 422, "id"),
    ],
)
def test_refusals_about_budgets_are_details(api: Api, path: str, body: dict[str, Any], status: int, said: str) -> None:
    api.post("/budget/new", GOLD)
    answer = api.post(f"/budget/{path}", body)
    assert answer.status == status
    assert said in answer.told


def test_a_key_takes_from_its_budget_what_it_does_not_set_itself(api: Api) -> None:
    api.post("/budget/new", GOLD)
    made = api.key(budget_id="gold", max_budget=3)
    assert (made["budget_id"], made["max_budget"], made["budget_duration"]) == ("gold", 3, None)
    assert made["litellm_budget_table"]["max_budget"] == 50
    assert made["budget_reset_at"] == made["litellm_budget_table"]["budget_reset_at"]
    assert limits_of(made["token"]) == [("", "30d", 3 * 10**9), ("gpt-4o", "1d", 5 * 10**9)]
    assert load_grants([made["token"]])[made["token"]].key.rpm_limit == 10
    api.post("/key/update", {"key": made["token"], "max_budget": None})
    assert limits_of(made["token"])[0] == ("", "30d", 50 * 10**9)
    freed = api.post("/key/update", {"key": made["token"], "budget_id": None}).json
    assert (freed["budget_id"], freed["litellm_budget_table"]) == (None, None)
    assert limits_of(made["token"]) == []


def test_a_budget_without_limits_per_model_has_null_for_them_wherever_it_is_shown(api: Api) -> None:
    bare = api.post("/budget/new", {"budget_id": "bare", "max_budget": 5}).json
    assert (bare["model_max_budget"], api.post("/budget/info", {"budgets": ["bare"]}).json) == (None, [bare])
    key = api.key(budget_id="bare")
    assert (key["litellm_budget_table"]["model_max_budget"], key["model_max_budget"]) == (None, {})
    api.post("/team/new", {"team_id": "t"})
    joined = api.post("/team/member_add", {"team_id": "t", "member": {"user_id": "m"}, "max_budget_in_team": 1}).json
    assert joined["updated_team_memberships"][0]["litellm_budget_table"]["model_max_budget"] is None
    made = api.post("/organization/new", {"organization_alias": "O", "max_budget": 5}).json
    assert (made["litellm_budget_table"]["model_max_budget"], made["model_max_budget"]) == (None, {})
    limited = api.post("/organization/new", {"organization_alias": "P", "budget_id": "bare"} | PER_MODEL).json
    assert limited["litellm_budget_table"]["model_max_budget"] == PER_MODEL["model_max_budget"]


def test_a_change_is_announced_in_every_organization_that_shares_the_budget(
    api: Api, django_capture_on_commit_callbacks: Any
) -> None:
    api.post("/budget/new", GOLD)
    for public_id in ("north", "south", "west"):
        api.post("/organization/new", {"organization_id": public_id, "organization_alias": "O"})
    api.post("/team/new", {"organization_id": "north", "budget_id": "gold"})
    key = api.key(organization_id="south", budget_id="gold")
    north, south, west = Organization.objects.filter(public_id__in=["north", "south", "west"]).order_by("public_id")
    budget = SharedBudget.objects.get(public_id="gold")
    before = load_grants([key["token"]])[key["token"]].key
    assert before.shared == (budget.scope, 1)
    with django_capture_on_commit_callbacks(execute=True):
        api.post("/budget/update", {"budget_id": "gold", "max_budget": 60})
    known = [store.client().hget(f"lk:{{o{org.pk}}}:ver", budget.scope) for org in (north, south, west)]
    assert known == ["2", "2", None]
    after = load_grants([key["token"]])[key["token"]].key
    assert (after.shared, after.version, after.budgets[0].limit_nano) == ((budget.scope, 2), before.version, 60 * 10**9)
    assert PolicyChange.objects.filter(scope=budget.scope).exists()


@pytest.mark.parametrize(
    ("change", "epochs"),
    [
        ({"max_budget": 60, "rpm_limit": 1}, [1, 1]),
        ({"model_max_budget": {"gpt-4o": {"budget_limit": 6, "time_period": "1d"}}}, [1, 1]),
        ({"budget_duration": "1d"}, [2, 1]),
        ({"max_budget": None, "soft_budget": None}, [2, 1]),
        ({"budget_limits": [{"budget_duration": "1h", "max_budget": 1}]}, [2, 1]),
        ({"model_max_budget": {"o3": {"budget_limit": 6}}}, [2, 1]),
    ],
)
def test_new_windows_raise_the_epoch_of_who_shares_them_alone(
    api: Api, change: dict[str, Any], epochs: list[int]
) -> None:
    api.post("/budget/new", GOLD)
    for public_id in ("north", "south"):
        api.post("/organization/new", {"organization_id": public_id, "organization_alias": "O"})
    api.post("/customer/new", {"organization_id": "north", "user_id": "acme", "budget_id": "gold"})
    assert api.post("/budget/update", {"budget_id": "gold"} | change).status == 200
    assert [Organization.objects.get(public_id=name).epoch for name in ("north", "south")] == epochs


def test_a_budget_in_use_is_not_deleted(api: Api) -> None:
    api.post("/budget/new", GOLD)
    issue(shared_budget=SharedBudget.objects.get())
    api.post("/team/new", {"team_id": "t", "budget_id": "gold"})
    api.post("/team/member_add", {"team_id": "t", "member": {"user_id": "m"}, "budget_id": "gold"})
    answer = api.post("/budget/delete", {"id": "gold"})
    assert answer.status == 400
    assert "1 team, 1 membership, 1 virtual key" in answer.json["detail"]["error"]
    assert SharedBudget.objects.exists()


def test_what_was_deleted_itself_lets_go_of_a_budget(api: Api) -> None:
    api.post("/budget/new", GOLD)
    on_budget = {"budget_id": "gold"}
    secret = api.key(**on_budget)["key"]
    api.post("/customer/new", {"user_id": "acme"} | on_budget)
    api.post("/user/new", {"user_id": "u", "auto_create_key": False} | on_budget)
    api.post("/team/new", {"team_id": "t"} | on_budget)
    api.post("/project/new", {"project_id": "p", "team_id": "t"} | on_budget)
    api.post("/team/member_add", {"team_id": "t", "member": {"user_id": "m", "role": "user"}} | on_budget)
    api.post("/organization/new", {"organization_id": "o", "organization_alias": "O"} | on_budget)
    assert api.post("/budget/delete", {"id": "gold"}).status == 400
    for path, field, name in (("key", "keys", secret), ("customer", "user_ids", "acme"), ("user", "user_ids", "u")):
        assert api.post(f"/{path}/delete", {field: [name]}).status == 200
    assert api.post("/team/delete", {"team_ids": ["t"]}).status == 200
    assert api.post("/budget/delete", {"id": "gold"}).status == 400
    assert api.delete("/organization/delete", {"organization_ids": ["o"]}).status == 200
    assert api.post("/budget/delete", {"id": "gold"}).status == 200
    assert not SharedBudget.objects.exists()
    assert AuditEvent.objects.filter(action="key.issued", after__shared_budget_id__isnull=False).exists()
    assert api.get("/key/info", {"key": secret}).json["info"]["litellm_budget_table"] is None


def test_a_budget_of_a_living_teams_members_is_not_deleted(api: Api) -> None:
    made = api.post("/team/new", {"team_id": "t", "team_member_budget": 5}).json
    budget = made["metadata"]["team_member_budget_id"]
    answer = api.post("/budget/delete", {"id": budget})
    assert answer.status == 400
    assert "the members of 1 team" in answer.json["detail"]["error"]
    api.post("/team/delete", {"team_ids": ["t"]})
    assert api.post("/budget/delete", {"id": budget}).status == 200


def test_a_table_names_the_budget_that_is_changed_by_its_id_alone(api: Api, linus: User, grace: User) -> None:
    team = api.post("/team/new", {"team_member_budget": 3}).json["team_id"]
    for user, own in ((linus, {}), (grace, {"max_budget_in_team": 2})):
        added = {"team_id": team, "member": {"user_id": user.public_id, "role": "user"}, **own}
        assert api.post("/team/member_add", added).status == 200
    places = {row["user_id"]: row for row in api.get("/team/info", {"team_id": team}).json["team_memberships"]}
    shared, own_table = (places[user.public_id]["litellm_budget_table"] for user in (linus, grace))
    assert (shared["max_budget"], own_table["max_budget"], own_table["budget_id"]) == (3, 2, None)
    assert shared["budget_id"] == places[linus.public_id]["budget_id"] is not None
