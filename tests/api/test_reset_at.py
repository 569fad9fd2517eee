"""`budget_reset_at` in bodies: windows are computed, so another end than theirs is refused."""

from typing import Any

import pytest

from proxy import services
from teams.models import Organization, SharedBudget, Team, User
from tests.api.conftest import Answer, Api
from tests.api.test_access_groups import put
from tests.api.test_models import NEW

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


def test_the_end_of_a_window_is_told_in_utc_wherever_its_days_begin(api: Api, search: Team, linus: User) -> None:
    budget: dict[str, Any] = {"max_budget": 5, "budget_duration": "30d"}
    key = api.key(**budget)["token"]
    api.post("/team/member_add", {"team_id": search.public_id, "member": {"user_id": linus.public_id, "role": "user"}})
    member = {"team_id": search.public_id, "user_id": linus.public_id}
    services.sync_providers()
    api.post("/model/new", NEW | {"model_name": "alpha"})
    api.post("/access_group/new", {"access_group": "greek", "model_names": ["alpha"]})
    told = {
        "platform": api.post("/global/budget", budget | {"timezone": "Europe/Berlin"}),
        "budget of members": api.post("/team/member_update", member | {"budget_duration": "30d"}),
        "group": put(api, "/access_group/greek/budget", budget),
        "key": api.post(f"/key/{key}/reset_spend", {"reset_to": 0}),
        "member": api.post(f"/team/{search.public_id}/member/{linus.public_id}/reset_spend"),
    }
    for name, answer in told.items():
        row = answer.json.get("budget") or answer.json
        assert (answer.status, row["budget_reset_at"].endswith(":00:00Z")) == (200, True), name
