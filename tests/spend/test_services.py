from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from keys.models import VirtualKey
from spend import models, rollups, services
from spend.models import Hold, LedgerEntry, Rollup
from spend.rows import attribution_of
from spend.wire import ESTIMATED, Crossing
from teams.actors import MASTER
from teams.models import AuditEvent, Organization, User
from teams.reach import caller_of
from tests.factories import NOON, intent_for, issue, posting_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> VirtualKey:
    return issue(alias="billing")[0]


def charged(key: VirtualKey, amount_nano: int = 600, at: datetime = NOON) -> LedgerEntry:
    """A call that was held, posted and is in the ledger."""
    intent = intent_for(key, amount_nano=max(amount_nano, 1000), at=at)
    assert services.write_intents([intent]) == [True]
    services.post([posting_of(intent, amount_nano)], now=at)
    return LedgerEntry.objects.get(hold=intent.hold_id)


def test_an_intent_is_a_pending_hold_before_anything_is_sent(key: VirtualKey) -> None:
    intent = intent_for(key, amount_nano=1234)
    assert services.write_intents([intent]) == [True]
    hold = Hold.objects.get(pk=intent.hold_id)
    assert (hold.state, hold.amount_nano, hold.key_id) == (Hold.State.PENDING, 1234, key.pk)
    assert not LedgerEntry.objects.exists()


def test_an_intent_of_an_older_epoch_is_refused_and_its_neighbours_are_not(key: VirtualKey) -> None:
    stale, current = intent_for(key, epoch=0), intent_for(key)
    assert services.write_intents([stale, current]) == [False, True]
    assert list(Hold.objects.values_list("pk", flat=True)) == [current.hold_id]


@pytest.mark.parametrize("number", [5, 64, 130])
def test_of_many_intents_each_becomes_one_hold(key: VirtualKey, number: int) -> None:
    intents = [intent_for(key) for _ in range(number)]
    assert services.write_intents(intents) == [True] * number
    assert set(Hold.objects.values_list("pk", flat=True)) == {intent.hold_id for intent in intents}


def test_a_posting_closes_the_hold_and_writes_one_entry(key: VirtualKey) -> None:
    entry = charged(key, 600)
    assert entry.hold.state == Hold.State.POSTED
    assert (entry.amount_nano, entry.input_tokens, entry.output_tokens, entry.overrun) == (600, 7, 5, False)
    assert (entry.token, entry.key, entry.admitted_at) == (key.token, key, NOON)


def test_post_is_idempotent(key: VirtualKey) -> None:
    intent = intent_for(key)
    services.write_intents([intent])
    answers = [services.post([posting_of(intent, amount)], now=NOON) for amount in (600, 600, 999)]
    assert answers == [{intent.hold_id: 600}] * 3
    assert LedgerEntry.objects.get().amount_nano == 600
    assert rollups.spent_between(key.scope, None, None) == 600


def test_two_postings_of_one_hold_in_one_batch_charge_once(key: VirtualKey) -> None:
    intent = intent_for(key)
    services.write_intents([intent])
    services.post([posting_of(intent, 600), posting_of(intent, 600)], now=NOON)
    assert LedgerEntry.objects.count() == 1


def test_a_hold_that_bought_nothing_is_void_and_costs_nothing(key: VirtualKey) -> None:
    intent = intent_for(key)
    services.write_intents([intent])
    assert services.post([posting_of(intent, None)], now=NOON) == {intent.hold_id: 0}
    assert Hold.objects.get().state == Hold.State.VOID
    assert services.post([posting_of(intent, 600)], now=NOON) == {intent.hold_id: 0}
    assert not LedgerEntry.objects.exists()


def test_a_charge_above_its_hold_says_so(key: VirtualKey) -> None:
    intent = intent_for(key, amount_nano=10)
    services.write_intents([intent])
    services.post([posting_of(intent, 11, usage_source=ESTIMATED)], now=NOON)
    assert LedgerEntry.objects.get().overrun


def test_a_posting_without_a_hold_charges_nothing(key: VirtualKey) -> None:
    assert services.post([posting_of(intent_for(key), 600)], now=NOON) == {}
    assert not LedgerEntry.objects.exists()


def test_the_sweeper_charges_an_orphan_once_and_says_it_is_an_estimate(key: VirtualKey) -> None:
    intent = intent_for(key, amount_nano=1234)
    services.write_intents([intent])
    late = intent.lease_until + timedelta(seconds=1)
    assert services.post_orphans([intent.hold_id], now=intent.lease_until) == []
    assert services.late_holds(now=late) == [(intent.hold_id, key.organization_id, intent.epoch)]
    assert [services.post_orphans([intent.hold_id], now=late) for _ in range(2)] == [[intent.hold_id], []]
    assert services.late_holds(now=late) == []
    entry = LedgerEntry.objects.get()
    assert (entry.amount_nano, entry.usage_source) == (1234, LedgerEntry.UsageSource.ORPHAN)
    assert services.post([posting_of(intent, 5)], now=late) == {intent.hold_id: 1234}


