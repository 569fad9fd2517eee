"""/spend/logs: the ledger in the shape of LiteLLM's spend log, exact to the nano-USD."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from keys.models import VirtualKey
from spend import services
from spend.pricing import Usage
from teams.models import User
from tests.api.conftest import Api
from tests.factories import NOON, intent_for, issue, posting_of

DAY = {"start_date": "2026-03-10", "end_date": "2026-03-11"}


def post(key: VirtualKey, nano: int, *, at: datetime = NOON, **fields: Any) -> None:
    response_id = fields.pop("response_id", "chatcmpl-1")
    intent = intent_for(key, at=at, **fields)
    services.write_intents([intent])
    services.post([posting_of(intent, nano, response_id=response_id)], now=at)


def test_a_row_has_the_fields_of_the_contract(api: Api, linus: User) -> None:
    key, secret = issue(user=linus, alias="reports")
    post(key, 42, tags=("batch",), model="fast")
    answer = api.get("/spend/logs", {"request_id": "chatcmpl-1"})
    (row,) = answer.json
    assert '"spend":0.000000042,' in answer.text
    assert (row["request_id"], row["litellm_call_id"]) == ("chatcmpl-1", "request-1")
    assert (row["api_key"], row["user"]) == (key.token, linus.public_id)
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == (7, 5, 12)
    assert (row["model_group"], row["request_tags"], row["cache_hit"]) == ("fast", ["batch"], "False")
    assert (row["startTime"], row["endTime"]) == ("2026-03-10T12:00:00Z", "2026-03-10T12:00:02Z")
    assert row["metadata"]["usage_source"] == "upstream"
    assert {"price_id", "hold_id", "user_api_key_alias"} <= row["metadata"].keys()
    assert secret not in answer.text


def test_a_row_tells_of_every_class_that_was_charged(api: Api) -> None:
    intent = intent_for(issue()[0])
    services.write_intents([intent])
    used = Usage(input=9, output=4, audio_input=3, web_searches=2, service="priority")
    services.post([posting_of(intent, 1, usage=used)], now=NOON)
    (row,) = api.get("/spend/logs").json
    classes = row["metadata"]["usage_object"]
    assert (classes["prompt_tokens"], classes["audio_input"], classes["web_searches"]) == (9, 3, 2)
    assert classes["service"] == "priority"
    assert "image_input" not in classes


def test_rows_are_filtered_by_key_person_and_request(api: Api, linus: User) -> None:
    key, secret = issue(user=linus)
    other, _ = issue()
    post(key, 1, request_id="mine")
    post(other, 2, request_id="other", response_id="chatcmpl-2")
    for query in ({"api_key": secret}, {"api_key": key.token}, {"user_id": linus.public_id}, {"request_id": "mine"}):
        assert [row["litellm_call_id"] for row in api.get("/spend/logs", query).json] == ["mine"], query
    assert api.get("/spend/logs", {"api_key": "sk-unknown-0123456789"}).json == []
    assert len(api.get("/spend/logs").json) == 2


def test_both_dates_summarise_each_day_exactly(api: Api, linus: User) -> None:
    key, _ = issue(user=linus)
    for nano in (1, 2, 10**9):
        post(key, nano, upstream_model="m")
    post(key, 5, at=NOON + timedelta(days=1), upstream_model="m")
    post(key, 7, at=NOON + timedelta(days=2), upstream_model="m")
    first, second = api.get("/spend/logs", DAY).json
    assert first == {
        "startTime": "2026-03-10",
        "spend": Decimal("1.000000003"),
        "users": {linus.public_id: Decimal("1.000000003")},
        "models": {"m": Decimal("1.000000003")},
        key.token: Decimal("1.000000003"),
    }
    assert second["spend"] == Decimal("0.000000005")


def test_a_day_without_calls_is_there_and_zero(api: Api) -> None:
    assert [day["spend"] for day in api.get("/spend/logs", DAY).json] == [0, 0]


def test_summarize_false_gives_the_rows(api: Api) -> None:
    key, _ = issue()
    post(key, 1)
    assert len(api.get("/spend/logs", DAY | {"summarize": "false"}).json) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"start_date": "x", "end_date": "2026-03-10"}, "start_date"),
        ({"start_date": "2026-03-10", "end_date": "2026-13-10"}, "end_date"),
        ({"start_date": "2026-03-10", "end_date": "2026-03-09"}, "end_date"),
        ({"start_date": "0001-01-01", "end_date": "9999-12-31"}, "end_date"),
    ],
)
def test_bad_dates_are_400(api: Api, query: dict[str, str], field: str) -> None:
    answer = api.get("/spend/logs", query)
    assert (answer.status, answer.error["param"]) == (400, field)


def test_the_second_version_comes_page_by_page(api: Api) -> None:
    key, _ = issue()
    for n in range(3):
        post(key, n, at=NOON + timedelta(minutes=n), request_id=f"r{n}")
    shown = api.get("/spend/logs/v2", DAY | {"page": 2, "page_size": 2}).json
    assert [row["litellm_call_id"] for row in shown.pop("data")] == ["r0"]
    assert shown == {"total": 3, "page": 2, "page_size": 2, "total_pages": 2, "total_is_capped": False}


def test_the_second_version_takes_instants_filters_and_an_order(api: Api) -> None:
    key, _ = issue(alias="a")
    for n in range(3):
        post(key, n, at=NOON + timedelta(minutes=n), request_id=f"r{n}")
    base = {"start_date": "2026-03-10 12:00:30", "end_date": "2026-03-10 12:10:00"}
    query = {"sort_by": "spend", "sort_order": "asc", "key_alias": "a"}
    assert [row["litellm_call_id"] for row in api.get("/spend/logs/v2", base | query).json["data"]] == ["r1", "r2"]
    for end in ("9999-12-31", "9999-12-31T23:59:59.999999Z"):
        assert api.get("/spend/logs/v2", base | {"end_date": end}).json["total"] == 2
    assert api.get("/spend/logs/v2", base | {"min_spend": "0.000000002"}).json["total"] == 1
    assert api.get("/spend/logs/v2", base | {"team_id": "other"}).json["total"] == 0
    assert api.get("/spend/logs/v2", base | {"status_filter": "failure"}).json["total"] == 0


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ({}, 400, "start_date"), ({"start_date": "2026-03-10"}, 400, "end_date"), (DAY | {"page": "0"}, 422, "page"),
        (DAY | {"page_size": "1001"}, 422, "page_size"), (DAY | {"sort_by": "token"}, 400, "sort_by"),
        (DAY | {"sort_order": "up"}, 400, "sort_order"), (DAY | {"min_spend": "x"}, 400, "min_spend"),
    ],
)  # fmt: skip
def test_a_bad_query_of_the_second_version_names_its_field(
    api: Api, query: dict[str, str], status: int, field: str
) -> None:
    answer = api.get("/spend/logs/v2", query)
    assert (answer.status, answer.fault) == (status, field)


def test_a_key_that_was_rotated_keeps_its_history(api: Api) -> None:
    made = api.key()
    post(VirtualKey.objects.get(token=made["token"]), 42, at=datetime(2026, 3, 10, tzinfo=UTC))
    fresh = api.post("/key/regenerate", {"key": made["key"]}).json
    assert len(api.get("/spend/logs", {"api_key": fresh["key"]}).json) == 1
    assert len(api.get("/spend/logs", {"api_key": made["token"]}).json) == 1
