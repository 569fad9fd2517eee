"""/schedule/model_cost_map_reload: how often the price list is read again, and that it is."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from spend import reload_services
from spend.models import MOST_HOURS, Price, PriceReload
from teams.actors import MASTER, SYSTEM
from teams.models import AuditEvent
from tests.api.conftest import Api
from tests.factories import issue

PATH = "/schedule/model_cost_map_reload"


def status(api: Api) -> Any:
    return api.get(f"{PATH}/status").json


def test_a_schedule_is_made_changed_told_and_cancelled(api: Api) -> None:
    assert status(api) == {"scheduled": False, "interval_hours": None, "last_run": None, "next_run": None}
    assert api.post(f"{PATH}?hours=6").json["interval_hours"] == 6
    assert api.post(f"{PATH}?hours=12").status == 200
    told = status(api)
    assert (told["scheduled"], told["interval_hours"], told["last_run"]) == (True, 12, None)
    assert PriceReload.objects.count() == 1
    assert "cancelled" in api.delete(PATH, {}).json["message"]
    assert "No reload" in api.delete(PATH, {}).json["message"]
    assert not status(api)["scheduled"]
    actions = list(AuditEvent.objects.filter(action__startswith="price_reload").values_list("action", flat=True))
    assert sorted(set(actions)) == ["price_reload.cancelled", "price_reload.planned"]


def test_what_is_due_is_done_once_and_then_every_so_many_hours(api: Api) -> None:
    api.post(f"{PATH}?hours=6")
    now = timezone.now()
    assert reload_services.reload_if_due(now=now + timedelta(hours=5)) is None
    due = now + timedelta(hours=7)
    assert reload_services.reload_if_due(now=due) == Price.objects.count() > 0
    assert reload_services.reload_if_due(now=due) is None
    row = PriceReload.objects.get()
    assert (row.last_at, row.next_at) == (due, due + timedelta(hours=6))


@pytest.mark.parametrize("query", ["", "?hours=", "?hours=0", "?hours=-1", "?hours=x", f"?hours={MOST_HOURS + 1}"])
def test_odd_hours_are_refused(api: Api, query: str) -> None:
    answer = api.post(f"{PATH}{query}")
    assert (answer.status in (400, 422), answer.fault) == (True, "hours")
    assert not status(api)["scheduled"]


def test_only_admins_plan_it(api: Api) -> None:
    _, secret = issue()
    assert api.post(f"{PATH}?hours=6", bearer=secret).status == 401
    assert api.get(f"{PATH}/status", bearer=secret).status == 401


def test_a_missing_parameter_is_said_to_be_missing_in_the_query(api: Api) -> None:
    for path in (PATH, f"{PATH}?hours=x"):
        answer = api.post(path)
        assert (answer.status, answer.json["detail"][0]["loc"]) == (422, ["query", "hours"])


def test_every_reload_that_somebody_asks_for_and_every_other_that_adds_prices_is_in_the_trail(api: Api) -> None:
    events = AuditEvent.objects.filter(action="price_book.reloaded")
    added = api.post("/reload/model_cost_map").json["models_count"]
    event = events.get()
    assert (event.actor, event.object_type, event.object_id) == (MASTER.label, "spend.Price", "")
    assert event.after["prices_added"] == added == Price.objects.count() > 0
    assert event.after["price_list"].startswith("genai-prices ")
    assert api.post("/reload/model_cost_map").json["models_count"] == 0
    assert [one.after["prices_added"] for one in events.order_by("pk")] == [added, 0]
    api.post(f"{PATH}?hours=1")
    reload_services.reload_if_due(now=timezone.now() + timedelta(hours=2))
    assert events.count() == 2
    assert api.get("/audit", {"table_name": "spend.Price"}).json["audit_logs"][0]["updated_values"]["prices_added"] == 0


def test_a_reload_by_schedule_that_adds_prices_is_the_systems(api: Api) -> None:
    api.post(f"{PATH}?hours=1")
    reload_services.reload_if_due(now=timezone.now() + timedelta(hours=2))
    event = AuditEvent.objects.get(action="price_book.reloaded")
    assert (event.actor, event.after["prices_added"]) == (SYSTEM.label, Price.objects.count())