def test_a_renewed_lease_keeps_the_sweeper_away(key: VirtualKey) -> None:
    intent = intent_for(key)
    services.write_intents([intent])
    services.renew_leases([intent.hold_id], until=NOON + timedelta(hours=1))
    assert services.late_holds(now=NOON + timedelta(minutes=59)) == []
    assert services.post_orphans([intent.hold_id], now=NOON + timedelta(minutes=59)) == []


def test_a_tombstone_keeps_a_late_worker_from_writing_its_intent(key: VirtualKey) -> None:
    intent, neighbour = intent_for(key), intent_for(key)
    assert services.tombstone(intent.hold_id, organization_pk=key.organization_id, amount_nano=1000, now=NOON)
    assert services.write_intents([intent, neighbour]) == [False, True]
    assert services.post([posting_of(intent, 600)], now=NOON) == {intent.hold_id: 0}


def test_a_tombstone_loses_against_an_intent(key: VirtualKey) -> None:
    intent = intent_for(key)
    services.write_intents([intent])
    assert not services.tombstone(intent.hold_id, organization_pk=key.organization_id, amount_nano=1000, now=NOON)
    assert Hold.objects.get().state == Hold.State.PENDING


def test_a_correction_is_a_new_entry_that_every_sum_includes(key: VirtualKey, organization: Organization) -> None:
    entry = charged(key, 600)
    services.correct(entry, -200, reason="the provider refunded", actor=MASTER, now=NOON + timedelta(days=3))
    entry.refresh_from_db()
    assert entry.amount_nano == 600
    assert rollups.spent_between(key.scope, NOON, NOON + timedelta(seconds=30)) == 400
    assert services.settled_amounts({entry.hold_id}) == {entry.hold_id: 400}
    assert AuditEvent.objects.get(action="ledger.corrected").after["reason"] == "the provider refunded"
    assert Rollup.objects.get(scope=key.scope).requests == 1


def test_only_one_raises_an_epoch(organization: Organization) -> None:
    assert services.raise_epoch(organization.pk, seen=1) == (2, True)
    assert services.raise_epoch(organization.pk, seen=1) == (2, False)


def test_the_database_refuses_to_rewrite_the_ledger(key: VirtualKey) -> None:
    entry = charged(key)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        LedgerEntry.objects.filter(pk=entry.pk).update(amount_nano=0)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        entry.delete()


def test_the_database_refuses_a_second_charge_of_a_hold(key: VirtualKey) -> None:
    entry = charged(key)
    entry.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.save(force_insert=True)


@pytest.mark.parametrize("field", ["amount_nano", "input_tokens", "output_tokens", "cached_tokens"])
def test_the_database_refuses_negative_charges_and_tokens(key: VirtualKey, field: str) -> None:
    intent = intent_for(key)
    services.write_intents([intent])
    values = {"amount_nano": 1, "usage_source": "upstream", "finished_at": NOON, field: -1}
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerEntry.objects.create(hold_id=intent.hold_id, **attribution_of(Hold.objects.get()), **values)


def test_the_database_refuses_an_entry_without_a_hold(key: VirtualKey) -> None:
    entry = charged(key)
    entry.pk, entry.hold_id = None, None
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.save(force_insert=True)


def test_the_database_refuses_a_negative_hold_and_one_without_a_key(key: VirtualKey) -> None:
    for wrong in ({"amount_nano": -1}, {"key_id": None}, {"state": "lost"}):
        services.write_intents([intent := intent_for(key)])
        with pytest.raises(IntegrityError), transaction.atomic():
            Hold.objects.filter(pk=intent.hold_id).update(**wrong)


def test_people_read_the_entries_of_their_own_keys(key: VirtualKey, ada: User, linus: User) -> None:
    own, _ = issue(user=linus)
    charged(key)
    mine = charged(own)
    assert set(LedgerEntry.objects.all().visible_to(caller_of(linus))) == {mine}
    assert LedgerEntry.objects.all().visible_to(caller_of(ada)).count() == 2
    assert datetime.now(UTC) >= mine.posted_at


def test_a_crossed_soft_budget_is_noted_once_per_window(key: VirtualKey) -> None:
    first = Crossing(key.scope, f"{key.scope}|1d@1", 500)
    services.note_crossings([first, first, Crossing(key.scope, f"{key.scope}|1d@2", 500)], now=NOON)
    services.note_crossings([first], now=NOON + timedelta(hours=1))
    rows = models.Crossing.objects.order_by("pk").values_list("scope", "counter", "kind", "amount_nano", "at")
    assert list(rows) == [
        (key.scope, f"{key.scope}|1d@1", "soft", 500, NOON),
        (key.scope, f"{key.scope}|1d@2", "soft", 500, NOON),
    ]
