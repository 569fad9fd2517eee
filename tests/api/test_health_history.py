"""What earlier health checks found, and trying a model out before it is stored."""

from typing import Any
from unittest import mock

import httpx
import pytest

from proxy import services
from proxy.models import Deployment, HealthCheck
from tests.api.conftest import Api
from tests.api.test_credentials import BODY
from tests.api.test_models import NEW, SECRET
from tests.factories import issue

TRY = {"model": "openai/house-model", "api_key": SECRET, "api_base": "https://llm.example.com/v1"}


@pytest.fixture(autouse=True)
def providers(db: None) -> None:
    services.sync_providers()


def check(api: Api, status: int) -> None:
    with mock.patch("proxy.health.httpx.get", return_value=httpx.Response(status)):
        api.get("/health")


def test_checks_are_kept_and_the_last_one_of_each_model_is_found(api: Api) -> None:
    api.post("/model/new", NEW)
    check(api, 200)
    check(api, 500)
    history = api.get("/health/history").json
    assert (history["total_records"], history["limit"], history["offset"]) == (2, 100, 0)
    assert [row["status"] for row in history["health_checks"]] == ["unhealthy", "healthy"]
    newest = history["health_checks"][0]
    assert (newest["model_id"], newest["model_name"], newest["checked_by"]) == ("house-1", "fast", "default_user_id")
    assert newest["error_message"] == "the provider answered 500"
    assert api.get("/health/latest").json == {"latest_health_checks": {"house-1": newest}, "total_models": 1}
    healthy = api.get("/health/history", {"status_filter": "healthy", "model": "fast", "limit": 1}).json
    assert [row["status"] for row in healthy["health_checks"]] == ["healthy"]
    assert api.get("/health/history", {"model": "other"}).json["total_records"] == 0
    api.post("/model/delete", {"id": "house-1"})
    assert api.get("/health/history", {"offset": 1}).json["health_checks"][0]["status"] == "healthy"


@pytest.mark.parametrize(
    ("query", "status"), [({"limit": "0"}, 422), ({"offset": "x"}, 422), ({"status_filter": "so so"}, 400)]
)
def test_a_bad_parameter_is_named(api: Api, query: dict[str, str], status: int) -> None:
    answer = api.get("/health/history", query)
    assert (answer.status, answer.fault) == (status, next(iter(query)))


def test_a_model_is_tried_out_and_not_stored(api: Api) -> None:
    with mock.patch("proxy.health.httpx.get", return_value=httpx.Response(200)) as get:
        answer = api.post("/health/test_connection", {"litellm_params": TRY, "mode": "chat"})
    assert (answer.status, answer.json["status"]) == (200, "success")
    assert get.call_args.args == ("https://llm.example.com/v1/models",)
    assert get.call_args.kwargs["headers"] == {"authorization": f"Bearer {SECRET}"}
    with mock.patch("proxy.health.httpx.get", return_value=httpx.Response(401)):
        failed = api.post("/health/test_connection", {"litellm_params": TRY})
    assert failed.json == {"status": "error", "result": {"error": "the provider answered 401"}}
    assert SECRET not in answer.text + failed.text
    assert not Deployment.objects.exists()
    assert not HealthCheck.objects.exists()


def test_a_stored_secret_is_tried_at_its_own_host_alone(api: Api) -> None:
    api.post("/credentials", BODY)
    params: dict[str, Any] = {"model": "openai/house-model", "litellm_credential_name": "house"}
    with mock.patch("proxy.health.httpx.get", return_value=httpx.Response(200)) as get:
        assert api.post("/health/test_connection", {"litellm_params": params}).json["status"] == "success"
        assert get.call_args.kwargs["headers"] == {"authorization": f"Bearer {SECRET}"}
        get.reset_mock()
        elsewhere = params | {"api_base": "https://evil.example.com/v1"}
        assert api.post("/health/test_connection", {"litellm_params": elsewhere}).status == 400
        assert not get.called


@pytest.mark.parametrize(
    ("body", "status"), [({}, 422), ({"litellm_params": {}}, 422), ({"litellm_params": TRY, "mode": "dance"}, 400)]
)
def test_what_cannot_be_tried_is_refused(api: Api, body: dict[str, Any], status: int) -> None:
    assert api.post("/health/test_connection", body).status == status


def test_there_is_no_service_to_test(api: Api) -> None:
    for query, status in (({}, 422), ({"service": "slack"}, 400)):
        answer = api.get("/health/services", query)
        assert (answer.status, answer.fault) == (status, "service")


def test_health_is_asked_by_platform_admins_alone(api: Api) -> None:
    _, secret = issue()
    for path in ("/health", "/health/history", "/health/latest"):
        assert api.get(path, bearer=secret).status == 401
    assert api.post("/health/test_connection", {"litellm_params": TRY}, bearer=secret).status == 401
