"""Customers under both of their names: defaults, lists, and their end."""

from typing import Any

import pytest

from keys.loading import load_customer
from teams.models import AuditEvent, Customer, SharedBudget, User
from teams.services import default_organization
from tests.api.conftest import Api
from tests.api.people import key_of, person


@pytest.mark.parametrize("prefix", ["/customer", "/end_user"])
def test_a_deleted_customer_is_gone_and_a_call_makes_it_anew_without_limits(api: Api, prefix: str) -> None:
    api.post(f"{prefix}/new", {"user_id": "c", "max_budget": 1})
    old = Customer.objects.get()
    answer = api.post(f"{prefix}/delete", {"user_ids": ["c"]})
    assert (answer.status, answer.json["deleted_customers"]) == (200, 1)
    assert "c" in answer.json["message"]
    assert api.get(f"{prefix}/info", {"end_user_id": "c"}).status == 404
    policy = load_customer(default_organization().pk, "c")
    assert policy is not None
    assert (policy.scope == old.scope, policy.budgets) == (False, ())
    assert AuditEvent.objects.filter(action="customer.deleted").count() == 1


def test_of_several_customers_none_is_deleted_if_one_is_unknown(api: Api) -> None:
    api.post("/customer/new", {"user_id": "c"})
    answer = api.post("/customer/delete", {"user_ids": ["c", "unknown"]})
    assert (answer.status, "unknown" in answer.error["message"]) == (404, True)
    assert Customer.objects.live().count() == 1


def test_customers_are_listed_page_by_page(api: Api) -> None:
    for name in ("a1", "a2", "b1"):
        api.post("/customer/new", {"user_id": name})
    assert [row["user_id"] for row in api.get("/customer/list").json] == ["a1", "a2", "b1"]
    page = api.get("/customer/list", {"search": "a", "page": 2, "page_size": 1})
    assert ([row["user_id"] for row in page.json], page.headers["X-Total-Count"]) == (["a2"], "2")
    assert api.get("/customer/list", {"page": "x"}).status == 422


def test_a_customer_without_limits_gets_those_of_the_file_also_by_a_first_call(api: Api, settings: Any) -> None:
    settings.LITELLM_SETTINGS = {"max_end_user_budget": 0.25}
    policies = [load_customer(default_organization().pk, "called")]
    assert api.post("/customer/new", {"user_id": "made"}).status == 200
    assert api.post("/customer/new", {"user_id": "rich", "max_budget": 7}).status == 200
    policies += [load_customer(default_organization().pk, name) for name in ("made", "rich")]
    assert [policy.budgets[0].limit_nano for policy in policies if policy] == [250_000_000, 250_000_000, 7 * 10**9]
    settings.LITELLM_SETTINGS = {"max_end_user_budget_id": "b", "max_end_user_budget": 1}
    api.post("/budget/new", {"budget_id": "b", "max_budget": 3})
    shared = load_customer(default_organization().pk, "shared")
    assert shared is not None
    assert shared.budgets[0].limit_nano == 3 * 10**9


def test_a_key_says_which_budget_new_customers_of_its_calls_get(api: Api, settings: Any) -> None:
    settings.LITELLM_SETTINGS = {"max_end_user_budget": 0.25}
    api.post("/budget/new", {"budget_id": "b", "max_budget": 3})
    made = api.key(metadata={"own": 1, "end_user_budget_id": "b"})
    assert (made["end_user_budget_id"], made["metadata"]) == ("b", {"own": 1, "end_user_budget_id": "b"})
    budget = SharedBudget.objects.get(public_id="b").pk
    calls = [("new", budget), ("other", 10**9), ("new", None)]
    policies = [load_customer(default_organization().pk, *call) for call in calls]
    assert [policy.budgets[0].limit_nano for policy in policies if policy] == [3 * 10**9, 250_000_000, 3 * 10**9]


