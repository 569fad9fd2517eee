"""/tag/{dau,wau,mau} and what people used with which program."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from teams.models import User
from tests.api.conftest import Api
from tests.api.spending import spend
from tests.factories import issue

TODAY = datetime(2026, 3, 20, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: TODAY)


@pytest.fixture
def people(api: Api) -> tuple[Any, Any]:
    """Ada called with both tags today, Grace with one of them, and again eight days ago."""
    for name in ("ada", "grace"):
        api.post("/user/new", {"user_id": name, "user_email": f"{name}@example.com", "auto_create_key": False})
    ada, grace = (issue(user=User.objects.get(public_id=name))[0] for name in ("ada", "grace"))
    spend(ada, 5_000, at=TODAY, tags=("batch", "User-Agent: curl"))
    spend(ada, 2_000, at=TODAY, tags=("User-Agent: curl",))
    spend(grace, 7_000, at=TODAY, tags=("batch",))
    spend(grace, 1_000, at=TODAY - timedelta(days=8), tags=("batch",))
    spend(issue()[0], 9_000, at=TODAY, tags=("batch",))
    return ada, grace


def counts(api: Api, path: str, **query: Any) -> list[tuple[str, str, int]]:
    answer = api.get(path, query)
    assert answer.status == 200, answer.text
    return [(row["tag"], row["period_start"], row["active_users"]) for row in answer.json["results"]]


def test_people_are_counted_once_per_tag_and_period(api: Api, people: Any) -> None:
    today = [("batch", "2026-03-20", 2), ("User-Agent: curl", "2026-03-20", 1)]
    assert counts(api, "/tag/dau") == today
    assert counts(api, "/tag/wau") == [
        ("batch", "2026-03-14", 2), ("User-Agent: curl", "2026-03-14", 1), ("batch", "2026-03-07", 1)
    ]  # fmt: skip
    assert counts(api, "/tag/mau") == [("batch", "2026-02-19", 2), ("User-Agent: curl", "2026-02-19", 1)]
    assert counts(api, "/tag/mau", tag_filter="batch") == [("batch", "2026-02-19", 2)]
    assert counts(api, "/tag/mau", tag_filters="x,y") == []


def test_a_person_learns_of_no_calls_but_the_own(api: Api, people: Any) -> None:
    mine = api.key(user_id="grace")["key"]
    answer = api.get("/tag/mau", bearer=mine)
    assert [(row["tag"], row["active_users"]) for row in answer.json["results"]] == [("batch", 1)]
    assert api.get("/tag/user-agent/per-user-analytics", {"tag_filters": "batch"}, bearer=mine).json["total_count"] == 1


def test_what_each_person_used_with_each_program(api: Api, people: Any) -> None:
    path = "/tag/user-agent/per-user-analytics"
    told = api.get(path).json
    (row,) = told.pop("results")
    assert told == {"total_count": 1, "page": 1, "page_size": 50, "total_pages": 1}
    assert (row["user_id"], row["user_agent"], row["successful_requests"]) == ("ada", "curl", 2)
    assert (int(row["spend"] * 10**9), row["total_tokens"]) == (7_000, 24)
    second = api.get(path, {"tag_filters": "batch", "page": 2, "page_size": 1}).json
    assert ([row["user_id"] for row in second["results"]], second["total_pages"]) == (["ada"], 2)
    assert api.get(path, {"page": "0"}).status == 422
