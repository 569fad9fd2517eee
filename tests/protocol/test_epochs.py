"""Orders of events that once got past a budget, with two workers, real scripts and a real counter store."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import TestCase

from keys.models import VirtualKey
from keys.services import update_key
from proxy import drift
from proxy.sweeper import sweep
from spend import services
from spend.models import Hold, LedgerEntry
from spend.wire import ORPHAN
from teams.actors import MASTER
from teams.models import Organization
from teams.services import create_organization
from tests.factories import posting_of
from tests.protocol.books_and_store import StoreView
from tests.protocol.house import LEASE, PER_TOKEN, START, House, change
from tests.protocol.worker import Server, Worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def counters(house: House) -> Iterator[StoreView]:
    view = StoreView(house.scopes[0].pk)
    yield view
    view.close()


def test_a_raiser_publishes_what_it_raised_whatever_stands_a_moment_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = house.scopes[0]
    assert isinstance(organization, Organization)
    seen = services.current_epoch(organization.pk)
    monkeypatch.setattr(services, "current_epoch", lambda pk: seen + 7)
    assert services.raise_epoch(organization.pk, seen=seen) == (seen + 1, True)
    assert services.raise_epoch(organization.pk, seen=seen) == (seen + 7, False)


def test_a_grant_read_before_a_new_window_holds_nothing_in_the_epoch_after_it(
    house: House, server: Server, workers: list[Worker]
) -> None:
    """The store is lost, and with it the scopes' versions; another worker agrees on a new epoch for another key."""
    key, token = house.scopes[-1], house.tokens[-1]
    assert workers[1].hold(token, 1)
    server.client.flushall()
    server.run_id = "run-2"
    change(key, heard=False, now=START, budget_limits=[{"duration": "1h", "max_nano": 5 * PER_TOKEN}])
    assert workers[0].hold(house.tokens[0], 1)
    held = workers[1].hold(token, 1)
    assert held is not None
    assert "1h" in [line.ref.window.duration for line in held.lines]


def test_a_counter_that_vanished_alone_is_not_read_beside_a_hold_whose_intent_is_under_way(
    house: House, workers: list[Worker], counters: StoreView
) -> None:
    """Its intent, if it came through, would be missing in the counter that was read without it."""
    token = house.tokens[0]
    slow = workers[0].hold_slowly(token, 8)
    assert slow is not None
    for name in counters.names():
        counters.delete(name)
    assert workers[1].hold(token, 8) is not None
    assert slow.worker.resume(slow) is not None
    assert Hold.objects.filter(state=Hold.State.PENDING).count() == 2
    assert not Hold.objects.filter(pk=slow.intent.hold_id).exists()
    assert workers[1].hold(token, 8) is None


def test_fast_calls_in_flight_count_in_the_epoch_after_theirs(house: House, fast_workers: list[Worker]) -> None:
    """Only the counter store knows of them: SQL takes them over before a counter is read without them."""
    key, token = house.scopes[-1], house.tokens[-1]
    held = fast_workers[0].hold(token, 8)
    assert held is not None
    assert not Hold.objects.exists()
    change(key, heard=True, now=START, budget_limits=[{"duration": "1h", "max_nano": 12 * PER_TOKEN}])
    assert fast_workers[1].hold(token, 8) is None
    assert Hold.objects.get().pk == held.intent.hold_id


def test_a_fast_call_whose_worker_died_in_an_epoch_that_ended_is_charged(
    house: House, fast_workers: list[Worker]
) -> None:
    held = fast_workers[0].hold(house.tokens[0], 8)
    assert held is not None
    change(house.scopes[1], heard=True, now=START, budget_duration="1d")
    sweep(now=START + timedelta(seconds=2 * LEASE))
    entry = LedgerEntry.objects.get()
    assert (entry.hold_id, entry.amount_nano, entry.usage_source) == (held.intent.hold_id, 8 * PER_TOKEN, ORPHAN)


def test_a_fast_call_in_an_epoch_that_ended_is_not_charged_while_its_worker_renews_the_lease(
    house: House, fast_workers: list[Worker]
) -> None:
    held = fast_workers[0].hold(house.tokens[0], 8)
    assert held is not None
    change(house.scopes[1], heard=True, now=START, budget_duration="1d")
    fast_workers[0].run(fast_workers[0].releases.renew([held], START + timedelta(seconds=5 * LEASE)))
    sweep(now=START + timedelta(seconds=2 * LEASE))
    assert not LedgerEntry.objects.exists()


