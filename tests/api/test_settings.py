"""What the server says about itself, and paths that do not exist."""

from typing import Any

import pytest

from spend.models import Price
from tests.api.conftest import Api
from tests.factories import issue


def test_details_of_readiness_need_a_key(api: Api) -> None:
    answer = api.get("/health/readiness/details")
    assert answer.status == 200
    assert (answer.json["status"], answer.json["db"], answer.json["durability"]) == ("healthy", "connected", "strict")
    assert api.get("/health/readiness/details", headers={}).status == 401


def test_everything_is_free(api: Api) -> None:
    assert api.get("/health/license").json["limits"] == {"max_users": None, "max_teams": None}


def test_an_old_probe_is_answered_without_a_key(api: Api) -> None:
    assert api.get("/test", headers={}).json == {"route": "/test"}


def test_routes_name_paths_and_methods_to_everybody(api: Api) -> None:
    routes = {row["path"]: row["methods"] for row in api.get("/routes", headers={}).json["routes"]}
    assert routes["/model/new"] == ["POST"]
    assert routes["/credentials"] == ["GET", "POST"]


def test_the_metrics_are_all_that_hears_of_calls(api: Api) -> None:
    assert api.get("/get/config/callbacks").json["callbacks"] == []
    active = api.get("/active/callbacks").json
    assert (active["num_callbacks"], active["all_litellm_callbacks"]) == (1, ["prometheus"])


def test_settings_of_the_file_are_shown_and_nothing_that_means_nothing_here(api: Api, settings: Any) -> None:
    settings.GENERAL_SETTINGS = {"enforce_user_param": True, "database_url": "postgres://user:word@host"}
    answer = api.get("/config/list", {"config_type": "general_settings"})
    rows = {row["field_name"]: row for row in answer.json}
    assert rows["enforce_user_param"]["field_value"] is True
    assert rows["allowed_ips"]["field_value"] is None
    assert "master_key" not in rows
    assert "word" not in answer.text
    assert api.get("/config/field/info", {"field_name": "enforce_user_param"}).json == {
        "field_name": "enforce_user_param",
        "field_value": True,
    }


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422), ({"field_name": "master_key"}, 400), ({"field_name": "database_url"}, 400),
        ({"field_name": "allowed_ips"}, 400),
    ],
)  # fmt: skip
def test_a_field_that_is_not_set_is_400(api: Api, query: dict[str, str], status: int) -> None:
    answer = api.get("/config/field/info", query)
    assert (answer.status, answer.fault) == (status, "field_name")


def test_an_unknown_kind_of_settings_is_400(api: Api) -> None:
    assert api.get("/config/list", {"config_type": "other"}).status == 400


def test_the_price_list_is_read_again(api: Api) -> None:
    first = api.post("/reload/model_cost_map").json
    assert (first["status"], first["models_count"]) == ("success", Price.objects.count())
    assert api.post("/reload/model_cost_map").json["models_count"] == 0


@pytest.mark.parametrize("path", ["/config/list", "/get/config/callbacks", "/active/callbacks"])
def test_settings_are_for_platform_admins(api: Api, path: str) -> None:
    _, secret = issue()
    assert api.get(path, bearer=secret).status == 401
    assert api.post("/reload/model_cost_map", bearer=secret).status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v1/vector_stores", "/v1/mcp/server", "/v1/agents", "/prompts/list", "/guardrails/list", "/search_tools",
        "/model/new/", "/credentials/", "/config/cost_discount_config", "/nothing", "/v1/", "/health/nothing",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_not_built_is_404_in_the_usual_body(api: Api, path: str, method: str) -> None:
    answer: Any = getattr(api, method)(path)
    assert answer.status == 404, answer.text
    assert answer.error["type"] == "not_found_error"
    assert answer.error["code"] == "404"
