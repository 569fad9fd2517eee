"""The spend log by session, and what a row says its cost is made of."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from spend import logs
from spend import services as ledger
from spend.models import LedgerEntry, Price
from spend.pricing import Usage
from tests.api.conftest import Api
from tests.api.spending import DAY, spend
from tests.factories import MASTER, NOON, issue

V2 = "/spend/logs/v2"


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Every test here makes calls."""


@pytest.fixture
def three_sessions() -> None:
    """`chat` of four calls, two that were alone, one of which failed."""
    key, _ = issue()
    for n, nano in enumerate((10, 20, None, 30)):
        spend(key, nano, at=NOON + timedelta(minutes=n), request_id=f"r{n}", session_id="chat")
    spend(key, 100, at=NOON + timedelta(minutes=2), request_id="dear")
    spend(key, None, at=NOON + timedelta(minutes=9), request_id="broken")


def grouped(api: Api, **query: Any) -> Any:
    return api.get(V2, DAY | {"group_by_session": "true"} | query).json


@pytest.mark.usefixtures("three_sessions")
def test_a_session_is_one_row_with_what_it_cost_in_all(api: Api) -> None:
    shown = grouped(api)
    assert [row["session_id"] for row in shown["data"]] == ["broken", "chat", "dear"]
    assert [row["session_total_count"] for row in shown["data"]] == [1, 4, 1]
    assert [row["session_total_spend"] for row in shown["data"]] == [0, Decimal("6e-8"), Decimal("1e-7")]
    assert shown["data"][1]["litellm_call_id"] == "r3"
    assert (shown["total"], shown["total_pages"], shown["total_is_capped"]) == (3, 1, False)


@pytest.mark.usefixtures("three_sessions")
def test_sessions_are_ordered_by_their_totals_and_turned_by_pages(api: Api) -> None:
    assert [row["session_id"] for row in grouped(api, sort_by="spend")["data"]] == ["dear", "chat", "broken"]
    assert [row["session_id"] for row in grouped(api, sort_by="total_tokens")["data"]] == ["chat", "dear", "broken"]
    second = grouped(api, sort_by="startTime", sort_order="asc", page=2, page_size=2)
    assert [row["session_id"] for row in second["data"]] == ["broken"]
    assert (second["total"], second["total_pages"]) == (3, 2)


@pytest.mark.usefixtures("three_sessions")
def test_a_filter_comes_before_the_sessions(api: Api) -> None:
    [row] = grouped(api, status_filter="success", min_spend="0.00000003", max_spend="0.00000003")["data"]
    assert (row["session_id"], row["session_total_count"]) == ("chat", 1)


def test_a_charge_says_what_it_is_made_of_by_the_price_it_was_charged_with(api: Api) -> None:
    rates = {"input": Decimal("0.000002"), "output": Decimal("0.00001"), "cached": Decimal("0.000001")}
    price = Price.objects.create(item="openai/x", valid_from=NOON, extras={"web_search": "0.01"}, **rates)
    key, _ = issue()
    used = Usage(input=100, output=10, cached=40, web_searches=2)
    spend(key, 20_260_000, request_id="r", price_id=price.pk, usage=used)
    [row] = api.get("/spend/logs", {"request_id": "r"}).json
    assert row["metadata"]["cost_breakdown"] == {
        "input_cost": Decimal("0.00016"), "output_cost": Decimal("0.0001"), "tool_usage_cost": Decimal("0.02"),
        "cache_read_cost": Decimal("0.00004"), "cache_creation_cost": 0, "reasoning_cost": 0,
        "original_cost": Decimal("0.02026"), "total_cost": Decimal("0.02026"),
    }  # fmt: skip
    assert row["spend"] == Decimal("0.02026")


def test_what_no_list_explains_has_no_breakdown(api: Api) -> None:
    key, _ = issue()
    spend(key, 10, request_id="free")
    ledger.correct(LedgerEntry.objects.get(), -5, reason="reconciled", actor=MASTER, now=NOON)
    rows = api.get("/spend/logs", {"request_id": "free"}).json
    assert [row["metadata"]["cost_breakdown"] for row in rows] == [None, None]


def test_what_is_left_out_is_said_by_whichever_cut_left_it_out(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST", 2)
    key, _ = issue()
    for n in range(4):
        spend(key, 10, at=NOON + timedelta(minutes=n), request_id=f"r{n}")
    for query in ({}, {"sort_by": "spend"}, {"min_spend": "0.00000001"}):
        assert grouped(api, **query)["total_is_capped"] is True