def test_the_budget_of_a_keys_customers_stays_until_an_admin_takes_it_off(api: Api, linus: User) -> None:
    for name in ("b", "x"):
        api.post("/budget/new", {"budget_id": name, "max_budget": 3})
    secret = api.key(user_id=linus.public_id, end_user_budget_id="b")["key"]
    for metadata in ({}, None, {"own": 2}, {"end_user_budget_id": "b"}):
        answer = api.post("/key/update", {"key": secret, "metadata": metadata}, bearer=secret)
        assert (answer.status, answer.json["end_user_budget_id"]) == (200, "b")
    assert (
        api.post("/key/update", {"key": secret, "metadata": {"end_user_budget_id": "x"}}, bearer=secret).status == 403
    )
    assert api.post("/key/generate", {}, bearer=secret).json["end_user_budget_id"] == "b"
    refused = api.post("/budget/delete", {"id": "b"})
    assert (refused.status, "customers of 2" in refused.text) == (400, True)
    for key in api.get("/key/list", {"user_id": linus.public_id}).json["keys"]:
        assert api.post("/key/update", {"key": key, "end_user_budget_id": None}).json["end_user_budget_id"] is None
    assert api.post("/budget/delete", {"id": "b"}).status == 200


def test_where_only_known_customers_may_call_no_call_makes_one(api: Api, settings: Any) -> None:
    settings.GENERAL_SETTINGS = {"validate_end_user_id_in_db": True}
    assert load_customer(default_organization().pk, "c") is None
    assert not Customer.objects.exists()
    api.post("/customer/new", {"user_id": "c"})
    assert load_customer(default_organization().pk, "c") is not None


def test_a_customers_region_and_default_model_are_kept_shown_and_cleared(api: Api) -> None:
    fields = {"allowed_model_region": "eu", "default_model": "house-eu"}
    made = api.post("/customer/new", {"user_id": "c", **fields}).json
    assert {name: made[name] for name in fields} == fields
    policy = load_customer(default_organization().pk, "c")
    assert policy is not None
    assert (policy.region, policy.default_model) == ("eu", "house-eu")
    assert (
        api.post("/customer/update", {"user_id": "c", "allowed_model_region": "us"}).json["default_model"] == "house-eu"
    )
    cleared = api.post("/customer/update", {"user_id": "c", **dict.fromkeys(fields)}).json
    assert [cleared[name] for name in fields] == [None, None]


def test_other_regions_and_other_scopes_are_refused(api: Api) -> None:
    assert api.post("/customer/new", {"user_id": "c", "allowed_model_region": "mars"}).status == 422
    for path in ("/team/new", "/user/new"):
        answer = api.post(path, {"allowed_model_region": "eu"})
        assert (answer.status, answer.error["param"]) == (400, "allowed_model_region")


def test_customers_are_for_platform_admins_and_lists_for_read_only_ones(api: Api, linus: User) -> None:
    viewer = key_of(person("vera", role=User.Role.PROXY_ADMIN_VIEWER))
    assert api.get("/customer/list", bearer=viewer).status == 200
    for path in ("new", "update", "delete", "block", "unblock"):
        body = {"user_id": "c", "user_ids": ["c"]}
        assert api.post(f"/customer/{path}", body, bearer=viewer).status == 403
        assert api.post(f"/customer/{path}", body, bearer=key_of(linus)).status == 401
    for path in ("list", "info"):
        assert api.get(f"/customer/{path}", {"end_user_id": "c"}, bearer=key_of(linus)).status == 401


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/tag/new", {"name": "g", "models": ["deployment-1"]}, "models"),
        ("/tag/new", {"name": "g", "tpd_limit": 1}, "tpd_limit"),
        ("/budget/new", {"tpd_limit": 1}, "tpd_limit"),
    ],
)
def test_tags_and_budgets_promise_nothing_that_is_not_enforced(
    api: Api, path: str, body: dict[str, Any], field: str
) -> None:
    answer = api.post(path, body)
    assert (answer.status, field in answer.json["detail"]["error"]) == (400, True)
