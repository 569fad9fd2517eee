"""`budget_reset_at` in bodies: windows are computed, so another end than theirs is refused."""

from typing import Any

import pytest

from teams.models import Organization, SharedBudget, Team
from tests.api.conftest import Answer, Api

_NEW: dict[str, dict[str, Any]] = {
    "/budget/new": {},
    "/team/new": {},
    "/user/new": {"auto_create_key": False},
    "/customer/new": {"user_id": "acme"},
    "/organization/new": {"organization_alias": "O", "timezone": "Europe/Berlin"},
    "/project/new": {"team_id": "search"},
    "/tag/new": {"name": "t"},
    "/key/generate": {},
}


@pytest.fixture(autouse=True)
def _zone(organization: Organization) -> None:
    Organization.objects.update(timezone="Europe/Berlin")


def _made(api: Api, search: Team, path: str, **fields: Any) -> Answer:
    body = {name: search.public_id if value == "search" else value for name, value in _NEW[path].items()}
    return api.post(path, body | {"budget_duration": "7d", "max_budget": 5} | fields)


@pytest.mark.parametrize("path", _NEW)
@pytest.mark.parametrize(
    ("sent", "status"), [("2026-01-05T00:00:00Z", 400), ("2019-01-05", 400), ("soon", 400), (5, 422), ({}, 422)]
)
def test_another_end_is_refused_by_name(api: Api, search: Team, path: str, sent: Any, status: int) -> None:
    answer = _made(api, search, path, budget_reset_at=sent)
    assert answer.status == status, answer.text
    assert "budget_reset_at" in answer.text


@pytest.mark.parametrize("path", _NEW)
def test_the_same_end_and_null_are_taken(api: Api, search: Team, path: str) -> None:
    end = api.key(budget_duration="7d")["budget_reset_at"]
    answer = _made(api, search, path, budget_reset_at=end)
    assert answer.status == 200, answer.text
    assert answer.json.get("tag", answer.json)["budget_reset_at"] == end


def test_an_update_may_name_the_end_that_its_own_duration_gives(api: Api) -> None:
    end = api.key(budget_duration="5d")["budget_reset_at"]
    month = api.key(budget_duration="30d")["budget_reset_at"]
    for new, changed in (("/budget/new", "/budget/update"), ("/team/new", "/team/update")):
        row = api.post(new, {"budget_duration": "30d", "budget_reset_at": None}).json
        named = {name: row[name] for name in ("team_id", "budget_id") if row.get(name)}
        assert api.post(changed, named | {"budget_reset_at": month}).status == 200
        assert api.post(changed, named | {"budget_reset_at": end}).status == 400
        assert api.post(changed, named | {"budget_reset_at": month, "budget_duration": "5d"}).status == 400
        assert api.post(changed, named | {"budget_reset_at": end, "budget_duration": "5d"}).status == 200


@pytest.mark.parametrize("duration", [None, "rolling 24h"])
def test_a_window_without_an_end_takes_none(api: Api, duration: str | None) -> None:
    answer = api.post("/budget/new", {"budget_duration": duration, "budget_reset_at": "2026-12-05T00:00:00Z"})
    assert (answer.status, SharedBudget.objects.count()) == (400, 0)
    assert "does not end" in answer.told
    assert api.post("/budget/new", {"budget_duration": duration, "budget_reset_at": None}).status == 200
