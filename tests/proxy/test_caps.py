"""A cap reaches the provider in a field that it keeps to."""

from typing import Any

import pytest

from proxy.runtime.caps import capped
from proxy.runtime.routes import CHAT, COMPLETION, EMBEDDING
from tests.proxy.calls import target

ELSEWHERE = "https://llm.example.com/v1"


@pytest.mark.parametrize(
    ("at", "body", "sent"),
    [
        ({}, {"max_tokens": 5}, {"max_tokens": 5}),
        ({}, {"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ({}, {"max_tokens": None}, {"max_tokens": None}),
        ({"provider": "mistral"}, {"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"provider": "mistral"}, {"max_tokens": 5}, {"max_tokens": 5}),
        ({"provider": "groq"}, {"max_tokens": 5}, {"max_tokens": 5}),
        ({"provider": "hosted_vllm"}, {"max_completion_tokens": 5}, {"max_tokens": 5, "max_completion_tokens": 5}),
        ({"base_url": ELSEWHERE}, {"max_completion_tokens": 5}, {"max_tokens": 5, "max_completion_tokens": 5}),
        ({"base_url": "https://x.openai.azure.com"}, {"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ({"base_url": "https://evilopenai.com"}, {"max_tokens": 5}, {"max_tokens": 5, "max_completion_tokens": 5}),
    ],
)
def test_a_clients_cap_goes_where_the_provider_looks(
    at: dict[str, Any], body: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert capped({"model": "x"} | body, CHAT, target(**at), None) == {"model": "x"} | sent


@pytest.mark.parametrize(
    ("at", "fields"),
    [
        ({}, {"max_completion_tokens"}),
        ({"provider": "mistral"}, {"max_tokens"}),
        ({"provider": "openai_like"}, {"max_tokens", "max_completion_tokens"}),
        ({"base_url": ELSEWHERE}, {"max_tokens", "max_completion_tokens"}),
    ],
)
def test_an_injected_cap_replaces_what_was_there(at: dict[str, Any], fields: set[str]) -> None:
    for body in ({}, {"max_tokens": 0}, {"max_completion_tokens": None}):
        assert capped(body, CHAT, target(**at), 7) == dict.fromkeys(fields, 7)


def test_legacy_completions_know_one_field_and_embeddings_none() -> None:
    assert capped({"prompt": "x"}, COMPLETION, target(), 7) == {"prompt": "x", "max_tokens": 7}
    assert capped({"max_tokens": 3}, COMPLETION, target(), None) == {"max_tokens": 3}
    assert capped({"input": "x"}, EMBEDDING, target(), None) == {"input": "x"}
