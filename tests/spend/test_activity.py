"""Activity per day is a sum of the ledger, whichever way an entry comes about."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Model, Sum

from keys.models import VirtualKey
from spend import services
from spend.activity import SUMS
from spend.daily import KINDS
from spend.models import Activity, DailyTotal, Hold, LedgerEntry
from teams.actors import MASTER
from teams.models import Team, User
from tests.factories import NOON, intent_for, issue, posting_of

pytestmark = pytest.mark.django_db
MIDNIGHT = datetime(2026, 3, 11, tzinfo=UTC)


@pytest.fixture
def key(search: Team, grace: User) -> VirtualKey:
    """A key of a team's member with charges on two days, an orphan, a correction, and a call that failed."""
    key, _ = issue(team=search, user=grace)
    at = (NOON, MIDNIGHT - timedelta(microseconds=1), MIDNIGHT)
    charged = [posting_of(intent_for(key, at=each, tags=("a", "b")), 10**n) for n, each in enumerate(at)]
    failed = posting_of(intent_for(key, tags=("a",), upstream_model="broken"), None)
    orphan = intent_for(key, amount_nano=7000, lease_until=NOON)
    services.write_intents([*(each.intent for each in (*charged, failed)), orphan])
    services.post([*charged, failed], now=NOON)
    services.post_orphans([orphan.hold_id], now=NOON + timedelta(seconds=1))
    services.correct(LedgerEntry.objects.get(amount_nano=100), -30, reason="refund", actor=MASTER, now=MIDNIGHT)
    return key


def rows(model: type[Model] = Activity) -> list[tuple[object, ...]]:
    names = [field.name for field in model._meta.concrete_fields if field.name != "id"]
    return sorted(model._default_manager.values_list(*names))


def test_it_adds_up_to_the_ledger(key: VirtualKey) -> None:
    every = Activity.objects.filter(tag="")
    of_ledger = LedgerEntry.objects.filter(kind="charge").count()
    sums = every.aggregate(nano=Sum("amount_nano"), calls=Sum("requests"), tokens=Sum("input_tokens"))
    assert sums["nano"] == LedgerEntry.objects.aggregate(total=Sum("amount_nano"))["total"] == 111 + 7000 - 30
    assert sums["calls"] == of_ledger == 4
    assert sums["tokens"] == LedgerEntry.objects.aggregate(total=Sum("input_tokens"))["total"]
    assert {row.day.day: row.amount_nano for row in every.filter(requests__gt=0)} == {10: 7011, 11: 70}


def test_each_tag_counts_every_call_that_has_it(key: VirtualKey) -> None:
    sums = Activity.objects.exclude(tag="").values_list("tag").annotate(Sum("amount_nano"), Sum("requests"))
    assert sorted(sums) == [("a", 81, 3), ("b", 81, 3)]


def failures() -> dict[str, int]:
    sums = Activity.objects.filter(failed_requests__gt=0).values_list("tag").annotate(Sum("failed_requests"))
    totals = DailyTotal.objects.aggregate(failed=Sum("failed_requests"))
    assert totals["failed"] == dict(sums)[""] == Hold.objects.failed().count()
    return dict(sums)


def test_an_attempt_that_failed_counts_once_however_often_it_is_reported(key: VirtualKey) -> None:
    assert failures() == {"": 1, "a": 1}
    again, charged = posting_of(intent_for(key, tags=("a",)), None), posting_of(intent_for(key), 5)
    services.write_intents([again.intent, charged.intent])
    for _ in range(2):
        assert services.post([again, charged], now=NOON)[again.intent.hold_id] == 0
    assert failures() == {"": 2, "a": 2}


def test_an_attempt_that_failed_before_the_books_heard_of_it_counts_unless_it_was_given_up(key: VirtualKey) -> None:
    known, buried, given_up = (posting_of(intent_for(key), None) for _ in range(3))
    services.write_intents([known.intent])
    services.tombstone(
        given_up.intent.hold_id, organization_pk=key.organization_id, amount_nano=1, now=NOON + timedelta(minutes=1)
    )
    for _ in range(2):
        stands = services.post([known, buried, given_up], now=NOON)
        assert stands == dict.fromkeys((p.intent.hold_id for p in (known, buried, given_up)), 0)
    assert failures() == {"": 3, "a": 1}


def test_owners_are_those_of_the_entry(key: VirtualKey, search: Team, grace: User) -> None:
    owners = Activity.objects.values_list("key_id", "team_id", "user_id", "organization_id", "customer_id").distinct()
    assert list(owners) == [(key.pk, search.pk, grace.pk, key.organization_id, 0)]


def test_totals_are_the_sums_of_activity(key: VirtualKey) -> None:
    own = issue(user=User.objects.get(pk=key.user_id))[0]
    services.write_intents([intent := intent_for(own)])
    services.post([posting_of(intent, 5)], now=NOON)
    sums = [Sum(name) for name in SUMS]
    for of_team, team in ((True, key.team_id), (False, 0)):
        whole = DailyTotal.objects.filter(of_team=of_team).order_by("day").values_list("day", *KINDS).annotate(*sums)
        parts = Activity.objects.filter(tag="", team_id=team).order_by("day").values_list("day", *KINDS)
        assert list(whole) == list(parts.annotate(*sums))
    assert DailyTotal.objects.count() == 4
