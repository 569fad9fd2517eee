"""Which model takes over from which, and how far a call goes."""

from dataclasses import replace
from typing import Any

import pytest

from proxy.fallback_rules import CONTENT_POLICY, CONTEXT_WINDOW, GENERAL, Fallbacks, read_fallbacks
from proxy.gate_rules import BadRule, read_rules
from proxy.runtime import errors
from proxy.runtime.fallbacks import Course, kind_of
from tests.proxy.calls import call

KNOWN = Fallbacks({GENERAL: {"a": ("b", "c"), "b": ("d", "a")}, CONTEXT_WINDOW: {"a": ("long",)}})
FAILED = errors.upstream_failed("failed")
TOO_LONG = errors.invalid("too long")


def course(most: int = 5, **changes: Any) -> Course:
    return Course(replace(call(), model="a", **changes), most)


def visited(way: Course, failure: errors.GatewayError = FAILED, kind: str = GENERAL) -> list[str]:
    """The models that a call is sent to when all of them fail."""
    found = [way.call.model]
    while way.go_on(failure, kind, way.call.model, 0, KNOWN):
        found.append(way.call.model)
    return found


def test_the_file_says_in_two_sections_what_takes_over() -> None:
    litellm = {"fallbacks": [{"a": ["b"]}, {"x": ["y"]}], "default_fallbacks": ["z"], "content_policy_fallbacks": []}
    router = {"fallbacks": [{"a": ["c", "c"]}], "context_window_fallbacks": [{"a": ["long"]}]}
    known = read_fallbacks(litellm, router)
    assert known.after("a", GENERAL) == ("c",)
    assert known.after("a", CONTEXT_WINDOW) == ("long",)
    assert known.after("a", CONTENT_POLICY) == ("c",)
    assert known.after("unnamed", GENERAL) == ("z",)
    assert known.after("z", GENERAL) == ()
    assert ("x", GENERAL, ("y",)) in known.listed()
    assert read_fallbacks(known_as_file(known)) == replace(known, tables={GENERAL: known.tables[GENERAL],
                                                                          CONTEXT_WINDOW: {"a": ("long",)},
                                                                          CONTENT_POLICY: {}})  # fmt: skip


def known_as_file(known: Fallbacks) -> dict[str, Any]:
    return {
        "fallbacks": known.as_setting(GENERAL),
        "context_window_fallbacks": known.as_setting(CONTEXT_WINDOW),
        "content_policy_fallbacks": known.as_setting(CONTENT_POLICY),
    }


@pytest.mark.parametrize(
    "value",
    ["a", {"a": ["b"]}, [["a"]], [{}], [{"a": "b"}], [{"a": [1]}], [{"a": [{"model": "b"}]}], [{"": ["b"]}],
     [{"a": ["b"] * 21}], [{1: ["b"]}]],
)  # fmt: skip
def test_a_wrong_table_stops_the_start_and_is_named(value: Any) -> None:
    for name in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
        with pytest.raises(BadRule, match=rf"router_settings\.{name}: "):
            read_fallbacks({}, {name: value})


@pytest.mark.parametrize("value", [-1, 21, "3", True, 2.5])
def test_a_wrong_number_of_fallbacks_stops_the_start(value: Any) -> None:
    with pytest.raises(BadRule, match="max_fallbacks"):
        read_rules({}, {"max_fallbacks": value})


def test_every_model_is_tried_once_and_fallbacks_of_fallbacks_come_first() -> None:
    assert visited(course()) == ["a", "b", "d", "c"]


def test_no_more_fallbacks_are_tried_than_the_router_allows() -> None:
    way = course(most=2)
    assert visited(way) == ["a", "b", "d"]
    assert (way.fallbacks, way.attempt) == (2, 3)
    assert visited(course(most=0)) == ["a"]


def test_those_that_a_client_names_come_before_those_that_are_configured() -> None:
    named = (replace(call(), model="x"), replace(call(), model="b"))
    assert visited(course(fallbacks=named)) == ["a", "x", "b", "d", "c"]
    assert visited(course(fallbacks=named), kind="") == ["a"]


