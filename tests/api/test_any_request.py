"""Whatever fits the OpenAPI document, or does not, is answered: never with a failure of ours, always in JSON."""

import contextlib
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.conf import settings as conf
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance

from proxy import services

#: Small, so that the suite stays fast; a soak run may raise it.
EXAMPLES = 3
#: They call other servers, read a whole price list, or are no JSON.
LEFT_OUT = ("/health/test_connection", "/reload/model_cost_map", "/api/schema/", "/openapi.json")


@pytest.fixture
def connection_kept(db: None) -> Iterator[None]:
    """Requests through WSGI end with closing the connection, which is in the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def operations(connection_kept: None) -> list[Any]:
    services.sync_providers()
    schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", get_wsgi_application())
    found = [result.ok() for result in schema.get_all_operations()]
    return [one for one in found if one.path not in LEFT_OUT and not one.path.endswith("/daily/activity/export")]


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
def test_every_request_is_answered_in_json_and_without_a_failure(operations: list[Any], mode: Any) -> None:
    assert len(operations) > 150
    for operation in operations:
        _try(operation, mode)


def _try(operation: Any, mode: Any) -> None:
    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = case.call(headers={"authorization": f"Bearer {conf.MASTER_KEY}"})
        case.validate_response(answer, checks=[not_a_server_error, content_type_conformance])
        assert answer.status_code == 204 or "json" in answer.headers["content-type"][0], case.as_curl_command()

    # An operation that takes nothing can be asked nothing wrong.
    with contextlib.suppress(hypothesis.errors.Unsatisfiable):
        ask()
