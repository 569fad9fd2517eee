"""Every class of usage is read once; nonsense counts as no report at all."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.runtime.relay import Outcome, note_answer
from proxy.runtime.usage import searches_of, service_of, usage_of
from spend.pricing import Usage, rates_from


def read(prompt: Any = 100, completion: Any = 50, **more: Any) -> Usage | None:
    return usage_of({"usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}})


def test_parts_are_taken_out_of_their_whole() -> None:
    used = read(
        prompt_tokens_details={"cached_tokens": 30, "audio_tokens": 20, "cache_creation_tokens": 10},
        completion_tokens_details={
            "reasoning_tokens": 20, "audio_tokens": 5, "accepted_prediction_tokens": 3, "rejected_prediction_tokens": 4,
        },
    )  # fmt: skip
    assert used == Usage(100, 50, cached=30, cache_write=10, reasoning=20, audio_input=20, audio_output=5)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 7, "total_tokens": 7}, Usage(7, 0)),
        ({"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}, Usage(10, 2, cached=4)),
        ({"input_tokens": 9, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 2}}, Usage(9, 3, cached=2)),
        (
            {"prompt_tokens": 9, "cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 2}},
            Usage(9, 0, cache_write=5, cache_write_1h=2),
        ),
        ({"prompt_tokens": 10.0, "completion_tokens": 2}, Usage(10, 2)),
        ({"prompt_tokens": 10, "completion_tokens": None, "prompt_tokens_details": None}, Usage(10, 0)),
    ],
)
def test_other_names_for_the_same_are_understood(usage: dict[str, Any], expected: Usage) -> None:
    assert usage_of({"usage": usage}) == expected


def test_reasoning_that_only_the_total_counts_is_output() -> None:
    used = read(10, 2, total_tokens=312, completion_tokens_details={"reasoning_tokens": 300})
    assert used == Usage(10, 302, reasoning=300)


def test_a_total_below_the_sum_takes_nothing_away() -> None:
    assert read(10, 20, total_tokens=5) == Usage(10, 20)


@pytest.mark.parametrize(
    ("details", "audio_cached", "image_cached"),
    [
        ({"cached_tokens": 50, "audio_tokens": 40}, 0, 0),
        ({"cached_tokens": 80, "audio_tokens": 40}, 20, 0),
        ({"cached_tokens": 90, "audio_tokens": 20, "image_tokens": 30}, 20, 20),
        ({"cached_tokens": 30, "audio_tokens": 40, "cached_tokens_details": {"audio_tokens": 25}}, 25, 0),
    ],
)
def test_the_cache_is_text_first_unless_the_provider_says_otherwise(
    details: dict[str, Any], audio_cached: int, image_cached: int
) -> None:
    used = read(prompt_tokens_details=details)
    assert used is not None
    assert (used.audio_cached, used.image_cached) == (audio_cached, image_cached)


@pytest.mark.parametrize("wrong", [-1, 2**40 + 1, "7", True, 1.5, float("inf"), [], {}])
def test_a_count_that_is_none_makes_the_whole_report_void(wrong: Any) -> None:
    assert read(wrong) is None
    assert read(10, wrong) is None
    assert read(prompt_tokens_details={"cached_tokens": wrong}) is None
    assert read(completion_tokens_details={"reasoning_tokens": wrong}) is None


@pytest.mark.parametrize(
    "more",
    [
        {"prompt_tokens_details": {"cached_tokens": 101}},
        {"prompt_tokens_details": {"audio_tokens": 60, "image_tokens": 60}},
        {"prompt_tokens_details": {"cached_tokens": 60, "cache_creation_tokens": 60}},
        {
            "prompt_tokens_details": {
                "cached_tokens": 9,
                "audio_tokens": 1,
                "cached_tokens_details": {"audio_tokens": 2},
            }
        },
        {"prompt_tokens_details": "many"},
        {"completion_tokens_details": {"reasoning_tokens": 51}},
        {"cache_creation_input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 2}},
    ],
)
def test_parts_above_their_whole_make_the_report_void(more: dict[str, Any]) -> None:
    assert read(**more) is None


@pytest.mark.parametrize("answer", [None, [], "x", {}, {"usage": None}, {"usage": 7}, {"usage": {"total_tokens": 7}}])
def test_no_report_is_no_usage(answer: Any) -> None:
    assert usage_of(answer) is None
    assert service_of(answer) == ""
    assert searches_of(answer) is None


def test_the_service_tier_is_read_from_the_answer_or_its_usage() -> None:
    assert service_of({"service_tier": "priority"}) == "priority"
    assert service_of({"usage": {"service_tier": "flex"}}) == "flex"
    for odd in (7, "", "x" * 40, "Not A Tier", None):
        assert service_of({"service_tier": odd}) == ""


def test_searches_are_read_where_a_provider_tells() -> None:
    assert searches_of({"usage": {"server_tool_use": {"web_search_requests": 3}}}) == 3
    assert searches_of({"usage": {"num_search_queries": 0}}) == 0
    assert searches_of({"usage": {"server_tool_use": {"web_search_requests": -3}}}) is None


def test_a_stream_keeps_the_last_usage_and_tier_it_heard_of() -> None:
    outcome = Outcome()
    for chunk in (
        {"id": "a", "service_tier": "priority", "usage": {"prompt_tokens": 5, "completion_tokens": 1}},
        {"id": "b", "usage": {"prompt_tokens": 5, "completion_tokens": 2}},
        {"usage": {"prompt_tokens": 5, "completion_tokens": -2}},
        {"usage": None},
    ):
        note_answer(outcome, chunk)
    assert (outcome.usage, outcome.service, outcome.response_id) == (Usage(5, 2), "priority", "a")


_json = st.none() | st.booleans() | st.floats() | st.sampled_from(["", "7", [], {}, [1], {"cached_tokens": 1}, 2**70])
_names = st.sampled_from([
    "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details",
    "cache_creation", "cache_creation_input_tokens",
])  # fmt: skip
_part_names = st.sampled_from(
    ["cached_tokens", "audio_tokens", "image_tokens", "reasoning_tokens", "cache_write_tokens"]
)
_counts = st.dictionaries(_part_names, st.integers(-2, 40) | _json, max_size=4)
_ONES = rates_from({"input": Decimal(1), "output": Decimal(1)})


@given(st.dictionaries(_names, st.integers(-2, 60) | _counts | _json, max_size=6))
def test_whatever_is_reported_every_token_is_counted_once(reported: dict[str, Any]) -> None:
    used = usage_of({"usage": reported})
    if used is not None:
        # With one rate for all classes, a class that were counted twice or negatively would change the sum.
        assert _ONES.cost(used) == used.total * 10**12
        assert all(value >= 0 for value in used.further().values() if isinstance(value, int))
        assert used.total >= max(0, used.cached, used.reasoning, used.audio_input)
