"""For whom a call is, how it is labelled, and how patient to be: from body, headers and the rules of the file."""

from typing import Any

import orjson
import pytest

from proxy.gate_rules import BadRule, GateRules, read_budget_status, read_rules, read_zone
from proxy.runtime.call import Call, read_call
from proxy.runtime.errors import GatewayError
from proxy.runtime.routes import CHAT

_NOTES = "x-litellm-spend-logs-metadata"


def _call(body: dict[str, Any] | None = None, headers: dict[str, str] | None = None, **general: Any) -> Call:
    raw = orjson.dumps({"model": "house", "messages": [], **(body or {})})
    return read_call(CHAT, raw, "", headers or {}, read_rules(general))


@pytest.mark.parametrize(
    ("body", "headers", "customer"),
    [
        ({}, {}, ""),
        ({"user": "u"}, {}, "u"),
        ({"metadata": {"user_id": "m"}}, {}, "m"),
        ({"user": "u", "metadata": {"user_id": "m"}}, {}, "u"),
        ({"user": "u"}, {"x-litellm-end-user-id": "e"}, "e"),
        ({"user": "u"}, {"x-litellm-customer-id": "c", "x-litellm-end-user-id": "e"}, "c"),
        ({"user": "u"}, {"x-app-user": "a", "x-older": "o"}, "a"),
        ({"user": "u"}, {"x-older": "o"}, "o"),
        ({}, {"x-app-user": "a", "x-litellm-customer-id": "c"}, "c"),
    ],
)
def test_the_end_user_is_the_first_that_is_named(body: Any, headers: Any, customer: str) -> None:
    mapping = [{"header_name": "X-App-User", "litellm_user_role": "customer"}]
    assert _call(body, headers, user_header_mappings=mapping, user_header_name="X-Older").customer == customer


def test_tags_come_from_body_metadata_and_header_and_do_not_travel_on() -> None:
    call = _call({"tags": ["a"], "metadata": {"tags": ["b", "a"], "x": 1}}, {"x-litellm-tags": "c, b ,"})
    assert call.tags == ("c", "b", "a")
    assert call.body["metadata"] == {"x": 1}
    assert "tags" not in call.body
    assert "metadata" not in _call({"metadata": {"tags": ["b"]}}).body


@pytest.mark.parametrize(
    ("body", "headers"), [({"metadata": {"tags": ["a"]}}, {}), ({"tags": ["a"]}, {}), ({}, {"x-litellm-tags": "a"})]
)
def test_tags_of_clients_can_be_ruled_out(body: Any, headers: Any) -> None:
    with pytest.raises(GatewayError, match="reject_clientside_metadata_tags") as refused:
        _call(body, headers, reject_clientside_metadata_tags=True)
    assert refused.value.status == 400
    assert _call(body, headers).tags == ("a",)


def test_patience_is_read_from_headers_before_the_body() -> None:
    plain = _call({"timeout": 7, "num_retries": 3})
    assert (plain.timeout, plain.retries) == (7.0, 3)
    assert not plain.body.keys() & {"timeout", "num_retries"}
    told = {"x-litellm-timeout": "2.5", "x-litellm-num-retries": "0", "x-litellm-stream-timeout": "9"}
    assert (_call({"timeout": 7}, told).timeout, _call({"num_retries": 3}, told).retries) == (2.5, 0)
    assert _call({"stream": True}, told).timeout == 9.0


@pytest.mark.parametrize(
    "headers",
    [{"x-litellm-timeout": "soon"}, {"x-litellm-timeout": "-1"}, {"x-litellm-timeout": "nan"},
     {"x-litellm-timeout": "inf"}, {"x-litellm-num-retries": "-1"}, {"x-litellm-num-retries": "²"}],
)  # fmt: skip
def test_patience_that_means_nothing_is_refused_by_name(headers: dict[str, str]) -> None:
    with pytest.raises(GatewayError, match=next(iter(headers))) as refused:
        _call(headers=headers)
    assert refused.value.status == 400


def test_retries_that_mean_nothing_are_refused_by_the_name_that_they_have() -> None:
    with pytest.raises(GatewayError) as refused:
        _call({"num_retries": "x"})
    assert (refused.value.param, "x-litellm" in refused.value.message) == ("num_retries", False)


def test_requests_come_only_from_the_allowed_networks() -> None:
    rules = read_rules({"allowed_ips": ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]})
    assert all(map(rules.may_come_from, ("10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3")))
    assert not any(map(rules.may_come_from, ("11.1.2.3", "192.0.2.8", "2001:db9::1", "", "nonsense")))
    assert GateRules().may_come_from("")


