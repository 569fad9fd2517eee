"""What is noted of days that are over changes no answer, whatever comes to such a day afterwards."""

import random
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from keys.models import VirtualKey
from spend import closed_days, daily_api, noted_days, services, totals
from spend.models import DailyTeam, LedgerEntry, NotedDay
from spend.query import Days
from teams import services as teams
from teams.actors import MASTER
from teams.models import Team, User
from tests.api.conftest import Api
from tests.factories import NOON, intent_for, issue, posting_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LATER = NOON + 3 * DAY
MARCH = {"start_date": "2026-03-01", "end_date": "2026-03-31"}
PAGES = ("/team/daily/activity", "/user/daily/activity", "/organization/daily/activity")
REPORTS = (
    *PAGES, "/team/daily/activity/aggregated", "/team/spend/report", "/global/spend/report", "/global/spend/teams",
)  # fmt: skip


@pytest.fixture
def keys(search: Team, linus: User) -> list[VirtualKey]:
    other = teams.create_team(Team(name="other"), actor=MASTER)
    owners: tuple[dict[str, Any], ...] = ({"team": search}, {"team": search}, {"team": other}, {"user": linus})
    return [issue(**owner)[0] for owner in owners]


def call(
    key: VirtualKey, nano: int | None, *, at: datetime = NOON, posted: datetime | None = None, **more: Any
) -> None:
    """A call that is posted at once, or when it says; without an amount one that failed."""
    intent = intent_for(key, at=at, tags=("a",), **more)
    services.write_intents([intent])
    services.post([posting_of(intent, nano)], now=posted or at)


def correct(nano: int, key: VirtualKey, *, now: datetime = LATER) -> None:
    entry = LedgerEntry.objects.filter(kind="charge", key=key).latest("pk")
    services.correct(entry, nano, reason="x", actor=MASTER, now=now)


def answers(api: Api) -> dict[str, Any]:
    found = {path: api.get(path, MARCH).json for path in REPORTS}
    return found | {f"{path} 2": api.get(path, MARCH | {"page_size": 2, "page": 2}).json for path in PAGES}


def unnoted(api: Api) -> dict[str, Any]:
    """The same out of the rows."""
    with transaction.atomic():
        NotedDay.objects.all().delete()
        found = answers(api)
        transaction.set_rollback(True)
    return found


def fresh() -> Mapping[date, NotedDay]:
    return noted_days.as_noted(Days(NOON.date(), LATER.date()))[0]


def test_each_day_that_is_over_is_noted_once(keys: list[VirtualKey]) -> None:
    for number in range(2):
        for key in keys:
            call(key, 10, at=NOON + number * DAY)
    assert noted_days.note_days(now=(NOON + DAY).replace(hour=1)) == 0
    assert noted_days.note_days(now=(NOON + DAY).replace(hour=2)) == 1
    assert noted_days.note_days(now=LATER) == 1
    assert noted_days.note_days(now=LATER) == 0
    assert list(NotedDay.objects.values_list("deeds", "rows", "rows_of_teams")) == [(4, 4, 3)] * 2
    assert list(DailyTeam.objects.order_by("pk").values_list("team_id", "amount_nano", "requests")) == [
        (keys[0].team_id, 20, 2), (keys[2].team_id, 10, 1), (keys[0].team_id, 20, 2), (keys[2].team_id, 10, 1),
    ]  # fmt: skip


def test_days_that_were_closed_before_are_noted_too(api: Api, keys: list[VirtualKey]) -> None:
    call(keys[0], 10)
    closed_days.close_days(now=LATER)
    assert noted_days.note_days(now=LATER) == 1


