"""Health, and the documents about the API itself."""

from unittest import mock

import httpx
import pytest
from django.db import OperationalError, connection

from proxy import services
from tests.api.conftest import Api
from tests.api.test_models import NEW, SECRET


@pytest.mark.parametrize("path", ["/health/liveliness", "/health/liveness"])
def test_a_process_says_that_it_is_alive_without_a_key_or_a_database(api: Api, path: str) -> None:
    with mock.patch.object(connection, "cursor", side_effect=OperationalError):
        answer = api.get(path, headers={})
    assert (answer.status, answer.json) == (200, "I'm alive!")


def test_readiness_follows_the_database(api: Api) -> None:
    answer = api.get("/health/readiness", headers={})
    assert (answer.status, answer.json) == (
        200,
        {"status": "healthy", "db": "connected", "counter_store": "connected", "litellm_version": "latchkey-0.1.0"},
    )
    with mock.patch.object(connection, "cursor", side_effect=OperationalError("password=hunter2")):
        answer = api.get("/health/readiness", headers={})
    assert (answer.status, answer.json["db"]) == (503, "disconnected")
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("path", ["/health/liveliness", "/health/liveness", "/health/readiness"])
def test_a_probe_may_ask_by_any_host_name(api: Api, path: str) -> None:
    assert api.get(path, headers={"host": "10.1.2.3:4000"}).status == 200


def test_health_asks_the_provider_of_each_model(api: Api) -> None:
    services.sync_providers()
    api.post("/model/new", NEW)
    with mock.patch("proxy.health.httpx.get", return_value=httpx.Response(200)) as get:
        shown = api.get("/health").json
    assert (shown["healthy_count"], shown["unhealthy_count"]) == (1, 0)
    assert get.call_args.args == ("https://llm.example.com/v1/models",)


def test_a_provider_that_does_not_answer_is_unhealthy_and_503_when_asked_for(api: Api) -> None:
    services.sync_providers()
    api.post("/model/new", NEW)
    with mock.patch("proxy.health.httpx.get", side_effect=httpx.ConnectError(SECRET)):
        assert api.get("/health").json["unhealthy_count"] == 1
        answer = api.get("/health", {"model": "fast"})
    assert answer.status == 503
    assert SECRET not in answer.text


@pytest.mark.parametrize(("answered", "healthy"), [(400, 1), (422, 1), (200, 1), (404, 0), (401, 0), (500, 0)])
def test_a_server_without_a_list_of_models_is_sent_a_call_that_nobody_bills(
    api: Api, answered: int, healthy: int
) -> None:
    services.sync_providers()
    api.post("/model/new", NEW)
    with (
        mock.patch("proxy.health.httpx.get", return_value=httpx.Response(404)),
        mock.patch("proxy.health.httpx.post", return_value=httpx.Response(answered)) as post,
    ):
        assert api.get("/health").json["healthy_count"] == healthy
    assert post.call_args.args == ("https://llm.example.com/v1/chat/completions",)
    assert post.call_args.kwargs["json"]["messages"] == []


def test_the_openapi_document_names_every_path(api: Api) -> None:
    answer = api.get("/api/schema/?format=json", headers={})
    assert answer.status == 200
    assert {"/key/generate", "/key/info", "/team/new", "/user/new", "/model/new", "/spend/logs"} <= (
        answer.json["paths"].keys()
    )


@pytest.mark.parametrize("accepts", ["*/*", "application/json", "text/html, */*;q=0.8"])
def test_the_openapi_document_is_also_where_clients_look_for_it(api: Api, accepts: str) -> None:
    answer = api.get("/openapi.json", headers={"accept": accepts})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == api.get("/api/schema/?format=json", headers={}).json


def test_the_documentation_runs_under_the_content_security_policy(api: Api) -> None:
    answer = api.get("/api/docs/", headers={})
    assert answer.status == 200
    assert "<script>" not in answer.text
    assert "cdn" not in answer.text