def test_a_client_may_forgo_fallbacks() -> None:
    assert visited(course(falls_back=False)) == ["a"]


def test_a_mistake_of_the_client_opens_none_and_a_long_call_those_for_long_ones() -> None:
    assert visited(course(), TOO_LONG, "") == ["a"]
    assert visited(course(), TOO_LONG, CONTEXT_WINDOW) == ["a", "long"]


def test_retries_come_before_fallbacks_and_are_counted_per_model() -> None:
    way, seen = course(), []
    while way.go_on(FAILED, GENERAL, way.call.model, 1, KNOWN):
        seen.append((way.attempt, way.call.model, way.tries))
    assert seen[:3] == [(2, "a", 2), (3, "b", 1), (4, "b", 2)]
    assert dict(way.headers())[b"x-litellm-attempted-fallbacks"] == b"3"


def test_a_refused_fallback_is_passed_over_and_the_first_failure_is_told() -> None:
    way, forbidden = course(), errors.forbidden("no", "key_model_access_denied", "model")
    assert not way.pass_over(forbidden)
    assert way.go_on(FAILED, GENERAL, "a", 0, KNOWN)
    assert way.pass_over(forbidden)
    assert (way.call.model, way.fallbacks, way.attempt) == ("c", 1, 2)
    assert not way.pass_over(errors.over_budget("no", 429, None, "team:1"))
    told = way.told(forbidden)
    assert told is FAILED
    assert told.headers["x-litellm-attempted-fallbacks"] == "0"


def test_a_key_that_was_revoked_meanwhile_is_told_so() -> None:
    way = course()
    assert way.go_on(FAILED, GENERAL, "a", 0, KNOWN)
    for final in (errors.unauthorized("blocked"), errors.unavailable("the database")):
        assert not way.pass_over(final)
        assert way.told(final) is final


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (500, {}, GENERAL), (429, {}, GENERAL), (401, {}, GENERAL), (404, {}, GENERAL), (302, {}, GENERAL),
        (400, {}, ""), (422, {"message": "bad temperature"}, ""), (400, None, ""), (400, {"message": 7}, ""),
        (400, {"code": "context_length_exceeded"}, CONTEXT_WINDOW),
        (400, {"message": "This model's maximum context length is 8192 tokens"}, CONTEXT_WINDOW),
        (413, {"message": "prompt is too long: 210000 tokens"}, CONTEXT_WINDOW),
        (400, {"code": "content_policy_violation"}, CONTENT_POLICY),
        (400, {"code": "content_filter"}, CONTENT_POLICY),
        (400, {"message": "triggering Azure OpenAI's content management policy"}, CONTENT_POLICY),
    ],
)  # fmt: skip
def test_a_providers_refusal_opens_the_fallbacks_for_its_reason(status: int, error: Any, kind: str) -> None:
    assert kind_of(status, {"error": error}) == kind
    assert kind_of(status, error) == (kind if status not in (400, 413, 422) else "")


def test_a_refused_budget_goes_on_to_the_models_that_the_key_names_for_it() -> None:
    refusal, way = errors.over_budget("spent", 429, None, "team:1"), course(1)
    assert way.take_cheaper(refusal, ["a", "cheap", "cheaper"])
    assert (way.call.model, way.fallbacks, way.attempt) == ("cheap", 1, 1)
    assert way.pass_over(refusal)
    assert (way.call.model, way.fallbacks) == ("cheaper", 1)
    assert not way.pass_over(errors.over_budget("spent too", 429, None, "team:1"))
    assert way.told(errors.over_budget("spent too", 429, None, "team:1")) is refusal
    assert not course(falls_back=False).take_cheaper(refusal, ["cheap"])


def test_a_pool_that_has_not_enough_left_is_gone_round_once_and_no_other_budget_is() -> None:
    way = course(1)
    assert way.go_round(errors.over_budget("spent", 429, None, "pool:3"))
    assert way.go_round(errors.over_budget("spent", 429, None, "pool:4"))
    assert way.spent == {"pool:3", "pool:4"}
    assert not way.go_round(errors.over_budget("spent", 429, None, "pool:3"))
    assert not way.go_round(errors.over_budget("spent", 429, None, "team:1"))
