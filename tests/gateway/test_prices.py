"""What a running Latchkey holds and charges, by class of tokens and service tier, and how a budget is shared."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from tests.gateway.running import Running, eventually
from tests.gateway.upstream import Books, say

_numbers = count(1)
PRICES = {
    "input_cost_per_token": 0.000003,
    "output_cost_per_token": 0.000015,
    "cache_read_input_token_cost": 0.0000003,
    "input_cost_per_token_priority": 0.000006,
    "output_cost_per_token_priority": 0.00003,
    "output_cost_per_reasoning_token": 0.00002,
}


@pytest.fixture
def model(latchkey: Running, books: Books) -> str:
    return new_model(latchkey, books, **PRICES)


def new_model(latchkey: Running, books: Books, **prices: float) -> str:
    """A model that every worker has heard of."""
    name = f"priced-{next(_numbers)}"
    params = {"model": "openai/real", "api_base": books.url, **prices}
    info = {"max_output_tokens": 64_000}
    latchkey.manage("POST", "/model/new", json={"model_name": name, "litellm_params": params, "model_info": info})
    key = latchkey.new_key()
    eventually(lambda: all(latchkey.chat(key, model=name).status_code == 200 for _ in range(4)))
    books.clear()
    return name


def test_each_class_is_charged_at_its_own_price(latchkey: Running, books: Books, model: str) -> None:
    report = {
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    key = latchkey.new_key(max_budget=1)
    for tier in ("default", "priority", "unheard-of"):
        asked = say(prompt=100, completion=10, report=report, tier=tier)
        answer = latchkey.chat(key, model=model, messages=asked)
        assert answer.status_code == 200
    parts = ("input", "output", "cache-read", "reasoning")
    told = [Decimal(answer.headers[f"x-litellm-response-cost-{part}"]) * 10**9 for part in parts]
    assert told == [60 * 3_000 + 40 * 300, 4 * 15_000 + 6 * 20_000, 40 * 300, 6 * 20_000]
    assert "x-litellm-response-cost-cache-creation" not in answer.headers
    standard = 60 * 3_000 + 40 * 300 + 4 * 15_000 + 6 * 20_000
    priority = 60 * 6_000 + 40 * 300 + 4 * 30_000 + 6 * 20_000
    rows = latchkey.key_rows(key, "amount_nano, cached_tokens, reasoning_tokens, further_usage, overrun")
    assert [row[:3] for row in rows] == [(standard, 40, 6), (priority, 40, 6), (standard, 40, 6)]
    assert [row[3:] for row in rows][1] == ('{"service":"priority"}', 0)


def test_nonsense_is_charged_by_estimate_and_says_so(latchkey: Running, books: Books, model: str) -> None:
    key = latchkey.new_key(max_budget=1)
    asked = say(prompt=10, report={"prompt_tokens_details": {"cached_tokens": 11}})
    assert latchkey.chat(key, model=model, messages=asked).status_code == 200
    assert latchkey.key_rows(key, "usage_source") == [("estimated_partial",)]


def test_more_than_was_held_is_posted_whole(latchkey: Running, books: Books, model: str) -> None:
    key = latchkey.new_key(max_budget=1)
    assert latchkey.chat(key, model=model, messages=say(prompt=5000, completion=20)).status_code == 200
    assert latchkey.key_rows(key, "amount_nano, overrun") == [(5000 * 3_000 + 20 * 15_000, 1)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"web_search_options": {}}, "web_search_options"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}, "messages"),
    ],
)
def test_what_cannot_be_bounded_is_refused_by_name(
    latchkey: Running, books: Books, model: str, body: dict[str, Any], field: str
) -> None:
    answer = latchkey.chat(latchkey.new_key(max_budget=1), model=model, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)
    assert books.bodies == []


def test_a_cap_reaches_a_server_that_nobody_knows_in_both_fields(latchkey: Running, books: Books, model: str) -> None:
    key = latchkey.new_key(max_budget=1)
    assert latchkey.chat(key, model=model, max_tokens=None, max_completion_tokens=7).status_code == 200
    assert (books.bodies[0]["max_tokens"], books.bodies[0]["max_completion_tokens"]) == (7, 7)


def test_twenty_agents_with_long_contexts_and_no_cap_share_a_budget(latchkey: Running, books: Books) -> None:
    model = new_model(latchkey, books, input_cost_per_token=0.000003, output_cost_per_token=0.000015)
    key = latchkey.new_key(max_budget=25)
    asked = [*say(prompt=100_000, completion=800, delay=2), {"role": "user", "content": "word " * 80_000}]
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(latchkey.chat, key, model=model, messages=asked, max_tokens=None) for _ in range(20)]
        answers = [call.result() for call in calls]
    served = [answer for answer in answers if answer.status_code == 200]
    assert len(served) >= 18
    assert {answer.status_code for answer in answers} <= {200, 429}
    assert all(int(answer.headers["x-latchkey-output-cap"]) >= 1024 for answer in served)
    spent = [amount for (amount,) in latchkey.key_rows(key)]
    assert spent == [100_000 * 3_000 + 800 * 15_000] * len(served)
    assert len(books.billed) == len(served)


def test_a_key_that_rejects_uncapped_calls_names_a_cap_that_fits(latchkey: Running, books: Books) -> None:
    model = new_model(latchkey, books, input_cost_per_token=0.000003, output_cost_per_token=0.000015)
    key = latchkey.new_key(max_budget=0.1, output_cap_policy="reject")
    refused = latchkey.chat(key, model=model, max_tokens=None)
    assert refused.status_code == 429
    cap = int(refused.json()["error"]["message"].partition("max_tokens to at most ")[2].split(",")[0])
    assert cap >= 1024
    assert latchkey.chat(key, model=model, max_tokens=cap).status_code == 200
    lavish = latchkey.new_key(max_budget=10, output_cap_policy="reject")
    assert latchkey.chat(lavish, model=model, max_tokens=None).status_code == 200
    assert [body.get("max_tokens") for body in books.bodies] == [cap, None]


def test_a_markup_is_charged_and_told(latchkey: Running, books: Books) -> None:
    params = {"model": "hosted_vllm/real", "api_base": books.url, **PRICES}
    body = {"model_name": "marked-up", "litellm_params": params, "model_info": {"max_output_tokens": 64_000}}
    margin = {"percentage": 0.5, "fixed_amount": 0.001}
    latchkey.manage("POST", "/model/new", json=body)
    latchkey.manage("PATCH", "/config/cost_discount_config", json={"hosted_vllm": 0.1})
    latchkey.manage("PATCH", "/config/cost_margin_config", json={"hosted_vllm": margin})
    key = latchkey.new_key(max_budget=1)

    def told() -> dict[str, str]:
        answer = latchkey.chat(key, model="marked-up", messages=say(prompt=100, completion=10))
        names = ("", "-original", "-discount-amount", "-margin-amount", "-margin-percent")
        return {name: answer.headers.get(f"x-litellm-response-cost{name}", "") for name in names}

    wanted = {"": "0.0016075", "-original": "0.00045", "-discount-amount": "0.000045", "-margin-amount": "0.0012025"}
    eventually(lambda: all(told() == {**wanted, "-margin-percent": "0.5"} for _ in range(4)))
    assert latchkey.key_rows(key)[-1] == (450_000 * 9 // 10 * 3 // 2 + 1_000_000,)