def test_days_are_left_to_the_next_time_once_time_is_up(
    keys: list[VirtualKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noted_days, "_SECONDS", -1)
    for number in range(3):
        call(keys[0], 1, at=NOON + number * DAY)
    assert [noted_days.note_days(now=LATER) for _ in range(4)] == [1, 1, 1, 0]


@pytest.mark.parametrize("late", ["call", "failure", "correction", "two corrections"])
def test_a_day_to_which_something_came_is_read_from_its_rows_until_it_is_noted_anew(
    api: Api, keys: list[VirtualKey], late: str
) -> None:
    for key in keys:
        call(key, 10)
    noted_days.note_days(now=LATER)
    assert set(fresh()) == {NOON.date()}
    match late:
        case "call":
            call(keys[0], 100, posted=LATER, model="new")
        case "failure":
            call(keys[0], None, posted=LATER, model="new")
        case "correction":
            correct(-3, keys[0])
        case "two corrections":
            correct(-3, keys[0])
            correct(3, keys[2])
    assert not fresh()
    expected = unnoted(api)
    assert answers(api) == expected
    assert noted_days.note_days(now=LATER) == 1
    assert set(fresh()) == {NOON.date()}
    assert answers(api) == expected


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("most", [1, 2, 100])
def test_whatever_happens_in_whatever_order_answers_are_those_of_the_rows(
    api: Api, keys: list[VirtualKey], seed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice, now = random.Random(seed), NOON
    for module in (daily_api, totals):
        monkeypatch.setattr(module, "MOST", most)
        monkeypatch.setattr(module, "LEAST", 1)
    for key in keys:
        call(key, 1, at=now)
    for _ in range(10):
        now += timedelta(hours=dice.randrange(20))
        nano, model = dice.choice((None, dice.randrange(10**9))), dice.choice(("m1", "m2"))
        late = timedelta(hours=dice.choice((0, 0, 10, 50)))
        match dice.randrange(4):
            case 0 | 1:
                call(dice.choice(keys), nano, at=now - late, posted=now, model=model)
            case 2:
                correct(dice.randrange(-(10**8), 10**8), dice.choice(keys), now=now)
            case 3:
                noted_days.note_days(now=now)
        found = answers(api)
        assert found == unnoted(api)
        assert told(found["/global/spend/teams"]) == sum(e.amount_nano for e in LedgerEntry.objects.all())


def told(answer: Any) -> int:
    return sum(round(Decimal(str(part["total_spend"])) * 10**9) for part in answer["total_spend_per_team"])


def test_what_comes_while_a_day_is_noted_has_it_noted_anew(
    keys: list[VirtualKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    call(keys[0], 10)
    count = noted_days._deeds

    def slow(first: date, last: date) -> Mapping[date, int]:
        found = count(first, last)
        if first == last:
            monkeypatch.undo()
            call(keys[0], 100, posted=LATER)
        return found

    monkeypatch.setattr(noted_days, "_deeds", slow)
    assert noted_days.note_days(now=LATER) == 1
    assert not fresh()
    assert noted_days.note_days(now=LATER) == 1
    assert DailyTeam.objects.get().amount_nano == 110


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("zone", ["0", "-60"])
def test_pages_are_the_same_once_days_are_noted(api: Api, keys: list[VirtualKey], path: str, zone: str) -> None:
    for number in range(3):
        for key in keys:
            call(key, 10 + number, at=NOON.replace(hour=23, minute=30) + number * DAY)

    def pages(size: int) -> list[Any]:
        query = MARCH | {"timezone": zone, "page_size": size}
        found = [api.get(path, query | {"page": number}).json for number in range(1, 15)]
        return [(page["results"], page["metadata"]["total_pages"]) for page in found]

    before = {size: pages(size) for size in (1, 5, 1000)}
    assert before[1][0][1] == (9 if path == PAGES[0] else 12)
    noted_days.note_days(now=LATER)
    assert {size: pages(size) for size in (1, 5, 1000)} == before


def test_reports_about_teams_read_no_rows_of_days_that_are_noted(api: Api, keys: list[VirtualKey]) -> None:
    for key in keys:
        call(key, 10)
    closed_days.close_days(now=LATER)
    noted_days.note_days(now=LATER)
    assert not any("spend_activity" in sql for sql in asked(api, "/global/spend/teams"))
    assert not any("COUNT" in sql for sql in asked(api, "/team/daily/activity") if "spend_activity" in sql)
    for sql in asked(api, "/team/daily/activity/aggregated"):
        assert "spend_activity" not in sql or '"key_id" IN' in sql.partition("WHERE")[2]


def asked(api: Api, path: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert api.get(path, MARCH).status == 200
    return [query["sql"] for query in captured.captured_queries]
