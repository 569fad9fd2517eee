"""Rollups are sums of the ledger: for every window, whatever its edges, both give the same."""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Sum

from keys.models import VirtualKey
from spend import rollups, services
from spend.models import LedgerEntry, Rollup
from teams.windows import window_at
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
    load = rollups.load_counter(key.scope, f"{key.scope}|lifetime", None, None)
    assert load.spent_nano == rollups.spent_between(key.scope, None, None)
    assert load.pending == ((pending.hold_id, 77, pending.lease_until.timestamp()),)
    assert rollups.load_counter(key.scope, "another window", None, None).pending == ()


@pytest.mark.parametrize("minute", [0, 14, 15, 59])
def test_quarters_are_those_of_the_clock(minute: int) -> None:
    at = datetime(2026, 3, 29, 5, minute, 59, 999, tzinfo=ZoneInfo("Asia/Kathmandu"))
    assert rollups.quarter_of(at).minute % 15 == 0
    assert timedelta(0) <= at - rollups.quarter_of(at) < timedelta(minutes=15)
