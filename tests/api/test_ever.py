"""What keys, people and scopes ever spent is the ledger's sum at any moment, however late an entry comes to a day."""

import random
from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keys.models import VirtualKey
from spend import ever, services
from spend.models import LedgerEntry, OwnerTotal, ScopeTotal, SummedDay
from spend.reports import lifetime_spend
from teams.actors import MASTER
from teams.models import Team, User
from tests.api.conftest import Api
from tests.factories import NOON, intent_for, issue, posting_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LATER = NOON + 3 * DAY


@pytest.fixture
def keys(search: Team, grace: User, linus: User) -> list[VirtualKey]:
    return [issue(team=search, user=grace)[0], issue(user=linus)[0], issue(user=grace)[0]]


def call(key: VirtualKey, nano: int | None, *, at: datetime = NOON, posted: datetime | None = None) -> None:
    """A call that is posted at once, or when it says."""
    intent = intent_for(key, at=at, tags=("a", "b"))
    services.write_intents([intent])
    services.post([posting_of(intent, nano)], now=posted or at)


def correct(nano: int, *, now: datetime) -> None:
    services.correct(LedgerEntry.objects.filter(kind="charge").latest("pk"), nano, reason="x", actor=MASTER, now=now)


def ledger(column: str) -> list[tuple[int, ...]]:
    """What the report has to say, added up from every entry there is."""
    found: dict[int, Counter[str]] = {}
    for entry in LedgerEntry.objects.filter(**{f"{column}__isnull": False}):
        own = found.setdefault(getattr(entry, column), Counter(nano=0, calls=0, read=0, written=0))
        own["nano"] += entry.amount_nano
        own["calls"] += entry.kind == "charge"
        own["read"] += entry.input_tokens
        own["written"] += entry.output_tokens
    return sorted(((pk, *sums.values()) for pk, sums in found.items()), key=lambda row: (-row[1], row[0]))


def scopes() -> Counter[str]:
    """What each scope spent, from every entry there is."""
    found = Counter[str]()
    for entry in LedgerEntry.objects.all():
        found.update(dict.fromkeys(entry.scopes, entry.amount_nano))
    return found


def is_exact() -> bool:
    owners = all(ever.most(column, 10) == ledger(column) for column in ever.COLUMNS)
    return owners and ever.of_scopes(scopes()) == scopes()


def test_days_that_are_over_are_summed_up_once(keys: list[VirtualKey]) -> None:
    for number in (0, 2):
        call(keys[0], 10**number, at=NOON + number * DAY)
    call(keys[1], None)
    assert ever.sum_up_days(now=(NOON + DAY).replace(hour=1)) == 0
    assert ever.sum_up_days(now=(NOON + DAY).replace(hour=2)) == 1
    assert ever.sum_up_days(now=LATER) == 1
    assert ever.sum_up_days(now=LATER) == 0
    assert list(OwnerTotal.objects.filter(column="key_id").values_list("owner_id", "amount_nano", "requests")) == [
        (keys[0].pk, 101, 2)
    ]
    assert is_exact()


