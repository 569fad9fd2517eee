"""Bodies that two readers could understand differently are refused, with the reason."""

from decimal import Decimal

import pytest

from gateway_project.api_json import BadJSON, dumps, loads
from tests.api.conftest import Api


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": 1, "a": 2}', "'a' occurs twice"),
        (b'{"x": {"a": 1, "a": 2}}', "'a' occurs twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": Infinity}', "Infinity"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": "\\ud800"}', "'a' contains a lone surrogate"),
        (b'{"\\ud800": 1}', "lone surrogate"),
        (b'{"key_alias": "x\\u0000y"}', "'key_alias' contains the character NUL"),
        (b'{"a": {"b": ["\\u0000"]}}', "'a' contains the character NUL"),
        (b"[" * 101 + b"]" * 101, "deeper than 100"),
        (b"[" * 100_000, "deeper than 100"),
        (b"\xff", "UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "BOM"),
        (b"{", "line 1"),
        (b"1" * 5000, "digits"),
    ],
)
def test_a_body_is_refused_by_name(raw: bytes, reason: str) -> None:
    with pytest.raises(BadJSON, match=reason):
        loads(raw)


def test_a_hundred_levels_are_accepted() -> None:
    assert loads(b"[" * 100 + b"]" * 100)


def test_decimals_are_read_and_written_digit_by_digit() -> None:
    text = b'{"a":25.5,"b":0.000000042,"c":9000000.000000001,"d":12345678901234567890.5}'
    assert dumps(loads(text)) == text


def test_trailing_zeros_and_exponents_are_not_written() -> None:
    assert dumps([Decimal("25.500000000"), Decimal("4.2E-8"), Decimal("1E+3"), Decimal("-0.10")]) == (
        b"[25.5,0.000000042,1000.0,-0.1]"
    )


def test_a_bad_body_is_400_in_the_contracts_shape(api: Api) -> None:
    answer = api.post("/key/generate", raw='{"max_budget": NaN}')
    assert (answer.status, answer.error["type"]) == (400, "bad_request_error")
    assert "NaN" in answer.error["message"]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ('{"max_budget": NaN}', "max_budget"),
        ('{"metadata": {"a": [1, -Infinity]}}', "metadata"),
        ('{"max_budget": 1e400}', "max_budget"),
        ('{"metadata": {"a": 1e400}}', "metadata"),
        ('{"key_alias": "a\\u0000"}', "key_alias"),
        ('{"\\ud800": 1}', None),
        ('{"a": 1, "a": 2}', None),
    ],
)
def test_the_field_is_named_wherever_the_reader_knows_it(api: Api, raw: str, field: str | None) -> None:
    answer = api.post("/key/generate", raw=raw)
    assert (answer.status, answer.error["param"]) == (400, field)


@pytest.mark.parametrize("value", ["x" * 100_000, "x y" * 40_000, "\"'" * 50_000])
@pytest.mark.parametrize("field", ["key_type", "rotation_interval", "tpm_limit_type", "budget_duration", "user_id"])
def test_what_was_sent_is_not_sent_back_whole(api: Api, field: str, value: str) -> None:
    answer = api.post("/key/generate", {field: value})
    assert answer.status in (400, 422)
    assert len(answer.text) < 5000
    assert field in answer.text


def test_a_value_is_echoed_up_to_a_hundred_characters(api: Api) -> None:
    for length, shown in ((100, "x" * 100), (101, "x" * 100 + "...")):
        told = api.post("/key/generate", {"key_type": "x" * length}).json["detail"][0]["msg"]
        assert f'"{shown}"' in told


@pytest.mark.parametrize("raw", ["[1]", '"text"', "7", "null"])
def test_a_body_that_is_no_object_is_422(api: Api, raw: str) -> None:
    for path in ("/key/generate", "/key/update", "/key/delete", "/key/block", "/team/new", "/team/block", "/user/new"):
        assert api.post(path, raw=raw).status == 422, path


def test_a_body_that_is_too_large_is_413(api: Api) -> None:
    answer = api.post("/key/generate", raw='{"a": "' + "x" * (5 * 1024 * 1024) + '"}')
    assert (answer.status, answer.error["code"]) == (413, "413")


def test_nul_in_a_query_is_400(api: Api) -> None:
    assert api.get("/key/list", {"key_alias": "a\0b"}).status == 400
    assert api.get("/user/info", {"user_id": "\0"}).status == 400


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "", "application/json"])
def test_json_is_read_whatever_a_request_calls_it(api: Api, kind: str) -> None:
    """Such as `curl --data`, which says that it is a form."""
    made = api.client.post("/key/generate", '{"key_alias": "by curl"}', content_type=kind, **api._headers())
    assert (made.status_code, made.json()["key_alias"]) == (200, "by curl")
    refused = api.client.post("/key/generate", "a=1", content_type=kind, **api._headers())
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["type"] == "json_invalid"
