"""/.../daily/activity/export: every row of a report, as a file."""

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from spend import export_api
from spend import services as ledger
from spend.streamed import Streamed
from teams import services
from teams.actors import MASTER
from teams.models import Team, User
from tests.api.conftest import Api
from tests.api.spending import spend
from tests.factories import NOON, intent_for, issue, posting_of

DAYS = {"start_date": "2026-03-01", "end_date": "2026-03-31"}


@pytest.fixture
def team(db: None) -> Team:
    """Calls of two keys of a team on two models: 10 + 20 nano-USD, and 5."""
    organization = services.default_organization()
    team = services.create_team(Team(public_id="core", name="=1+1", organization=organization), actor=MASTER)
    for alias, model, costs in (("one", "big", (10, 20)), ("two", "small", (5,))):
        key, _ = issue(alias=alias, team=team)
        intents = [intent_for(key, model=model) for _ in costs]
        ledger.write_intents(intents)
        posted = [posting_of(intent, nano) for intent, nano in zip(intents, costs, strict=True)]
        ledger.post(posted, now=NOON)
    return team


def lines(api: Api, **query: str) -> list[dict[str, Any]]:
    answer = api.get("/team/daily/activity/export", {**DAYS, "team_ids": "core", **query})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_days_are_told_apart_by_entity_key_or_model(api: Api, team: Team) -> None:
    [day] = lines(api)
    assert (day["date"], day["entity_id"], day["spend"], day["api_requests"]) == (
        "2026-03-10",
        "core",
        "0.000000035",
        "3",
    )
    assert [(row["key_alias"], row["spend"]) for row in lines(api, export_type="daily_with_keys")] != []
    by_model = {row["model"]: row["successful_requests"] for row in lines(api, export_type="daily_with_models")}
    assert by_model == {"big": "2", "small": "1"}


def test_no_name_becomes_a_formula_in_a_spreadsheet(api: Api, team: Team) -> None:
    assert lines(api)[0]["entity_alias"] == "'=1+1"


def test_json_is_there_as_well_and_adds_up(api: Api, team: Team) -> None:
    query = {**DAYS, "export_type": "daily_with_keys", "format": "json"}
    rows = api.get("/team/daily/activity/export", query).json
    whole = api.get("/team/daily/activity/aggregated", DAYS).json["metadata"]["total_spend"]
    assert sorted(row["key_alias"] for row in rows) == ["one", "two"]
    assert sum(row["spend"] for row in rows) == whole


@pytest.mark.parametrize(("name", "value"), [("export_type", "weekly"), ("format", "xlsx"), ("start_date", "")])
def test_odd_wishes_are_refused(api: Api, name: str, value: str) -> None:
    answer = api.get("/user/daily/activity/export", {**DAYS, name: value})
    assert (answer.status, name in answer.told) == (400, True)


def test_nobody_gets_more_than_they_may_see(api: Api, team: Team) -> None:
    person = services.create_user(User(username="linus", organization=team.organization), actor=MASTER)
    _, secret = issue(user=person)
    answer = api.get("/team/daily/activity/export", {**DAYS, "format": "json"}, bearer=secret)
    assert answer.json == []


@pytest.mark.parametrize("path", ["/team/daily/activity/export", "/tag/daily/activity/export"])
@pytest.mark.parametrize("kind", export_api.TYPES)
@pytest.mark.parametrize("form", export_api.FORMATS)
def test_a_file_of_many_parts_is_the_same_as_one_of_few(
    api: Api, team: Team, path: str, kind: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        key, _ = issue(team=team)
        for late in (timedelta(0), timedelta(hours=11, minutes=30)):
            spend(key, 3, at=NOON + timedelta(days=number) + late, model=f"m{number % 2}", tags=("a", "b"))
        spend(key, None, at=NOON + timedelta(days=number), tags=("a",))
    query = DAYS | {"export_type": kind, "format": form, "timezone": "-60"}
    whole = api.get(path, query).text
    monkeypatch.setattr(export_api, "_CALLS_AT_ONCE", 1)
    with CaptureQueriesContext(connection) as captured:
        assert api.get(path, query).text == whole
    assert len(captured) > 4
    assert "2026-03-14" in whole


def test_the_first_bytes_come_before_the_books_are_asked(api: Api, team: Team) -> None:
    bearer = {"authorization": f"Bearer {settings.MASTER_KEY}"}
    answer = api.client.get("/user/daily/activity/export", DAYS, headers=bearer)
    with CaptureQueriesContext(connection) as captured:
        assert next(answer.streaming_content).startswith(b"date,entity_id,")
        assert len(captured) == 0
        assert b"2026-03-10" in next(answer.streaming_content)
        assert len(captured) > 0


async def test_a_server_sends_each_part_before_the_next_is_made() -> None:
    done = []

    def parts() -> Iterator[bytes]:
        for part in (b"one", b"two"):
            done.append(part)
            yield part

    sent = []
    async for part in Streamed(parts(), content_type="text/plain"):
        sent.append(part)
        assert done == sent
    assert sent == [b"one", b"two"]