def test_days_are_left_to_the_next_time_once_time_is_up(
    keys: list[VirtualKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ever, "_SECONDS", -1)
    for number in range(3):
        call(keys[number], 1, at=NOON + number * DAY)
    assert [ever.sum_up_days(now=LATER) for _ in range(4)] == [1, 1, 1, 0]
    assert is_exact()


def test_a_correction_counts_in_a_day_that_is_summed_up(keys: list[VirtualKey]) -> None:
    call(keys[0], 1000)
    ever.sum_up_days(now=LATER)
    correct(-1, now=LATER)
    assert is_exact()
    assert ever.most("key_id", 1) == [(keys[0].pk, 999, 1, 7, 5)]


@pytest.mark.parametrize("summed_first", [True, False])
def test_a_late_posting_counts_once_wherever_it_comes(keys: list[VirtualKey], summed_first: bool) -> None:
    call(keys[0], 10)
    if summed_first:
        ever.sum_up_days(now=LATER)
    call(keys[0], 100, posted=LATER)
    call(keys[1], 5, at=NOON - DAY, posted=LATER)
    assert is_exact()
    ever.sum_up_days(now=LATER)
    assert is_exact()


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_in_whatever_order_the_sums_are_those_of_the_ledger(keys: list[VirtualKey], seed: int) -> None:
    dice, now = random.Random(seed), NOON
    call(keys[0], 1, at=now)
    for _ in range(25):
        now += timedelta(hours=dice.randrange(30))
        match dice.randrange(4):
            case 0:
                call(dice.choice(keys), dice.randrange(10**9), at=now)
            case 1:
                late = timedelta(minutes=dice.choice((1, 59, 61, 600, 3000)))
                call(dice.choice(keys), dice.randrange(10**9), at=now - late, posted=now)
            case 2:
                correct(dice.randrange(-(10**8), 10**8), now=now)
            case 3:
                ever.sum_up_days(now=now)
        assert is_exact()
    ever.sum_up_days(now=now + 3 * DAY)
    assert is_exact()


def test_what_came_late_becomes_part_of_the_sums_with_the_day_on_which_it_was_posted(keys: list[VirtualKey]) -> None:
    call(keys[0], 10)
    ever.sum_up_days(now=NOON + DAY)
    call(keys[0], 100, posted=LATER)
    call(keys[0], 1000, at=LATER)
    assert ever._late_since(NOON.date()).count() == 1
    ever.sum_up_days(now=LATER + DAY)
    assert ever._late_since(LATER.date()).count() == 0
    assert OwnerTotal.objects.get(column="key_id").amount_nano == 1110
    assert ScopeTotal.objects.get(scope=keys[0].scope).amount_nano == 1110
    assert is_exact()


def test_who_comes_second_changes_nothing(keys: list[VirtualKey]) -> None:
    call(keys[0], 10)
    ever.sum_up_days(now=LATER)
    assert ever._sum_up(NOON.date(), date.min) is False
    assert is_exact()


def test_sums_are_read_again_if_a_day_is_summed_up_meanwhile(
    keys: list[VirtualKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    call(keys[0], 10)
    read, asked = ever._most, list[date]()

    def slow(column: str, limit: int, through: date) -> Any:
        asked.append(through)
        ever.sum_up_days(now=LATER)
        return read(column, limit, through)

    monkeypatch.setattr(ever, "_most", slow)
    assert is_exact()
    assert asked == [date.min, *[NOON.date()] * 2]
    assert SummedDay.objects.get().day == NOON.date()


def test_a_budget_for_all_time_counts_days_summed_up_days_since_and_what_came_late(keys: list[VirtualKey]) -> None:
    for number in (0, 3):
        call(keys[0], 10**number, at=NOON + number * DAY)
    ever.sum_up_days(now=LATER)
    call(keys[0], 100, posted=LATER)
    with CaptureQueriesContext(connection) as captured:
        assert lifetime_spend(keys) == {keys[0].scope: 1101, keys[1].scope: 0, keys[2].scope: 0}
    (sums,) = (query["sql"] for query in captured.captured_queries if "spend_rollup" in query["sql"])
    assert f'"quarter" >= \'{NOON.date() + DAY}' in sums


def test_the_report_names_those_who_spent_most_and_reads_only_days_since(api: Api, keys: list[VirtualKey]) -> None:
    for n, key in enumerate(keys):
        call(key, 10**n)
    ever.sum_up_days(now=LATER)
    with CaptureQueriesContext(connection) as captured:
        rows = api.get("/spend/keys", {"limit": 2}).json
    assert [row["token"] for row in rows] == [keys[2].token, keys[1].token]
    assert [row["api_requests"] for row in rows] == [1, 1]
    sums = [query["sql"] for query in captured.captured_queries if "spend_activity" in query["sql"]]
    assert sums
    assert all(f"\"day\" > '{NOON.date()}'" in sql for sql in sums)
    assert [row["spend"] for row in api.get("/spend/users").json] == [Decimal("0.000000101"), Decimal("0.00000001")]
