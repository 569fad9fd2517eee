"""Further budgets and limits per model: what columns accept, and what is in force."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from teams import services
from teams.actors import MASTER
from teams.budgets import BadLimits, Budget, check_models, check_windows, matches, without_doubles
from teams.models import Organization, SharedBudget, Team
from teams.scopes import MAX_BUDGET_NANO

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "list"),
        ([5], "a duration and an amount"),
        ([{"duration": "1d"}], "a duration and an amount"),
        ([{"duration": "1d", "max_nano": 1, "model": "x"}], "nothing else"),
        ([{"duration": "1d", "max_nano": -1}], "between 0"),
        ([{"duration": "1d", "max_nano": 1.5}], "between 0"),
        ([{"duration": "1d", "max_nano": True}], "between 0"),
        ([{"duration": "1d", "max_nano": MAX_BUDGET_NANO + 1}], "between 0"),
        ([{"duration": "", "max_nano": 1}], "not a duration"),
        ([{"duration": "2mo", "max_nano": 1}], "not supported"),
        ([{"duration": 30, "max_nano": 1}], "text"),
        ([{"duration": "1d", "max_nano": 1}, {"duration": "daily", "max_nano": 2}], "twice"),
        ([{"duration": f"{n}d", "max_nano": 1} for n in range(1, 10)], "at most 8"),
    ],
)
def test_windows_that_mean_nothing_are_refused(value: Any, message: str) -> None:
    with pytest.raises(BadLimits, match=message):
        check_windows(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "object"),
        ({"": {"rpm": 1}}, "1 to 255"),
        ({" a": {"rpm": 1}}, "spaces"),
        ({"a\nb": {"rpm": 1}}, "control"),
        ({"m": {}}, "at least one"),
        ({"m": 5}, "a model's limits are"),
        ({"m": {"max_nano": 1, "soft": 1}}, "a model's limits are"),
        ({"m": {"duration": "1d"}}, "at least one"),
        ({"m": {"duration": "1d", "rpm": 1}}, "needs an amount"),
        ({"m": {"max_nano": None}}, "between 0"),
        ({"m": {"rpm": -1}}, "whole number"),
        ({"m": {"tpm": 2**53}}, "whole number"),
        ({f"m{n}": {"rpm": 1} for n in range(101)}, "at most 100"),
    ],
)
def test_limits_per_model_that_mean_nothing_are_refused(value: Any, message: str) -> None:
    with pytest.raises(BadLimits, match=message):
        check_models(value)


def test_a_day_may_be_counted_by_the_calendar_and_rolling_at_once() -> None:
    check_windows([{"duration": "24h", "max_nano": 1}, {"duration": "rolling 24h", "max_nano": 1}])
    check_models({"openai/*": {"max_nano": 0, "duration": "rolling 1h", "rpm": 0, "tpm": 1}})


def test_two_budgets_of_one_window_are_the_tighter_one() -> None:
    main = Budget("1d", 50, NOON, raise_nano=100, raise_until=NOON + timedelta(days=1), soft_nano=10)
    [both] = without_doubles([main, Budget("1d", 80, NOON)])
    assert (both.limit_at(NOON), both.limit_at(NOON + timedelta(days=2)), both.soft_nano) == (80, 50, 10)
    [both] = without_doubles([main, Budget("1d", 20, NOON)])
    assert (both.limit_at(NOON), both.soft_nano) == (20, 10)
    [both] = without_doubles([Budget("1d", None, NOON, soft_nano=7), Budget("1d", 20, NOON)])
    assert (both.limit_at(NOON), both.soft_nano) == (20, 7)


def test_no_raise_leads_beyond_what_a_counter_can_hold() -> None:
    raised = Budget("", MAX_BUDGET_NANO, NOON, raise_nano=MAX_BUDGET_NANO, raise_until=NOON + timedelta(days=1))
    assert raised.limit_at(NOON) == MAX_BUDGET_NANO


def test_patterns_cover_models_as_in_model_lists() -> None:
    assert [matches("openai/*", m) for m in ("openai/gpt-4o", "openai", "azure/gpt-4o")] == [True, False, False]
    assert matches("*", "anything")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"budget_limits": {"1d": 5}}, "budget_limits"),
        ({"model_limits": [1]}, "model_limits"),
        ({"budget_duration": "rolling 1mo"}, "budget_duration"),
        ({"raise_nano": -1}, "__all__"),
        ({"raise_nano": 1}, "__all__"),
        ({"raise_nano": MAX_BUDGET_NANO + 1, "raise_until": NOON}, "__all__"),
    ],
)
def test_the_model_names_the_field_at_fault(organization: Organization, fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Team(name="x", organization=organization, **fields).full_clean()
    assert name in refusal.value.message_dict


@pytest.mark.parametrize(
    "fields",
    [
        {"budget_limits": {}},
        {"model_limits": []},
        {"model_limits": "text"},
        {"raise_nano": 1},
        {"raise_nano": -1, "raise_until": NOON},
    ],
)
def test_the_database_refuses_what_no_service_writes(search: Team, fields: dict[str, Any]) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        Team.objects.filter(pk=search.pk).update(**fields)


def epoch() -> int:
    return services.default_organization().epoch


@pytest.mark.parametrize(
    "fields",
    [
        {"budget_limits": [{"duration": "1d", "max_nano": 5}]},
        {"model_limits": {"m": {"max_nano": 5}}},
        {"soft_budget_nano": 5},
        {"budget_duration": "1d", "max_budget_nano": 5},
    ],
)
def test_every_new_window_raises_the_epoch_and_a_new_amount_for_it_does_not(
    search: Team, fields: dict[str, Any]
) -> None:
    for name, value in fields.items():
        setattr(search, name, value)
    services.update_limits(search, actor=MASTER)
    assert epoch() == 2
    if search.budget_limits:
        search.budget_limits[0]["max_nano"] = 6
    elif search.model_limits:
        search.model_limits["m"] = {"max_nano": 6, "rpm": 1}
    else:
        search.soft_budget_nano = 6
    services.update_limits(search, actor=MASTER)
    assert epoch() == 2


def test_a_raise_is_no_new_window(search: Team) -> None:
    search.max_budget_nano = 5
    services.update_limits(search, actor=MASTER)
    search.raise_nano, search.raise_until = 5, NOON
    services.update_limits(search, actor=MASTER)
    assert epoch() == 2


def test_another_time_zone_makes_other_windows(organization: Organization) -> None:
    organization.timezone = "Asia/Kathmandu"
    services.update_limits(organization, actor=MASTER)
    assert epoch() == 2


def test_a_shared_budget_fills_what_a_scope_leaves_open(search: Team) -> None:
    shared = SharedBudget.objects.create(
        public_id="gold", max_budget_nano=100, soft_budget_nano=50, budget_duration="30d", rpm_limit=10,
        budget_limits=[{"duration": "1d", "max_nano": 9}],
        model_limits={"a": {"max_nano": 1}, "b": {"rpm": 2}},
    )  # fmt: skip
    search.shared_budget = shared
    search.max_budget_nano, search.tpm_limit, search.model_limits = 7, 3, {"a": {"tpm": 4}}
    assert (search.effective("rpm_limit"), search.effective("tpm_limit")) == (10, 3)
    assert search.limits_by_model == {"a": {"tpm": 4}, "b": {"rpm": 2}}
    assert [(b.duration, b.limit_nano, b.soft_nano, b.model) for b in search.budgets()] == [
        ("30d", 7, 50, ""), ("1d", 9, None, ""),
    ]  # fmt: skip
    assert search.budgets()[0].anchor == shared.budget_started_at