def test_routes_of_admins_count_with_and_without_v1() -> None:
    rules = read_rules({"admin_only_routes": ["/embeddings", "/key/*"]})
    assert all(map(rules.is_for_admins, ("/v1/embeddings", "/embeddings", "/key/info")))
    assert not any(map(rules.is_for_admins, ("/v1/chat/completions", "/keys")))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enforce_user_param", "yes"), ("reject_clientside_metadata_tags", 1), ("max_request_size_mb", 0),
        ("max_request_size_mb", "1"), ("allowed_ips", "10.0.0.1"), ("allowed_ips", ["somewhere"]),
        ("admin_only_routes", "/key/*"),
        ("user_header_name", "two words"), ("user_header_mappings", ["x"]),
        ("user_header_mappings", [{"header_name": "x", "litellm_user_role": "internal_user"}]),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_kept_stops_the_start(name: str, value: object) -> None:
    with pytest.raises(BadRule, match=name):
        read_rules({name: value})


def test_metrics_need_a_key_unless_the_file_says_otherwise() -> None:
    name = "require_auth_for_metrics_endpoint"
    assert [read_rules({}, {}, said).open_metrics for said in ({}, {name: True}, {name: False})] == [False, False, True]
    with pytest.raises(BadRule, match=f"litellm_settings.{name}: write true or false"):
        read_rules({}, {}, {name: "false"})


def test_the_size_of_a_body_is_told_in_megabytes() -> None:
    assert read_rules({"max_request_size_mb": 0.5}).max_body_bytes == 512 * 1024


@pytest.mark.parametrize("zone", ["Nowhere/Land", 7, "../etc/passwd"])
def test_a_time_zone_that_does_not_exist_stops_the_start(zone: object) -> None:
    with pytest.raises(BadRule, match="timezone"):
        read_zone({"timezone": zone})
    assert (read_zone({"timezone": "Asia/Kathmandu"}), read_zone({})) == ("Asia/Kathmandu", "")


def test_the_status_of_a_budget_that_is_exceeded_is_one_of_four() -> None:
    assert (read_budget_status({}), read_budget_status({"budget_exceeded_status_code": 422})) == (None, 422)
    with pytest.raises(BadRule, match="budget_exceeded_status_code"):
        read_budget_status({"budget_exceeded_status_code": 500})


@pytest.mark.parametrize(
    ("body", "headers", "session"),
    [
        ({}, {}, ""),
        ({"litellm_trace_id": "t"}, {}, "t"),
        ({"litellm_trace_id": "t", "litellm_session_id": "s"}, {}, "s"),
        ({"litellm_session_id": "s"}, {"x-litellm-trace-id": "t"}, "t"),
        ({}, {"x-litellm-trace-id": "t", "x-litellm-session-id": "s"}, "s"),
    ],
)
def test_a_session_is_named_by_header_or_body_and_does_not_travel_on(body: Any, headers: Any, session: str) -> None:
    call = _call(body, headers)
    assert call.session_id == session
    assert not call.body.keys() & {"litellm_trace_id", "litellm_session_id"}


def test_a_session_is_the_same_in_a_header_and_in_a_body() -> None:
    header = {"x-litellm-session-id": "süß".encode().decode("latin-1")}
    assert _call(headers=header).session_id == _call({"litellm_session_id": "süß"}).session_id == "süß"
    with pytest.raises(GatewayError, match="is not UTF-8"):
        _call(headers={"x-litellm-session-id": "\xfc"})
    assert _call(headers={_NOTES: '{"a": "\\\\u0000"}'}).log_metadata == {"a": "\\u0000"}


def test_notes_for_the_log_come_from_header_or_metadata_and_do_not_travel_on() -> None:
    inside = _call({"metadata": {"spend_logs_metadata": {"ticket": 7}, "x": 1}})
    assert (inside.log_metadata, inside.body["metadata"]) == ({"ticket": 7}, {"x": 1})
    both = _call({"metadata": {"spend_logs_metadata": {"a": 1}, "tags": ["t"]}}, {_NOTES: '{"ticket": "\\u00fc"}'})
    assert (both.log_metadata, both.tags) == ({"ticket": "ü"}, ("t",))
    assert "metadata" not in both.body
    assert _call().log_metadata is None


@pytest.mark.parametrize(
    ("notes", "wrong"),
    [
        ("{", "JSON object"), ("[]", "JSON object"), ('{"a": 1, "a": 2}', "JSON object"), ('{"a": NaN}', "JSON object"),
        ('{"a": "%s"}' % ("x" * 4096), "at most 4096 bytes"), ('{"a": "\\u0000"}', "no NUL"),
        ('{"a": 99999999999999999999}', "JSON object"),
    ],
)  # fmt: skip
def test_notes_that_nobody_could_keep_are_refused(notes: str, wrong: str) -> None:
    with pytest.raises(GatewayError, match=wrong) as refused:
        _call(headers={_NOTES: notes})
    assert (refused.value.status, refused.value.param) == (400, _NOTES)


def test_notes_and_sessions_of_another_kind_are_refused_by_name() -> None:
    for body, param in (
        ({"metadata": {"spend_logs_metadata": "x"}}, "metadata.spend_logs_metadata"),
        ({"litellm_session_id": 7}, "litellm_session_id"),
    ):
        with pytest.raises(GatewayError) as refused:
            _call(body)
        assert (refused.value.status, refused.value.param) == (400, param)
