"""What a child may be given below what its parent has."""

from typing import Any

import pytest

from teams.models import Organization, Team
from teams.narrowing import uncovered, wider


@pytest.mark.parametrize(
    ("above", "child", "named"),
    [
        ({"max_budget_nano": 5}, {"max_budget_nano": 6}, "max_budget"),
        ({"max_budget_nano": 5}, {"max_budget_nano": 5}, ""),
        ({"max_budget_nano": 5}, {"max_budget_nano": None}, ""),
        ({"max_budget_nano": 5}, {"soft_budget_nano": 6}, "soft_budget"),
        ({"max_parallel_requests": 2}, {"max_parallel_requests": 3}, "max_parallel_requests"),
        ({"max_budget_nano": 5, "budget_duration": "30d"}, {"budget_limits": [{"duration": "1d", "max_nano": 6}]},
         "budget_limits"),
        ({"max_budget_nano": 5, "budget_duration": "1d"}, {"budget_limits": [{"duration": "30d", "max_nano": 6}]}, ""),
        ({"budget_limits": [{"duration": "1d", "max_nano": 5}]},
         {"budget_limits": [{"duration": "rolling 1h", "max_nano": 6}]}, "budget_limits"),
        ({"model_limits": {"openai/*": {"rpm": 5}}}, {"model_limits": {"openai/gpt-4o": {"rpm": 6}}},
         "model_rpm_limit"),
        ({"model_limits": {"openai/*": {"rpm": 5}}}, {"model_limits": {"mistral/x": {"rpm": 6}}}, ""),
        ({"tpm_limit": 5}, {"model_limits": {"a": {"tpm": 6}}}, "model_tpm_limit"),
        ({"model_limits": {"a": {"max_nano": 5}}}, {"model_limits": {"a": {"max_nano": 6, "duration": "1d"}}},
         "model_max_budget"),
        ({"model_limits": {"a": {"max_nano": 5, "duration": "1d"}}}, {"model_limits": {"a": {"max_nano": 6}}}, ""),
        ({"max_budget_nano": 5}, {"model_limits": {"a": {"max_nano": 6}}}, "model_max_budget"),
        ({"model_limits": {"a": {"max_nano": 5}}}, {"budget_limits": [{"duration": "1d", "max_nano": 6}]}, ""),
    ],
)  # fmt: skip
def test_a_limit_is_wider_if_the_one_above_is_always_met_first(
    above: dict[str, Any], child: dict[str, Any], named: str
) -> None:
    assert wider(Team(**child), Organization(**above), Team()) == named
    # What it had before is not judged again.
    assert wider(Team(**child), Organization(**above), Team(**child)) == ""


def test_of_limits_per_model_only_those_that_change_are_judged() -> None:
    above, stored = Organization(rpm_limit=5), Team(model_limits={"a": {"rpm": 9, "tpm": 1}})
    assert wider(Team(model_limits={"a": {"rpm": 9, "tpm": 2}, "b": {"rpm": 5}}), above, stored) == ""
    assert wider(Team(model_limits={"a": {"rpm": 9}, "b": {"rpm": 6}}), above, stored) == "model_rpm_limit"


@pytest.mark.parametrize(
    ("top", "wanted", "foreign"),
    [
        ([], ["a"], set()), (["all-proxy-models"], ["a", "*"], set()), (["*"], ["a"], set()),
        (["all-team-models"], ["a"], set()), (["openai/*"], ["openai/gpt-4o", "openai/gpt-*"], set()),
        (["a"], ["no-default-models"], set()), (["a"], ["all-team-models"], set()), (["a"], ["a", "b"], {"b"}),
        (["a"], ["all-proxy-models"], {"all-proxy-models"}), (["a*"], ["all-proxy-models"], {"all-proxy-models"}),
        (["openai/gpt-4o"], ["openai/*"], {"openai/*"}), (["no-default-models"], ["a"], {"a"}),
    ],
)  # fmt: skip
def test_a_list_of_models_covers_what_its_entries_mean(top: list[str], wanted: list[str], foreign: set[str]) -> None:
    assert uncovered(wanted, top, below=True)[0] == foreign


def test_a_list_that_is_not_above_says_nothing_about_what_all_team_models_are() -> None:
    assert uncovered(["all-team-models"], ["a"], below=False)[0] == {"all-team-models"}
    assert uncovered(["all-team-models"], ["a*"], below=False)[0] == {"all-team-models"}
    assert uncovered(["no-default-models"], ["a"], below=False)[0] == set()
