"""Attempts that failed, in the spend log: when they ended and why, and what finds them."""

from datetime import timedelta
from typing import Any

import pytest

from spend.models import Hold
from spend.wire import Failure
from tests.api.conftest import Api
from tests.api.spending import DAY, spend
from tests.factories import NOON, issue

V2 = "/spend/logs/v2"
DOWN = Failure(502, "upstream_error", "the provider of 'demo' cannot be reached")
BUSY = Failure(429, "rate_limit_error", "slow down")


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Every test here makes calls."""


def calls(api: Api, **query: Any) -> list[str]:
    return [row["litellm_call_id"] for row in api.get(V2, DAY | query).json["data"]]


def test_a_failed_attempt_says_when_it_ended_and_why(api: Api) -> None:
    spend(issue()[0], None, request_id="broken", failure=DOWN)
    (row,) = api.get("/spend/logs", {"request_id": "broken"}).json
    assert (row["startTime"], row["endTime"]) == ("2026-03-10T12:00:00Z", "2026-03-10T12:00:02Z")
    assert (row["request_duration_ms"], row["completionStartTime"]) == (2000, None)
    assert row["metadata"]["error_information"] == {
        "error_code": "502", "error_class": "BadGatewayError", "error_type": "upstream_error",
        "error_message": DOWN.message, "traceback": "",
        "llm_provider": "openai_compatible",
    }  # fmt: skip


def test_code_and_words_find_failed_attempts(api: Api) -> None:
    key, _ = issue()
    spend(key, None, request_id="down", failure=DOWN)
    spend(key, None, request_id="busy", failure=BUSY, at=NOON + timedelta(minutes=1))
    spend(key, None, request_id="untold")
    spend(key, 5, request_id="served")
    found = {
        "502": {"error_code": "502"}, "429": {"error_code": "429"}, "words": {"error_message": "REACHED"},
        "both": {"error_code": "502", "error_message": "slow"}, "none": {"error_code": "x"},
        "failed": {"error_code": "429", "status_filter": "failure"},
    }  # fmt: skip
    assert {name: calls(api, **query) for name, query in found.items()} == {
        "502": ["down"], "429": ["busy"], "words": ["down"], "both": [], "none": [], "failed": ["busy"],
    }  # fmt: skip


def test_failed_attempts_stand_where_they_ended(api: Api) -> None:
    key, _ = issue()
    minutes = {"first": 1, "slow": 9, "last": 5}
    for n, (name, ended) in enumerate(minutes.items()):
        at, end = NOON + timedelta(seconds=n), NOON + timedelta(minutes=ended)
        spend(key, 7 if name == "last" else None, request_id=name, at=at, finished_at=end, failure=DOWN)
    assert calls(api, sort_by="endTime") == ["slow", "last", "first"]
    assert calls(api, sort_by="endTime", group_by_session="true") == ["slow", "last", "first"]


def test_an_attempt_of_which_no_end_is_known_is_shown_without_one(api: Api) -> None:
    key, _ = issue()
    spend(key, None, request_id="old")
    Hold.objects.update(failed_at=None)
    spend(key, None, request_id="new", failure=DOWN)
    (row,) = api.get("/spend/logs", {"request_id": "old"}).json
    assert (row["endTime"], row["request_duration_ms"], row["metadata"]["error_information"]) == (None, None, None)
    assert calls(api, sort_by="endTime") == ["new", "old"]