def test_a_call_that_is_settled_after_its_epoch_ended_leaves_nothing_in_the_store(
    house: House, fast_workers: list[Worker], counters: StoreView
) -> None:
    held = fast_workers[0].hold(house.tokens[-1], 8)
    assert held is not None
    change(house.scopes[-1], heard=True, now=START, budget_limits=[{"duration": "1h", "max_nano": 12 * PER_TOKEN}])
    cost = fast_workers[0].post(posting_of(held.intent, 3 * PER_TOKEN))[held.intent.hold_id]
    assert fast_workers[0].settle(held, cost, 3)
    assert list(counters.raw.scan_iter("*:holds")) == list(counters.raw.scan_iter("*:hold:*")) == []


def test_a_fast_hold_that_is_taken_back_after_its_epoch_ended_is_void_in_sql_as_well(
    house: House, fast_workers: list[Worker], counters: StoreView
) -> None:
    """It was never sent, but SQL was given it for the new epoch, and would charge it when its lease is over."""
    key, (lost, other) = house.scopes[-1], fast_workers
    before = other.hold(house.tokens[-1], 1)
    lost.store.loses_reply = ""
    assert before is not None
    assert lost.hold(house.tokens[-1], 4) is None
    change(key, heard=True, now=START, budget_limits=[{"duration": "1h", "max_nano": 30 * PER_TOKEN}])
    after = other.hold(house.tokens[-1], 2)
    assert after is not None
    assert _states() == {1: Hold.State.PENDING, 4: Hold.State.PENDING}
    lost.catch_up()
    assert _states() == {1: Hold.State.PENDING, 4: Hold.State.VOID}
    assert counters.open_holds() == 2
    sweep(now=START + timedelta(seconds=2 * LEASE))
    assert sorted(entry.amount_nano for entry in LedgerEntry.objects.all()) == [PER_TOKEN, 2 * PER_TOKEN]


def _states() -> dict[int, str]:
    """State of each hold in SQL, by the tokens that were held."""
    return {nano // PER_TOKEN: state for nano, state in Hold.objects.values_list("amount_nano", "state")}


def test_a_fast_call_that_the_store_forgot_is_counted_once_it_is_posted(
    house: House, server: Server, fast_workers: list[Worker]
) -> None:
    """Counters were read from the ledger while nobody knew of the call: they are read once more."""
    token = house.tokens[-1]
    held = fast_workers[0].hold(token, 8)
    assert held is not None
    server.client.flushall()
    assert fast_workers[1].hold(token, 8) is not None
    fast_workers[0].post(posting_of(held.intent, 8 * PER_TOKEN))
    fast_workers[1].follow_changes()
    assert fast_workers[1].hold(token, 8) is None


def test_a_fast_call_in_flight_is_not_taken_for_drift(house: House, fast_workers: list[Worker]) -> None:
    assert fast_workers[0].hold(house.tokens[0], 8) is not None
    assert drift.mend(now=START, pause=lambda _: None) == 0


@pytest.mark.parametrize("heard", [True, False])
def test_a_key_that_moves_to_another_organization_spends_its_budget_once(
    house: House, workers: list[Worker], *, heard: bool
) -> None:
    key, token = house.scopes[-1], house.tokens[-1]
    assert isinstance(key, VirtualKey)
    change(key, heard=True, now=START, max_budget_nano=20 * PER_TOKEN)
    sent, slow = workers[0].hold(token, 8), workers[1].hold_slowly(token, 8)
    assert sent is not None and slow is not None
    key.refresh_from_db()
    key.organization = create_organization(Organization(name="new home"), actor=MASTER)
    with TestCase.captureOnCommitCallbacks(execute=heard):
        update_key(key, actor=MASTER, now=START)
    held = workers[1].resume(slow)
    assert held is not None and held.intent.owners.organization_id == key.organization_id
    assert [workers[i].hold(token, 5) for i in (0, 1)] == [None, None]
    assert workers[0].hold(token, 4) is not None
