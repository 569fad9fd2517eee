"""When a budget begins anew, as the API tells it, and durations that mean nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway_project import startup
from teams.services import default_organization
from tests.api.conftest import Api

#: Fields that name the new object, by the endpoint that makes it.
MAKERS: dict[str, dict[str, Any]] = {
    "/key/generate": {}, "/team/new": {}, "/user/new": {"auto_create_key": False}, "/budget/new": {},
    "/organization/new": {"organization_alias": "o"}, "/customer/new": {"user_id": "c"}, "/tag/new": {"name": "t"},
}  # fmt: skip


@pytest.mark.parametrize("path", MAKERS)
@pytest.mark.parametrize("duration", ["0d", "-1d", "2mo", "soon", "1y", "1.5h", "0"])
def test_a_duration_that_means_nothing_is_refused_by_name(api: Api, path: str, duration: str) -> None:
    answer = api.post(path, {**MAKERS[path], "max_budget": 1, "budget_duration": duration})
    assert answer.status == 400, answer.text
    assert "budget_duration" in answer.text


@pytest.mark.parametrize(
    ("duration", "days"), [("1d", 1), ("24h", 1), ("daily", 1), ("3d", 3), ("10d", 10), ("2w", 14)]
)
def test_days_end_at_midnight(api: Api, duration: str, days: int) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    made = api.key(max_budget=1, budget_duration=duration)
    assert datetime.fromisoformat(made["budget_reset_at"]) == today + timedelta(days=days)


@pytest.mark.parametrize("duration", ["30d", "1mo", "monthly"])
def test_thirty_days_are_a_month_and_end_on_the_first(api: Api, duration: str) -> None:
    end = datetime.fromisoformat(api.key(max_budget=1, budget_duration=duration)["budget_reset_at"])
    assert (end.day, end.hour) == (1, 0)
    assert timedelta(0) < end - datetime.now(UTC) <= timedelta(days=31)


@pytest.mark.parametrize("duration", ["7d", "1w", "weekly"])
def test_weeks_end_on_monday(api: Api, duration: str) -> None:
    end = datetime.fromisoformat(api.key(max_budget=1, budget_duration=duration)["budget_reset_at"])
    assert (end.weekday(), end.hour) == (0, 0)


def test_clearing_the_duration_clears_the_end(api: Api) -> None:
    key = api.key(max_budget=1, budget_duration="1d")["key"]
    api.post("/key/update", {"key": key, "budget_duration": None})
    info = api.get("/key/info", {"key": key}).json["info"]
    assert (info["budget_duration"], info["budget_reset_at"]) == (None, None)


def test_days_begin_where_the_configuration_file_says(api: Api, settings: Any) -> None:
    settings.ZONE = "Asia/Kathmandu"
    startup._set_zone("Asia/Kathmandu")
    assert default_organization().timezone == "Asia/Kathmandu"
    end = datetime.fromisoformat(api.key(max_budget=1, budget_duration="1d")["budget_reset_at"])
    assert end.astimezone(ZoneInfo("Asia/Kathmandu")).strftime("%H:%M") == "00:00"
    made = api.post("/organization/new", {"organization_alias": "o"}).json
    own = api.post("/organization/new", {"organization_alias": "p", "timezone": "Europe/Berlin"}).json
    assert (made["timezone"], own["timezone"]) == ("Asia/Kathmandu", "Europe/Berlin")
