"""Limits of all organizations together: where they come from, and what a change of them announces."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from keys.loading import load_grants
from spend import rollups, services
from spend.wire import CounterRef
from teams import platform_services
from teams.actors import MASTER, SYSTEM
from teams.models import AuditEvent, Organization, PolicyChange
from teams.platform_rules import BadPlatformRule, read_platform
from teams.scopes import PLATFORM, PLATFORM_SCOPE
from teams.services import create_organization
from teams.windows import Window
from tests.factories import intent_for, issue, posting_of

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def test_the_file_names_a_budget_its_period_and_calls_at_once() -> None:
    general = {"max_parallel_requests": 7, "global_max_parallel_requests": 5}
    found = read_platform({"max_budget": 100.25, "budget_duration": "30d"}, general)
    assert found == {"max_budget_nano": 100_250_000_000, "budget_duration": "30d", "max_parallel_requests": 5}
    assert read_platform({}, {}) == {}


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("litellm", "max_budget", 0), ("litellm", "max_budget", -1), ("litellm", "max_budget", True),
        ("litellm", "max_budget", "100"), ("litellm", "max_budget", float("nan")), ("litellm", "max_budget", 9e9),
        ("litellm", "max_budget", 1e-10), ("litellm", "budget_duration", "1d"),
        ("general", "max_parallel_requests", 0), ("general", "global_max_parallel_requests", True),
    ],
)  # fmt: skip
def test_a_limit_that_cannot_be_kept_stops_the_start(section: str, name: str, value: Any) -> None:
    sections: dict[str, dict[str, Any]] = {"litellm": {}, "general": {}}
    sections[section][name] = value
    with pytest.raises(BadPlatformRule, match=name):
        read_platform(sections["litellm"], sections["general"])


def test_a_period_that_is_none_stops_the_start() -> None:
    with pytest.raises(BadPlatformRule, match="budget_duration"):
        read_platform({"max_budget": 1, "budget_duration": "soon"}, {})


@pytest.mark.django_db
def test_the_file_wins_at_every_start_and_takes_back_what_it_no_longer_says() -> None:
    row = platform_services.platform()
    row.rpm_limit = 9
    platform_services.update_platform(row, actor=MASTER)
    for _ in range(2):
        said = {"max_budget_nano": 5, "budget_duration": "1d"}
        row = platform_services.apply_file(said, zone="Asia/Kathmandu", actor=SYSTEM, now=NOW)
    assert (row.max_budget_nano, row.budget_duration, row.rpm_limit, row.timezone) == (5, "1d", 9, "Asia/Kathmandu")
    assert AuditEvent.objects.filter(action="platform.updated").count() == 2, "loading it twice changes nothing"
    row = platform_services.apply_file({"max_parallel_requests": 3}, zone="", actor=SYSTEM, now=NOW)
    assert (row.max_budget_nano, row.budget_duration, row.rpm_limit, row.max_parallel_requests) == (None, "", 9, 3)
    assert row.timezone == "Asia/Kathmandu"


@pytest.mark.django_db
def test_new_windows_end_every_epoch_and_new_amounts_none() -> None:
    create_organization(Organization(name="other"), actor=MASTER)

    def epochs() -> list[int]:
        return [services.current_epoch(pk) for pk in (PLATFORM, *Organization.objects.values_list("pk", flat=True))]

    before = epochs()
    row = platform_services.platform()
    row.max_budget_nano = 5
    row = platform_services.update_platform(row, actor=MASTER)
    assert epochs() == [epoch + 1 for epoch in before]
    row.max_budget_nano, row.rpm_limit = 7, 100
    row = platform_services.update_platform(row, actor=MASTER)
    assert epochs() == [epoch + 1 for epoch in before]
    assert PolicyChange.objects.filter(scope=PLATFORM_SCOPE).count() == 3
    row.timezone = "Europe/Berlin"
    platform_services.update_platform(row, actor=MASTER)
    assert epochs() == [epoch + 2 for epoch in before]


@pytest.mark.django_db
def test_limits_that_make_no_sense_are_refused() -> None:
    row = platform_services.platform()
    row.max_budget_nano = -1
    with pytest.raises(ValidationError):
        platform_services.update_platform(row, actor=MASTER)
    assert platform_services.platform().max_budget_nano is None


@pytest.mark.django_db
def test_a_grant_names_the_platform_only_where_it_limits_something() -> None:
    key, _ = issue()
    assert load_grants([key.token])[key.token].platform is None
    row = platform_services.platform()
    row.model_limits = {"gpt-4o": {"rpm": 5}}
    platform_services.update_platform(row, actor=MASTER)
    policy = load_grants([key.token])[key.token].platform
    assert policy is not None
    assert (policy.scope, policy.version, policy.model_rates[0].rpm_limit) == (PLATFORM_SCOPE, 2, 5)


@pytest.mark.django_db
@pytest.mark.parametrize("start", [None, datetime(2026, 3, 10, 11, 7, tzinfo=UTC)])
def test_its_counter_is_the_sum_of_all_organizations_and_what_is_pending_there(start: datetime | None) -> None:
    keys = [issue()[0], issue(organization=create_organization(Organization(name="other"), actor=MASTER))[0]]
    for number, key in enumerate(keys):
        open_call, done = intent_for(key, amount_nano=7, at=NOW), intent_for(key, amount_nano=9, at=NOW)
        assert services.write_intents([open_call, done]) == [True, True]
        services.post([posting_of(done, 3 + number)], now=NOW)
    end = None if start is None else datetime(2026, 3, 10, 12, 1, tzinfo=UTC)
    window = Window("" if start is None else "1h", start, end)
    load = rollups.load_counter(CounterRef(PLATFORM_SCOPE, "", window))
    assert load.spent == ((0, 7),)
    assert sum(amount for _, amount, _, _ in load.pending) == 14
    assert rollups.load_counter(CounterRef(PLATFORM_SCOPE, "other/*", window)).spent == ((0, 0),)


@pytest.mark.django_db
def test_an_intent_needs_the_platforms_epoch_where_it_names_one() -> None:
    key, _ = issue()
    stands = services.current_epoch(PLATFORM)
    intents = [intent_for(key, platform_epoch=epoch) for epoch in (stands, stands - 1, None)]
    assert services.write_intents(intents) == [True, False, True]
