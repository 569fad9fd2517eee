"""/spend/calculate: the gateway's own prices and bounds, before a call and after it."""

from decimal import Decimal
from typing import Any

import orjson
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


def test_an_answer_is_known_by_the_name_that_its_provider_gives_the_model(api: Api, model: str) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    params = {
        "model": "openai/my-tuned-model", "api_key": "sk-upstream", "input_cost_per_token": 0.000003,
        "output_cost_per_token": 0,
    }  # fmt: skip
    api.post("/model/new", {"model_name": "tuned", "litellm_params": params})
    answer = api.post("/spend/calculate", {"completion_response": {"model": "my-tuned-model", "usage": usage}})
    assert answer.json == {"cost": Decimal("0.00003")}


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
        ({"model": "house", "messages": SAID, "max_tokens": 2**70}, 400, "max_tokens"),
        ({"model": "house", "messages": SAID, "seed": -(2**63) - 1}, 400, "seed"),
        ({"model": "house", "messages": SAID, "extra": [{"deep": 2**63}]}, 400, "extra"),
        ({"model": "house", "messages": [{"role": "user", "content": 2**64}]}, 400, "messages"),
        ({"model": "house", "completion_response": {"usage": {"prompt_tokens": 2**70}}}, 400, "usage"),
    ],
)  # fmt: skip
def test_a_bad_question_names_its_field(api: Api, model: str, body: dict[str, Any], status: int, field: str) -> None:
    answer = api.post("/spend/calculate", body)
    assert (answer.status, answer.fault) == (status, field)


def test_a_number_that_no_call_may_carry_names_its_field(api: Api, model: str) -> None:
    said = orjson.dumps({"model": model, "messages": SAID})
    answer = api.post("/spend/calculate", raw=said[:-1] + b', "temperature": 1e400}')
    assert (answer.status, answer.fault) == (400, "temperature")


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


SIZE = {"input_tokens": 1000, "output_tokens": 500}


def test_an_estimate_is_what_calls_of_that_size_are_charged(api: Api, model: str) -> None:
    asked = {"model": model, **SIZE, "num_requests_per_day": 100}
    shown = api.post("/cost/estimate", asked).json
    usage = {"prompt_tokens": 1000, "completion_tokens": 500}
    charged = api.post("/spend/calculate", {"model": model, "completion_response": {"usage": usage}}).json["cost"]
    assert shown == {
        **asked, "num_requests_per_month": None, "provider": "openai",
        "cost_per_request": charged, "input_cost_per_request": Decimal("0.001"),
        "output_cost_per_request": Decimal("0.001"), "margin_cost_per_request": 0,
        "daily_cost": Decimal("0.2"), "daily_input_cost": Decimal("0.1"), "daily_output_cost": Decimal("0.1"),
        "daily_margin_cost": 0, "monthly_cost": None, "monthly_input_cost": None, "monthly_output_cost": None,
        "monthly_margin_cost": None, "input_cost_per_token": Decimal("0.000001"),
        "output_cost_per_token": Decimal("0.000002"),
    }  # fmt: skip


def test_an_estimate_tells_what_is_added_to_the_provider_s_price(api: Api, model: str) -> None:
    api.patch("/config/cost_margin_config", {"openai": {"percentage": 0.1, "fixed_amount": 0.001}})
    shown = api.post("/cost/estimate", {"model": model, **SIZE, "num_requests_per_month": 1000}).json
    assert (shown["cost_per_request"], shown["margin_cost_per_request"]) == (Decimal("0.0032"), Decimal("0.0012"))
    assert (shown["monthly_cost"], shown["monthly_margin_cost"]) == (Decimal("3.2"), Decimal("1.2"))
    assert shown["input_cost_per_token"] == Decimal("0.000001")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "model"), ({"model": "house", "input_tokens": 1}, 422, "output_tokens"),
        ({"model": "unknown", **SIZE}, 400, "model"),
        ({"model": "house", **SIZE, "input_tokens": -1}, 400, "input_tokens"),
        ({"model": "house", **SIZE, "num_requests_per_day": 1.5}, 422, "num_requests_per_day"),
        ({"model": "house", **SIZE, "num_requests_per_month": 10**30}, 400, "num_requests_per_month"),
    ],
)  # fmt: skip
def test_an_estimate_of_nonsense_names_its_field(
    api: Api, model: str, body: dict[str, Any], status: int, field: str
) -> None:
    answer = api.post("/cost/estimate", body)
    assert (answer.status, field in answer.text) == (status, True), answer.text
