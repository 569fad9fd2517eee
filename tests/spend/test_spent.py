"""What many scopes have spent in all of their windows, read with a fixed number of queries."""

from datetime import timedelta
from typing import Any

import pytest

from keys.models import VirtualKey
from spend import services as ledger
from spend.spent import Stretch, spent_by_window, spent_in, spent_now
from teams.models import Organization
from tests.factories import NOON, intent_for, issue, posting_of

pytestmark = pytest.mark.django_db

FIELDS = {
    "max_budget_nano": 10**6, "budget_duration": "30d",
    "budget_limits": [{"duration": "1d", "max_nano": 5}, {"duration": "rolling 1h", "max_nano": 5}],
    "model_limits": {"openai/*": {"max_nano": 5, "duration": "1d"}, "*": {"max_nano": 5}},
}  # fmt: skip


def spend(key: VirtualKey, nano: int, model: str, ago: timedelta) -> None:
    intent = intent_for(key, at=NOON - ago, model=model)
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, nano)], now=NOON)


def test_every_window_counts_its_own_stretch_and_models(organization: Organization) -> None:
    key, _ = issue(**FIELDS)
    spend(key, 1, "openai/gpt-4o", timedelta(minutes=5))
    spend(key, 20, "demo", timedelta(minutes=50))
    spend(key, 300, "openai/gpt-4o", timedelta(hours=3))
    spend(key, 4000, "openai/gpt-4o", timedelta(days=3))
    spend(key, 50_000, "demo", timedelta(days=40))
    assert spent_by_window([key], now=NOON) == {
        (key.scope, "", "30d"): 4321,
        (key.scope, "", "1d"): 321,
        (key.scope, "", "rolling 1h"): 21,
        (key.scope, "openai/*", "1d"): 301,
        (key.scope, "*", ""): 54_321,
    }
    assert spent_now([key], now=NOON) == {key.scope: 4321}


def test_a_stretch_that_starts_within_a_quarter_of_an_hour_is_exact(organization: Organization) -> None:
    key, _ = issue()
    for minutes in range(20):
        spend(key, 1, "a" if minutes % 2 else "b", timedelta(minutes=minutes))
    start = NOON - timedelta(minutes=17)
    spent = spent_in([Stretch(key.scope, start), Stretch(key.scope, start, "a")])
    assert list(spent.values()) == [18, 9]


def test_the_number_of_queries_does_not_grow_with_the_rows(
    organization: Organization, django_assert_max_num_queries: Any
) -> None:
    keys = [issue(**FIELDS)[0] for _ in range(12)]
    for key in keys:
        spend(key, 1, "demo", timedelta(minutes=7))
    keys = list(VirtualKey.objects.live().with_owners())
    with django_assert_max_num_queries(8):
        assert sum(spent_by_window(keys, now=NOON).values()) == 12 * 4
