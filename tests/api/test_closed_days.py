"""A day that is over is closed once: who spent most is noted, and its totals are the sums of its rows."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from keys.models import VirtualKey
from spend import closed_days, daily_api, totals
from spend.models import Activity, DailyLeader, DailyTotal
from teams.models import Team, User
from tests.api.conftest import Api
from tests.api.spending import spend
from tests.factories import NOON, issue

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LATER = NOON + 3 * DAY
MARCH = {"start_date": "2026-03-01", "end_date": "2026-03-31"}
REPORTS = (
    "/user/daily/activity/aggregated", "/team/daily/activity/aggregated", "/organization/daily/activity/aggregated",
    "/user/daily/activity", "/spend/logs", "/spend/keys", "/spend/users", "/key/spend/report", "/user/spend/report",
    "/team/spend/report", "/organization/spend/report", "/global/spend", "/global/spend/report", "/global/spend/teams",
    "/global/spend/keys", "/global/spend/models", "/global/activity/model", "/global/activity/cache_hits",
)  # fmt: skip


@pytest.fixture
def keys(search: Team, grace: User, linus: User) -> list[VirtualKey]:
    """Three keys with calls on three days; one of them in a team."""
    found = [issue(team=search, user=grace)[0], issue(user=linus)[0], issue(user=grace)[0]]
    for number in range(3):
        for n, key in enumerate(found):
            spend(key, 10 ** (2 * n) + number, at=NOON + number * DAY, model=f"m{number % 2}", tags=("a",))
    spend(found[0], None)
    return found


def leaders(column: str = "key_id") -> list[tuple[int, int]]:
    rows = DailyLeader.objects.filter(column=column, day=NOON.date()).order_by("-amount_nano")
    return list(rows.values_list("owner_id", "amount_nano"))


def whole(model: type[Activity] | type[DailyTotal]) -> object:
    rows = model._default_manager.filter(tag="") if model is Activity else model._default_manager.all()
    return list(rows.order_by("day").values_list("day").annotate(Sum("amount_nano"), Sum("requests")))


def test_each_day_that_is_over_is_closed_once(keys: list[VirtualKey], grace: User, linus: User, search: Team) -> None:
    assert closed_days.close_days(now=NOON) == 0
    assert closed_days.close_days(now=(NOON + DAY).replace(hour=1)) == 0
    assert closed_days.close_days(now=(NOON + DAY).replace(hour=3)) == 1
    assert closed_days.close_days(now=LATER) == 2
    assert closed_days.close_days(now=LATER) == 0
    assert leaders() == [(keys[2].pk, 10**4), (keys[1].pk, 100), (keys[0].pk, 1)]
    assert leaders("user_id") == [(grace.pk, 10**4 + 1), (linus.pk, 100)]
    assert leaders("team_id") == [(search.pk, 1)]


def test_only_so_many_are_noted(keys: list[VirtualKey], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_days, "NOTED", 1)
    closed_days.close_days(now=LATER)
    assert leaders() == [(keys[2].pk, 10**4)]


def test_what_totals_lack_is_added_once(keys: list[VirtualKey]) -> None:
    expected = whole(Activity)
    DailyTotal.objects.filter(day=NOON.date()).update(amount_nano=1, requests=7)
    DailyTotal.objects.filter(day=NOON.date()).order_by("pk").first().delete()  # type: ignore[union-attr]
    assert whole(DailyTotal) != expected
    for _ in range(2):
        closed_days.mend_totals(NOON.date())
        assert whole(DailyTotal) == expected


def test_attempts_that_failed_and_are_not_counted_are_counted_once(keys: list[VirtualKey]) -> None:
    spend(keys[0], None, tags=("a", "b"))
    spend(keys[1], None, at=NOON + DAY, model="other")

    def counted() -> list[tuple[object, ...]]:
        rows = Activity.objects.filter(failed_requests__gt=0).order_by("day", "tag", "model")
        return list(rows.values_list("day", "tag", "model", "key_id", "failed_requests", "requests"))

    expected, totals_before = counted(), list(DailyTotal.objects.order_by("pk").values())
    Activity.objects.filter(model="other").delete()
    Activity.objects.update(failed_requests=0)
    DailyTotal.objects.update(failed_requests=0)
    for _ in range(2):
        assert closed_days.close_days(now=LATER) in (3, 0)
        assert counted() == expected
        assert list(DailyTotal.objects.order_by("pk").values()) == totals_before


def test_who_comes_second_changes_nothing(keys: list[VirtualKey]) -> None:
    closed_days.close_days(now=LATER)
    noted = leaders()
    DailyTotal.objects.update(amount_nano=1)
    assert closed_days._close(NOON.date()) is False
    assert leaders() == noted
    assert set(DailyTotal.objects.values_list("amount_nano", flat=True)) == {1}


@pytest.mark.parametrize("most", [1, 2, 100])
def test_reports_are_the_same_once_days_are_closed(
    api: Api, keys: list[VirtualKey], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (daily_api, totals):
        monkeypatch.setattr(module, "MOST", most)
        monkeypatch.setattr(module, "LEAST", 1)
    before = {path: api.get(path, MARCH).json for path in REPORTS}
    closed_days.close_days(now=LATER - DAY)
    assert {path: api.get(path, MARCH).json for path in REPORTS} == before


def test_a_report_of_everybody_reads_no_rows_of_the_others(
    api: Api, keys: list[VirtualKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "MOST", 1)
    monkeypatch.setattr(totals, "LEAST", 1)
    closed_days.close_days(now=LATER)
    for path in ("/global/spend", "/global/spend/models", "/global/activity", "/organization/spend/report"):
        assert not any("spend_activity" in sql for sql in asked(api, path)), path
    for path in ("/key/spend/report", "/global/spend/keys", "/spend/logs", "/global/spend/report"):
        for sql in asked(api, path):
            if "spend_activity" in sql:
                assert " IN (" in sql.partition("WHERE")[2], path


def asked(api: Api, path: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert api.get(path, MARCH).status == 200
    return [query["sql"] for query in captured.captured_queries]
