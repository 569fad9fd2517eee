"""/spend/calculate: the gateway's own prices and bounds, before a call and after it."""

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from proxy import services
from spend import book
from tests.api.conftest import Api
from tests.api.spending import spend
from tests.factories import issue

SAID = [{"role": "user", "content": "Hello!"}]


@pytest.fixture
def model(api: Api) -> str:
    """A dollar for a million tokens in, two for a million out."""
    services.sync_providers()
    params = {
        "model": "openai/gpt-4o-mini", "api_key": "sk-upstream", "input_cost_per_token": 0.000001,
        "output_cost_per_token": 0.000002,
    }  # fmt: skip
    answer = api.post("/model/new", {"model_name": "house", "litellm_params": params})
    assert answer.status == 200, answer.text
    return "house"


def test_an_answer_costs_what_was_charged_for_it(api: Api, model: str) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    for body in ({"completion_response": {"model": model, "usage": usage}},
                 {"model": model, "completion_response": {"usage": usage}}):  # fmt: skip
        assert api.post("/spend/calculate", body).json == {"cost": Decimal("0.00002")}


def test_a_prompt_costs_at_most_what_the_gateway_would_hold(api: Api, model: str) -> None:
    shown = api.post("/spend/calculate", {"model": model, "messages": SAID, "max_tokens": 100}).json
    assert 0 < shown["cost"] < Decimal("0.0001")
    assert shown["max_cost"] >= shown["cost"] + Decimal("0.0002")


def test_the_price_list_is_asked_about_models_that_are_not_served(api: Api) -> None:
    book.seed_prices(now=timezone.now())
    for name in ("gpt-4o-mini", "openai/gpt-4o-mini"):
        assert api.post("/spend/calculate", {"model": name, "messages": SAID}).json["cost"] > 0


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "model"), ({"model": "unknown", "messages": SAID}, 400, "model"),
        ({"model": "house"}, 400, "messages"), ({"model": "house", "messages": "hi"}, 400, "messages"),
        ({"completion_response": 7}, 400, "completion_response"), ({"model": 7}, 422, "model"),
        ({"model": "house", "completion_response": {}}, 400, "usage"),
        ({"model": "house", "messages": SAID, "max_tokens": -1}, 400, "max_tokens"),
    ],
)  # fmt: skip
def test_a_bad_question_names_its_field(api: Api, model: str, body: dict[str, Any], status: int, field: str) -> None:
    answer = api.post("/spend/calculate", body)
    assert (answer.status, answer.fault) == (status, field)


def test_a_key_that_was_let_reads_what_everybody_spent(api: Api) -> None:
    spend(issue()[0], 5)
    plain = api.key()["key"]
    trusted = api.key(permissions={"get_spend_routes": True})["key"]
    march = {"start_date": "2026-03-01", "end_date": "2026-03-31"}
    assert api.get("/global/spend/report", march, bearer=plain).status == 401
    for path in ("/global/spend", "/global/spend/logs", "/global/spend/report", "/global/spend/keys", "/spend/keys"):
        assert api.get(path, march, bearer=trusted).status == 200
    assert api.get("/global/spend", march, bearer=trusted).json["spend"] == Decimal("0.000000005")
    assert api.post("/key/generate", {}, bearer=trusted).status == 401
