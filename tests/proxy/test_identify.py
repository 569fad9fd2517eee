"""Which key a request carries, by the headers that clients of LiteLLM and of the providers' SDKs send."""

import base64

import pytest
from django.test import RequestFactory

from keys.secrets import generate, token_of
from proxy.gate_rules import BadRule, read_rules
from proxy.runtime.errors import GatewayError
from proxy.runtime.identify import identify, presented_key, with_subprotocol_key
from proxy.runtime.request import headers_of

KEY = "sk-custom-key-0123456789"
OTHER = "sk-other-key-0123456789"
MASTER = token_of("sk-master-key-0123456789")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-litellm-api-key": KEY, "authorization": f"Bearer {OTHER}"},
        {"x-litellm-api-key": f"Bearer {KEY}", "api-key": OTHER},
        {"x-litellm-api-key": f"Basic {KEY}"},
        {"authorization": f"Bearer {KEY}", "api-key": OTHER},
        {"authorization": f"bearer  {KEY} "},
        {"authorization": f"Basic {KEY}"},
        {"authorization": "Basic " + base64.b64encode(f"anybody:{KEY}".encode()).decode()},
        {"authorization": f"AWS4-HMAC-SHA256 Credential=Bearer {KEY}/20260310/eu/bedrock/aws4_request, Signature=0"},
        {"api-key": KEY, "x-api-key": OTHER},
        {"x-api-key": KEY, "x-goog-api-key": OTHER},
        {"x-goog-api-key": KEY, "ocp-apim-subscription-key": OTHER},
        {"ocp-apim-subscription-key": KEY},
    ],
)  # fmt: skip
def test_the_first_header_that_counts_carries_the_key(headers: dict[str, str]) -> None:
    assert presented_key(headers) == KEY


def _given(*pairs: tuple[str, str]) -> dict[str, str]:
    """Headers as the gateway reads them off the wire."""
    return headers_of({"headers": [(name.encode(), value.encode()) for name, value in pairs]})


def test_a_request_with_two_keys_in_one_header_is_refused_by_the_gateway_as_by_django() -> None:
    twice = _given(("authorization", f"Bearer {KEY}"), ("authorization", f"Bearer {OTHER}"))
    django = RequestFactory().get("/", headers={"authorization": f"Bearer {KEY},Bearer {OTHER}"}).headers
    for headers in (twice, django, {"authorization": f"Basic {KEY}, bearer {OTHER}"}):
        with pytest.raises(GatewayError, match="two Authorization headers") as refused:
            identify(headers, token_of(KEY))
        assert refused.value.status == 401
    for name in ("api-key", "x-api-key", "x-litellm-api-key"):
        # One key that nobody has.
        assert presented_key(_given((name, KEY), (name, OTHER))) == f"{KEY},{OTHER}"
    assert presented_key(_given(("api-key", KEY), ("user-agent", "a"), ("user-agent", "b"))) == KEY
    assert _given(("x-litellm-timeout", "5"), ("x-litellm-timeout", "6"))["x-litellm-timeout"] == "5"


@pytest.mark.parametrize("value", [KEY, f"Token {KEY}", "Bearer", f"AWS4-HMAC-SHA256 Credential={KEY}/20260310"])
def test_an_authorization_of_another_shape_is_no_key_and_hides_what_comes_after_it(value: str) -> None:
    assert presented_key({"authorization": value, "x-api-key": OTHER}) == ""


def test_the_configured_header_replaces_all_others_where_it_is_sent() -> None:
    own = read_rules({"litellm_key_header_name": "X-Our-Key"}).key_header
    assert presented_key({"x-our-key": f"Bearer {KEY}", "x-litellm-api-key": OTHER}, own) == KEY
    assert presented_key({"authorization": f"Bearer {OTHER}"}, own) == OTHER
    for value in (KEY, "", "Bearer "):
        with pytest.raises(GatewayError, match="x-our-key must have the form 'Bearer"):
            presented_key({"x-our-key": value, "authorization": f"Bearer {OTHER}"}, own)


def test_the_configured_header_sent_twice_is_one_with_an_unknown_key_as_in_django() -> None:
    scope = {"headers": [(b"x-my-key", b"Bearer sk-first"), (b"x-my-key", b"Bearer sk-second"), (b"x-other", b"1")]}
    headers = headers_of(scope, "x-my-key")
    assert presented_key(headers, "x-my-key") == "sk-first,Bearer sk-second"


@pytest.mark.parametrize("name", [7, "two words", "höader", "x:y"])
def test_a_name_that_is_no_header_stops_the_start(name: object) -> None:
    with pytest.raises(BadRule, match="litellm_key_header_name"):
        read_rules({"litellm_key_header_name": name})


def test_the_key_of_a_handshake_may_be_a_subprotocol_but_a_header_comes_first() -> None:
    offered = ["realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"]
    assert presented_key(with_subprotocol_key({}, offered)) == KEY
    assert presented_key(with_subprotocol_key({"api-key": OTHER}, offered)) == OTHER
    assert presented_key(with_subprotocol_key({"authorization": f"Bearer {OTHER}"}, offered)) == OTHER
    assert presented_key(with_subprotocol_key({}, ["realtime"])) == ""


def test_what_is_no_key_is_told_from_a_key_that_is_not_known() -> None:
    damaged = generate().plaintext[:-1] + "-"
    told = {}
    for key in ("", "nonsense", token_of(KEY), damaged, "sk-short", "sk-" + "x" * 600):
        with pytest.raises(GatewayError) as refused:
            identify({"x-api-key": key}, MASTER)
        assert refused.value.status == 401
        assert not key or key not in refused.value.message
        told[key[:9]] = refused.value
    assert "No api key passed in" in told[""].message
    assert "expected to start with 'sk-'" in told["nonsense"].message
    assert "expected to start with 'sk-'" in told[token_of(KEY)[:9]].message
    assert told[damaged[:9]].type == told["sk-short"].type == "token_not_found_in_db"


def test_the_master_key_is_compared_by_its_digest() -> None:
    assert identify({"x-api-key": "sk-master-key-0123456789"}, MASTER) == MASTER
