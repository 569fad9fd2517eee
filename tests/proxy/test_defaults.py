"""What a deployment sends where the client says nothing, and what no provider is sent at all."""

from typing import Any

import pytest

from proxy.runtime import caps, clamp, defaults, foreign_fields
from proxy.runtime.errors import GatewayError
from proxy.runtime.estimate import estimate
from proxy.runtime.routes import CHAT, EMBEDDING
from tests.proxy.calls import call, target

PARAMS = {"temperature": 0.3, "dimensions": 64, "max_tokens": 77, "api_version": "x", "seed": None}


def placed(**fields: Any) -> Any:
    return target(defaults=defaults.fields(PARAMS), usual_output_tokens=defaults.cap(PARAMS), **fields)


def test_only_fields_of_requests_are_sent_and_never_null() -> None:
    assert defaults.fields(PARAMS) == {"temperature": 0.3, "dimensions": 64}
    assert defaults.cap(PARAMS) == 77
    assert defaults.cap({"max_tokens": 5, "max_completion_tokens": 9}) == 9
    assert defaults.cap({"max_tokens": 5000}, 1000) == 1000


@pytest.mark.parametrize("odd", ["auto", -1, 0, 0.5, True, [7], {}, 10**12, None])
def test_a_cap_that_is_none_in_a_row_from_before_the_check_is_no_default(odd: Any) -> None:
    assert defaults.cap({"max_tokens": odd}) is None


def test_a_client_who_says_something_is_heard() -> None:
    assert defaults.applied(call(), placed()).body["temperature"] == 0.3
    for said in (0, 1, None):
        assert defaults.applied(call(temperature=said), placed()).body["temperature"] == said


def test_each_kind_of_call_gets_what_it_knows() -> None:
    embedding = defaults.applied(call(EMBEDDING, input="hi"), placed())
    assert (embedding.body["dimensions"], "temperature" in embedding.body) == (64, False)
    assert "dimensions" not in defaults.applied(call(CHAT), placed()).body


def test_a_default_cap_is_held_sent_and_may_be_lowered() -> None:
    there = placed(max_output_tokens=1000)
    open_ended = estimate(call(), there, 500)
    assert (open_ended.output, open_ended.capped) == (77, False)
    assert clamp.to_inject(open_ended, there, 1) == 77
    assert caps.capped({"model": "m"}, CHAT, there, 77)["max_completion_tokens"] == 77
    assert estimate(call(max_tokens=900), there, 500).output == 900


@pytest.mark.parametrize(
    "field",
    [
        "provider",
        "extra_body",
        "aws_secret_access_key",
        "azure_ad_token",
        "lunary_api_key",
        "cache",
        "no-log",
        "langfuse_secret_key",
        "mock_timeout",
        "mock_testing_rate_limit_error",
        "max_retries",
        "headers",
    ],
)
def test_fields_of_other_gateways_go_no_further(field: str) -> None:
    assert field not in call(**{field: {"x": 1}}, temperature=1).body
    assert call(**{field: {"x": 1}}, temperature=1).body["temperature"] == 1


def test_nothing_that_a_provider_of_openais_protocol_knows_is_dropped() -> None:
    assert not [name for name in defaults.NAMES if foreign_fields.dropped(name)]
    for name in ("messages", "model", "stream", "tools", "functions", "metadata", "user", "n", "modalities", "audio"):
        assert not foreign_fields.dropped(name)


@pytest.mark.parametrize("field", ["guardrails", "policies"])
def test_a_check_that_nobody_makes_is_refused_by_name(field: str) -> None:
    with pytest.raises(GatewayError) as refusal:
        call(**{field: ["no-secrets"]})
    assert (refusal.value.status, refusal.value.param) == (400, field)
    assert field not in call(**{field: []}).body
    for hidden in ({"metadata": {field: ["x"]}}, {"fallbacks": [{"model": "other", field: ["x"]}]}):
        with pytest.raises(GatewayError, match=field):
            call(**hidden)
