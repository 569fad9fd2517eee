"""Budgets and limits of every kind as clients set and read them."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from keys.loading import load_grants
from keys.models import VirtualKey
from spend import services as ledger
from spend.wire import CounterRef, Crossing, crossing_name
from teams.rows import current_window
from tests.api.conftest import Api
from tests.factories import intent_for, posting_of

EVERY_LIMIT = {
    "max_budget": 100, "soft_budget": 80, "budget_duration": "30d",
    "budget_limits": [
        {"budget_duration": "1d", "max_budget": 10}, {"budget_duration": "rolling 1h", "max_budget": 1.5},
    ],
    "model_max_budget": {
        "gpt-4o": {"budget_limit": 0.25, "time_period": "1d"},
        "openai/*": {"max_budget": 5, "budget_duration": "7d", "rpm_limit": 3},
    },
    "model_rpm_limit": {"gpt-4o": 60}, "model_tpm_limit": {"gpt-4o": 1000},
}  # fmt: skip


def spend(key: VirtualKey, nano: int, model: str = "demo", at: datetime | None = None) -> None:
    intent = intent_for(key, at=at or timezone.now(), model=model)
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, nano)], now=timezone.now())


def test_every_kind_of_budget_is_taken_and_shown_again(api: Api) -> None:
    made = api.key(**EVERY_LIMIT)
    assert made["soft_budget"] == 80
    assert [(w["budget_duration"], w["max_budget"]) for w in made["budget_limits"]] == [
        ("1d", 10), ("rolling 1h", Decimal("1.5")),
    ]  # fmt: skip
    assert made["budget_limits"][0]["reset_at"].endswith("T00:00:00Z")
    assert made["budget_limits"][1]["reset_at"] is None
    assert made["model_max_budget"] == {
        "gpt-4o": {"budget_limit": Decimal("0.25"), "time_period": "1d"},
        "openai/*": {"max_budget": 5, "budget_duration": "7d", "rpm_limit": 3},
    }
    assert made["model_rpm_limit"] == made["metadata"]["model_rpm_limit"] == {"gpt-4o": 60, "openai/*": 3}
    assert made["model_tpm_limit"] == made["metadata"]["model_tpm_limit"] == {"gpt-4o": 1000}


def test_what_was_shown_can_be_sent_back(api: Api) -> None:
    made = api.key(**EVERY_LIMIT)
    body = {**made, "metadata": {**made["metadata"], "note": "same"}}
    again = api.post("/key/update", raw=json.dumps(body, default=float))
    assert again.status == 200, again.text
    names = ("max_budget", "budget_limits", "model_max_budget", "model_rpm_limit", "model_tpm_limit")
    assert {name: again.json[name] for name in names} == {name: made[name] for name in names}
    assert VirtualKey.objects.get().metadata == {"note": "same"}


def test_a_rate_is_shown_inside_a_budget_only_if_it_was_written_there(api: Api) -> None:
    budget = {"budget_limit": 5, "time_period": "1d"}
    both = budget | {"rpm_limit": 3, "tpm_limit": 9}
    made = api.key(model_max_budget={"m": budget, "n": both}, model_rpm_limit={"m": 7})
    assert made["model_max_budget"] == {"m": budget, "n": both}
    assert (made["model_rpm_limit"], made["model_tpm_limit"]) == ({"m": 7, "n": 3}, {"n": 9})

    def update(**fields: Any) -> Any:
        return api.post("/key/update", {"key": made["token"]} | fields).json["model_max_budget"]

    assert update(key_alias="x") == {"m": budget, "n": both}
    assert update(model_rpm_limit={"n": 4}) == {"m": budget, "n": budget | {"tpm_limit": 9}}
    assert update(model_max_budget={"n": budget}) == {"n": budget}
    assert api.get("/key/info", {"key": made["token"]}).json["info"]["model_tpm_limit"] == {"n": 9}


def test_a_budget_of_a_model_comes_back_in_the_words_it_was_sent_in(api: Api) -> None:
    budgets = {
        "a": {"max_budget": 5, "budget_duration": "1d", "rpm_limit": 3}, "b": {"budget_limit": 5, "time_period": "1d"},
        "c": {"max_budget": 5, "time_period": "7d"}, "d": {"max_budget": 5}, "e": {"budget_limit": 5},
    }  # fmt: skip
    made = api.key(model_max_budget=budgets)
    assert made["model_max_budget"] == budgets
    kept = api.post("/key/update", {"key": made["token"], "model_rpm_limit": {"d": 1}}).json
    assert kept["model_max_budget"] == {**budgets, "a": {"max_budget": 5, "budget_duration": "1d"}}
    other = {"a": {"budget_limit": 4, "time_period": "1d"}}
    assert api.post("/key/update", {"key": made["token"], "model_max_budget": other}).json["model_max_budget"] == other
    assert api.post("/budget/new", {"budget_id": "b", "model_max_budget": budgets}).json["model_max_budget"] == budgets


def test_an_update_keeps_what_it_does_not_name_and_null_clears(api: Api) -> None:
    made = api.key(**EVERY_LIMIT)
    kept = api.post("/key/update", {"key": made["token"], "rpm_limit": 5}).json
    assert (kept["budget_limits"], kept["model_max_budget"]) == (made["budget_limits"], made["model_max_budget"])
    gone = api.post("/key/update", {"key": made["token"], "budget_limits": None, "model_max_budget": None}).json
    assert (gone["budget_limits"], gone["model_max_budget"]) == ([], {})
    assert gone["model_rpm_limit"] == {"gpt-4o": 60, "openai/*": 3}
    assert api.post("/key/update", {"key": made["token"], "model_rpm_limit": {}}).json["model_rpm_limit"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"budget_limits": [{"budget_duration": "1d", "max_budget": -5}]}, "budget_limits.max_budget"),
        ({"budget_limits": [{"budget_duration": "1d", "max_budget": 1}] * 2}, "budget_limits"),
        ({"model_max_budget": {"m": {"budget_limit": 1, "time_period": "2mo"}}}, "model_max_budget.m.time_period"),
        ({"model_max_budget": {"m": {"time_period": "1d"}}}, "model_max_budget"),
        ({"model_rpm_limit": {"m": -1}}, "model_rpm_limit.m"),
        ({"temp_budget_increase": 5}, "temp_budget_expiry"),
        ({"temp_budget_increase": -5, "temp_budget_expiry": "2126-01-01"}, "temp_budget_increase"),
        ({"temp_budget_increase": 5, "temp_budget_expiry": "soon"}, "temp_budget_expiry"),
        ({"budget_duration": "rolling 30s"}, "budget_duration"),
        ({"budget_id": "no such budget"}, "budget_id"),
    ],
)
def test_a_bad_limit_is_400_naming_its_field(api: Api, body: dict[str, Any], field: str) -> None:
    answer = api.post("/key/generate", body)
    assert (answer.status, answer.error["param"]) == (400, field)
    assert not VirtualKey.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"budget_limits": {"1d": 5}}, "budget_limits"),
        ({"budget_limits": [5]}, "budget_limits"),
        ({"budget_limits": [{"max_budget": 5}]}, "budget_limits.budget_duration"),
        ({"budget_limits": [{"budget_duration": "1d"}]}, "budget_limits.max_budget"),
        ({"model_max_budget": [1]}, "model_max_budget"),
        ({"model_max_budget": {"m": {"budget_limit": "much"}}}, "model_max_budget.m.budget_limit"),
        ({"model_tpm_limit": 5}, "model_tpm_limit"),
        ({"metadata": {"model_tpm_limit": {"m": "x"}}}, "model_tpm_limit.m"),
    ],
)
def test_a_limit_of_a_wrong_shape_is_422_naming_its_field(api: Api, body: dict[str, Any], field: str) -> None:
    answer = api.post("/key/generate", body)
    assert (answer.status, answer.fault) == (422, field)
    assert not VirtualKey.objects.exists()


def test_too_many_models_after_a_merge_are_400(api: Api) -> None:
    made = api.key(model_rpm_limit={f"a{n}": 1 for n in range(60)})
    answer = api.post("/key/update", {"key": made["token"], "model_tpm_limit": {f"b{n}": 1 for n in range(60)}})
    assert (answer.status, answer.error["param"]) == (400, "model_max_budget")


def test_a_temporary_raise_counts_until_its_last_day_ends(api: Api) -> None:
    made = api.key(max_budget=10, temp_budget_increase=5, temp_budget_expiry="2126-01-31")
    [budget] = load_grants([made["token"]])[made["token"]].key.budgets
    last = datetime(2126, 1, 31, 23, 59, 59, tzinfo=UTC)
    assert (budget.limit_at(last - timedelta(seconds=1)), budget.limit_at(last)) == (15 * 10**9, 10 * 10**9)
    assert (made["temp_budget_increase"], made["metadata"]["temp_budget_expiry"]) == (5, "2126-01-31T23:59:59Z")
    over = api.post("/key/update", {"key": made["token"], "temp_budget_increase": 0}).json
    assert over["temp_budget_increase"] is None
    assert "temp_budget_expiry" not in over["metadata"]


def test_a_temporary_raise_may_say_how_long_it_lasts(api: Api) -> None:
    before = timezone.now() + timedelta(days=10)
    made = api.key(max_budget=10, temp_budget_increase=5, temp_budget_expiry="10d")
    until = datetime.fromisoformat(made["metadata"]["temp_budget_expiry"])
    assert before <= until <= timezone.now() + timedelta(days=10)
    answer = api.post("/key/update", {"key": made["token"], "temp_budget_expiry": "-1"})
    assert (answer.status, answer.fault) == (400, "temp_budget_expiry")


def test_a_raise_may_be_written_inside_metadata(api: Api) -> None:
    inside = {"temp_budget_increase": 5.5, "temp_budget_expiry": "2126-01-31T00:00:00Z", "note": "x"}
    made = api.key(max_budget=10, metadata=inside)
    assert made["temp_budget_increase"] == Decimal("5.5")
    assert VirtualKey.objects.get().metadata == {"note": "x"}


def test_key_info_shows_what_every_window_has_used(api: Api) -> None:
    made = api.key(**EVERY_LIMIT)
    key = VirtualKey.objects.get()
    spend(key, 2 * 10**8, "gpt-4o")
    spend(key, 3 * 10**8, "openai/o3")
    spend(key, 7 * 10**9, "demo", at=timezone.now() - timedelta(days=800))
    info = api.get("/key/info", {"key": made["token"]}).json["info"]
    assert info["spend"] == Decimal("0.5")
    assert [row["spend"] for row in info["budget_limits_usage"]] == [Decimal("0.5")] * 2
    used = info["model_max_budget_usage"]
    assert {model: row["spend"] for model, row in used.items()} == {
        "gpt-4o": Decimal("0.2"), "openai/*": Decimal("0.3"),
    }  # fmt: skip
    assert used["gpt-4o"]["reset_at"] == info["budget_limits_usage"][0]["reset_at"]


def test_key_info_says_when_the_soft_budget_of_this_window_was_crossed(api: Api) -> None:
    made, now = api.key(soft_budget=5, budget_duration="1d"), timezone.now()
    key = VirtualKey.objects.get()
    assert api.get("/key/info", {"key": made["token"]}).json["info"]["soft_budget_crossed_at"] is None
    today, long_ago = (CounterRef(key.scope, "", current_window(key, at)) for at in (now, now - timedelta(days=9)))
    for ref, at in ((long_ago, now - timedelta(days=9)), (today, now)):
        ledger.note_crossings([Crossing(key.scope, ref.counter, 5 * 10**9)], now=at)
    info = api.get("/key/info", {"key": made["token"]}).json["info"]
    assert datetime.fromisoformat(info["soft_budget_crossed_at"]) == now


def test_key_info_says_when_the_soft_budget_of_a_rolling_window_was_last_noted(api: Api) -> None:
    made, now = api.key(soft_budget=5, budget_duration="rolling 24h"), timezone.now()
    key = VirtualKey.objects.get()
    counter = CounterRef(key.scope, "", current_window(key, now)).counter
    for at in (now - timedelta(days=3), now):
        name = crossing_name(counter, rolling=True, at=at)
        ledger.note_crossings([Crossing(key.scope, name, 5 * 10**9)], now=at)
    info = api.get("/key/info", {"key": made["token"]}).json["info"]
    assert datetime.fromisoformat(info["soft_budget_crossed_at"]) == now
