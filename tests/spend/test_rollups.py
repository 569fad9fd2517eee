"""Rollups are sums of the ledger: for every window, whatever its edges, both give the same."""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Sum

from keys.models import VirtualKey
from spend import rollups, services
from spend.models import LedgerEntry, Rollup
from spend.wire import CounterRef
from teams.windows import Window, window_at
from tests.factories import NOON, intent_for, issue, posting_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> VirtualKey:
    """A key with two hundred calls around the change to summer time in Berlin."""
    key, _ = issue()
    chance, postings = random.Random(7), []
    for _ in range(200):
        at = datetime(2026, 3, 28, 22, tzinfo=UTC) + timedelta(seconds=chance.randrange(30 * 3600))
        postings.append(posting_of(intent_for(key, at=at), chance.randrange(1, 1000)))
    services.write_intents([posting.intent for posting in postings])
    services.post(postings, now=NOON)
    return key


def ledger_sum(start: datetime, end: datetime) -> int:
    entries = LedgerEntry.objects.filter(admitted_at__gte=start, admitted_at__lt=end)
    return entries.aggregate(total=Sum("amount_nano"))["total"] or 0


def test_a_window_may_be_open_at_either_end(key: VirtualKey) -> None:
    middle, everything = datetime(2026, 3, 29, 10, 7, tzinfo=UTC), rollups.spent_between(key.scope, None, None)
    before, after = (rollups.spent_between(key.scope, *ends) for ends in ((None, middle), (middle, None)))
    assert before == ledger_sum(datetime(2026, 3, 1, tzinfo=UTC), middle) > 0
    assert (after > 0, before + after) == (True, everything)


def test_rollups_add_up_to_the_ledger(key: VirtualKey) -> None:
    for scope in (key.scope, key.organization.scope):
        rows = Rollup.objects.filter(scope=scope).aggregate(Sum("amount_nano"), Sum("requests"), Sum("input_tokens"))
        assert rows == {
            "amount_nano__sum": LedgerEntry.objects.aggregate(total=Sum("amount_nano"))["total"],
            "requests__sum": 200,
            "input_tokens__sum": 1400,
        }
        assert rollups.spent_between(scope, None, None) == rows["amount_nano__sum"]


@pytest.mark.parametrize("duration", ["30s", "7m", "15m", "1h", "5h", "1d", "1mo"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu"])
def test_every_window_has_the_sum_of_its_entries(key: VirtualKey, duration: str, zone: str) -> None:
    for entry in LedgerEntry.objects.order_by("pk")[:40]:
        window = window_at(duration, entry.admitted_at, zone=ZoneInfo(zone), anchor=NOON)
        assert window.start is not None
        assert window.end is not None
        expected = ledger_sum(window.start, window.end)
        assert expected >= entry.amount_nano
        assert rollups.spent_between(key.scope, window.start, window.end) == expected
        assert rollups.counted_by_slice(CounterRef(key.scope, "*", window)) == {0: expected}


def test_days_add_up_to_the_whole_across_the_clock_change(key: VirtualKey) -> None:
    at, total = datetime(2026, 3, 28, 12, tzinfo=UTC), 0
    while at < datetime(2026, 3, 31, tzinfo=UTC):
        day = window_at("1d", at, zone=ZoneInfo("Europe/Berlin"), anchor=NOON)
        total += rollups.spent_between(key.scope, day.start, day.end)
        assert day.end is not None
        at = day.end
    assert total == rollups.spent_between(key.scope, None, None)


def test_a_counter_is_loaded_with_what_is_spent_and_what_is_pending(key: VirtualKey) -> None:
    pending = intent_for(key, amount_nano=77)
    services.write_intents([pending])
    load = rollups.load_counter(CounterRef(key.scope, "", Window("", None, None)))
    assert load.spent == ((0, rollups.spent_between(key.scope, None, None)),)
    assert load.pending == ((pending.hold_id, 77, pending.lease_until.timestamp(), 0),)


def test_a_window_that_got_a_budget_later_knows_the_calls_that_are_still_open(key: VirtualKey) -> None:
    pending = intent_for(key, amount_nano=77, counters=())
    services.write_intents([pending])
    day = window_at("1d", NOON, zone=ZoneInfo("UTC"), anchor=NOON)
    other = window_at("1d", NOON + timedelta(days=1), zone=ZoneInfo("UTC"), anchor=NOON)
    for model, window, amounts in [("", day, [77]), ("de*", day, [77]), ("gpt", day, []), ("", other, [])]:
        load = rollups.load_counter(CounterRef(key.scope, model, window))
        assert [amount for _, amount, _, _ in load.pending] == amounts


def test_a_window_per_model_counts_its_models_alone(db: None) -> None:
    key, _ = issue()
    for model, amount in [("gpt-4o", 5), ("gpt-4o-mini", 7), ("o3", 11)]:
        intent = intent_for(key, model=model)
        services.write_intents([intent])
        services.post([posting_of(intent, amount)], now=NOON)
    for entry, total in [("gpt-4o", 5), ("gpt-*", 12), ("*", 23), ("o1", 0)]:
        load = rollups.load_counter(CounterRef(key.scope, entry, Window("", None, None)))
        assert sum(amount for _, amount in load.spent) == total


@pytest.mark.parametrize("duration", ["rolling 24h", "rolling 1h"])
def test_a_rolling_window_is_loaded_by_slices(db: None, duration: str) -> None:
    key, _ = issue()
    window = window_at(duration, NOON, zone=ZoneInfo("UTC"), anchor=NOON)
    assert window.start is not None
    length = timedelta(seconds=window.slice_seconds)
    for at, amount in [(NOON, 1), (NOON - length, 2), (window.start, 4), (window.start - length, 8)]:
        intent = intent_for(key, at=at)
        services.write_intents([intent])
        services.post([posting_of(intent, amount)], now=NOON)
    load = rollups.load_counter(CounterRef(key.scope, "", window))
    assert load.spent == (
        (window.first_slice, 4), (window.slice_of(NOON) - 1, 2), (window.slice_of(NOON), 1)
    )  # fmt: skip


@pytest.mark.parametrize("minute", [0, 14, 15, 59])
def test_quarters_are_those_of_the_clock(minute: int) -> None:
    at = datetime(2026, 3, 29, 5, minute, 59, 999, tzinfo=ZoneInfo("Asia/Kathmandu"))
    assert rollups.quarter_of(at).minute % 15 == 0
    assert timedelta(0) <= at - rollups.quarter_of(at) < timedelta(minutes=15)
