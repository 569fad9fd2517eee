"""The headers of answers, as clients of LiteLLM read them."""

from decimal import Decimal

import httpx

from tests.gateway.running import Running
from tests.gateway.upstream import Books, say

LIMITS = {
    "max_budget": 1, "rpm_limit": 10, "tpm_limit": 1000, "max_parallel_requests": 5,
    "model_rpm_limit": {"gpt-books": 7},
}  # fmt: skip


def test_an_answer_tells_who_served_it_what_it_cost_and_what_is_left(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(**LIMITS, models=["gpt-books"])
    first = latchkey.chat(key)
    latchkey.key_rows(key)
    told = latchkey.chat(key).headers
    assert first.headers["x-litellm-call-id"] != told["x-litellm-call-id"]
    assert {
        name: told[name]
        for name in (
            "x-litellm-model-name", "x-litellm-model-group", "x-litellm-model-api-base", "x-litellm-key-rpm-limit",
            "x-litellm-key-tpm-limit", "x-litellm-key-max-budget", "x-litellm-attempted-retries",
            "x-litellm-max-retries", "x-litellm-timeout", "x-ratelimit-api_key-limit-requests",
            "x-ratelimit-api_key-remaining-requests", "x-ratelimit-api_key-limit-tokens",
            "x-ratelimit-api_key-limit-max_parallel_requests", "x-ratelimit-model_per_key-limit-requests",
            "x-ratelimit-model_per_key-remaining-requests", "x-litellm-key-remaining-requests-gpt-books",
            "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-limit-tokens",
        )
    } == {
        "x-litellm-model-name": "real-model", "x-litellm-model-group": "gpt-books",
        "x-litellm-model-api-base": books.url, "x-litellm-key-rpm-limit": "10", "x-litellm-key-tpm-limit": "1000",
        "x-litellm-key-max-budget": "1", "x-litellm-attempted-retries": "0", "x-litellm-max-retries": "1",
        "x-litellm-timeout": "10.0", "x-ratelimit-api_key-limit-requests": "10",
        "x-ratelimit-api_key-remaining-requests": "8", "x-ratelimit-api_key-limit-tokens": "1000",
        "x-ratelimit-api_key-limit-max_parallel_requests": "5", "x-ratelimit-model_per_key-limit-requests": "7",
        "x-ratelimit-model_per_key-remaining-requests": "5", "x-litellm-key-remaining-requests-gpt-books": "5",
        "x-ratelimit-limit-requests": "7", "x-ratelimit-remaining-requests": "5", "x-ratelimit-limit-tokens": "1000",
    }  # fmt: skip
    assert 0 <= int(told["x-ratelimit-api_key-remaining-max_parallel_requests"]) < 5
    assert 0 < int(told["x-ratelimit-remaining-tokens"]) < 1000
    assert Decimal(told["x-litellm-response-cost"]) * 10**9 == 225_000
    assert Decimal(told["x-litellm-response-cost-input"]) * 10**9 == 25_000
    assert Decimal(told["x-litellm-response-cost-output"]) * 10**9 == 200_000
    assert Decimal(told["x-litellm-key-spend"]) * 10**9 == 450_000
    assert float(told["x-litellm-response-duration-ms"]) >= float(told["x-litellm-overhead-duration-ms"]) > 0
    assert told["x-litellm-version"] and told["x-litellm-model-id"]
    assert "llm_provider-server" in told


def test_what_a_key_does_not_limit_is_left_out(latchkey: Running, books: Books) -> None:
    told = latchkey.chat(latchkey.new_key()).headers
    assert not [name for name in told if "ratelimit" in name or name.startswith("x-litellm-key-")]
    assert "" not in told.values()


def test_a_stream_has_the_headers_too_but_no_cost_yet(latchkey: Running, books: Books) -> None:
    told = latchkey.chat(latchkey.new_key(**LIMITS), stream=True).headers
    assert (told["x-litellm-model-group"], told["x-ratelimit-api_key-remaining-requests"]) == ("gpt-books", "9")
    assert "x-litellm-response-cost" not in told


def test_refusals_name_the_call_and_failures_the_deployment(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(rpm_limit=1)
    failed = latchkey.chat(key, messages=say(status=400))
    assert failed.status_code == 400
    assert failed.headers["x-litellm-model-group"] == "gpt-books"
    refused = latchkey.chat(key)
    assert refused.status_code == 429
    for answer in (failed, refused, latchkey.chat("nonsense")):
        assert answer.headers["x-litellm-call-id"]
        assert answer.headers["x-litellm-version"]


def test_the_callers_own_call_id_is_kept(latchkey: Running, books: Books) -> None:
    headers = {"authorization": f"Bearer {latchkey.new_key()}", "x-litellm-call-id": "mine-1"}
    body = {"model": "gpt-books", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx.post(f"http://127.0.0.1:{latchkey.port}/v1/chat/completions", json=body, headers=headers)
    assert answer.headers["x-litellm-call-id"] == "mine-1"


def test_the_spend_of_a_key_is_told_with_every_call_that_is_over(latchkey: Running, books: Books) -> None:
    """On one connection, so by one worker, one call after the other and without a pause for the books."""
    key = latchkey.new_key(max_budget=1)
    body = {"model": "gpt-books", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}
    told = []
    with httpx.Client(base_url=f"http://127.0.0.1:{latchkey.port}", headers={"authorization": f"Bearer {key}"}) as one:
        for _ in range(20):
            told.append(Decimal(one.post("/v1/chat/completions", json=body).headers["x-litellm-key-spend"]))
    assert [spent * 10**9 for spent in told] == [225_000 * number for number in range(1, 21)]
