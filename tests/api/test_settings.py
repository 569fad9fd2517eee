"""What the server says about itself, and paths that do not exist."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from spend import services as ledger
from spend.models import Price
from teams.people_rules import BadDefault, check_defaults
from tests.api.conftest import Api
from tests.factories import intent_for, issue, posting_of


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
        "/v1/vector_stores", "/v1/mcp/server", "/v1/agents", "/prompts/list", "/search_tools", "/guardrails",
        "/guardrails/ui/add_guardrail_settings", "/policies", "/policies/attachments/list",
        "/health/drain", "/nothing", "/v1/", "/health/nothing",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_not_built_is_404_in_the_usual_body(api: Api, path: str, method: str) -> None:
    answer: Any = getattr(api, method)(path)
    assert answer.status == 404, answer.text
    assert answer.error["type"] == "not_found_error"
    assert answer.error["code"] == "404"


def test_there_are_no_guardrails_and_every_key_may_know(api: Api) -> None:
    reading = issue(allowed_routes=["info_routes"])[1]
    for path in ("/guardrails/list", "/v2/guardrails/list"):
        assert api.get(path, bearer=reading).json == {"guardrails": []}
        assert api.post(path, {}).status == 405
    assert api.get("/policies/list", bearer=reading).json == {"policies": [], "total_count": 0}
    assert api.get("/policies/list", headers={}).status == 401


def test_the_backlog_counts_calls_that_are_not_over(api: Api) -> None:
    key, _ = issue()
    now = timezone.now()
    intents = [intent_for(key, at=now), intent_for(key, at=now), intent_for(key, at=now - timedelta(hours=1))]
    assert api.get("/health/backlog").json == {"in_flight_requests": 0}
    ledger.write_intents(intents)
    assert api.get("/health/backlog").json == {"in_flight_requests": 2}
    ledger.post([posting_of(intents[0], 1)], now=now)
    assert api.get("/health/backlog").json == {"in_flight_requests": 1}


def test_what_a_teams_metadata_should_say_comes_from_the_file(api: Api, settings: Any) -> None:
    _, secret = issue()
    assert api.get("/team/metadata_schema", bearer=secret).json == {"fields": []}
    settings.GENERAL_SETTINGS = {"team_metadata_schema": [{"key": "cost_centre"}, {"key": "owner", "label": "Owner"}]}
    assert api.get("/team/metadata_schema", bearer=secret).json == {
        "fields": [{"key": "cost_centre", "label": None}, {"key": "owner", "label": "Owner"}]
    }


@pytest.mark.parametrize("value", ["x", [1], [{}], [{"key": 1}], [{"key": "a", "more": "b"}], {"key": "a"}])
def test_a_schema_of_another_shape_stops_the_start(value: Any) -> None:
    with pytest.raises(BadDefault, match="team_metadata_schema"):
        check_defaults({}, {"team_metadata_schema": value})


def test_defaults_of_people_are_shown_and_changed_in_the_file_alone(api: Api, settings: Any) -> None:
    settings.LITELLM_SETTINGS = {"default_internal_user_params": {"max_budget": 5, "models": ["house"]}}
    answer = api.get("/get/internal_user_settings").json
    assert (answer["values"]["max_budget"], answer["values"]["user_role"]) == (5, None)
    assert "models" in answer["field_schema"]["properties"]
    refused = api.patch("/update/internal_user_settings", {"max_budget": 7})
    assert (refused.status, "configuration file" in refused.error["message"]) == (400, True)


def test_there_are_no_defaults_of_teams(api: Api) -> None:
    answer = api.get("/get/default_team_settings").json
    assert (answer["values"].pop("models"), set(answer["values"].values())) == ([], {None})
    assert answer["field_schema"]["properties"].keys() == {"models", *answer["values"]}
    assert api.patch("/update/default_team_settings", {"max_budget": 7}).status == 404
    assert api.get("/get/default_team_settings", bearer=issue()[1]).status == 401


def test_a_team_has_no_callbacks_and_gets_none(api: Api) -> None:
    team = api.post("/team/new", {}).json["team_id"]
    empty = {"team_id": team, "success_callback": [], "failure_callback": []}
    assert api.get(f"/team/{team}/callback").json["data"] == {**empty, "callback_vars": {}}
    refused = api.post(f"/team/{team}/callback", {"callback_name": "langfuse"})
    assert (refused.status, refused.fault) == (400, "callback_name")
    assert api.delete(f"/team/{team}/callback", {}).status == 404
    assert api.post(f"/team/{team}/disable_logging").json["data"] == empty
    assert api.get("/team/nobody/callback").status == 404


def test_providers_have_no_budgets(api: Api) -> None:
    _, secret = issue()
    assert api.get("/provider/budgets").json == {"providers": {}}
    assert api.get("/provider/budgets", bearer=secret).status == 401
