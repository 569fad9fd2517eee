"""What an app sees through the official OpenAI package."""

import re

import openai
import pytest

from tests.gateway.running import MASTER, Running
from tests.gateway.upstream import Books, say


def test_a_chat_completion_is_answered_and_metered(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(key_alias="sdk chat")
    answer = latchkey.sdk(key).chat.completions.create(
        model="gpt-books", messages=[{"role": "user", "content": "hi"}], extra_body={"unknown_field": {"a": [1]}}
    )
    assert answer.choices[0].message.content == "hello"
    assert answer.usage is not None and answer.usage.total_tokens == 30
    assert books.bodies[0]["unknown_field"] == {"a": [1]}
    assert books.bodies[0]["model"] == "real-model"
    assert books.headers[0]["Authorization"] == "Bearer sk-upstream-secret-Zk81"
    assert latchkey.key_rows(key, "amount_nano, usage_source, input_tokens") == [(225_000, "upstream", 10)]


@pytest.mark.parametrize("wanted", [False, True])
def test_a_stream_has_a_usage_chunk_only_if_asked_for(latchkey: Running, books: Books, wanted: bool) -> None:
    key = latchkey.new_key()
    options = {"stream_options": {"include_usage": True}} if wanted else {}
    stream = latchkey.sdk(key).chat.completions.create(  # type: ignore[call-overload]
        model="gpt-books", messages=say(prompt=11), stream=True, **options
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content for chunk in chunks if chunk.choices)
    assert text == "Grüße an alle 🦊"
    assert [chunk.usage is not None for chunk in chunks] == [False] * 4 + [True] * wanted
    assert latchkey.key_rows(key, "amount_nano, input_tokens") == [(227_500, 11)]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_the_provider_compresses_unasked_is_readable_and_metered(
    latchkey: Running, books: Books, stream: bool
) -> None:
    key = latchkey.new_key()
    answer = latchkey.chat(key, messages=say(zip=True), stream=stream)
    assert ("Grüße" if stream else "hello") in answer.text
    assert latchkey.key_rows(key, "amount_nano, usage_source") == [(225_000, "upstream")]


def test_legacy_completions_and_embeddings_work(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    sdk = latchkey.sdk(key)
    assert sdk.completions.create(model="gpt-books", prompt="hi").choices[0].text == "hello"
    vectors = sdk.embeddings.create(model="embed-books", input="hi", encoding_format="float")
    assert vectors.data[0].embedding == [0.25, -0.5]
    assert latchkey.key_rows(key, "amount_nano, call_type") == [(225_000, "completion"), (700, "embedding")]


def test_models_lists_what_the_key_may_use(latchkey: Running) -> None:
    sdk = latchkey.sdk(latchkey.new_key(models=["gpt-*"]))
    assert [model.id for model in sdk.models.list()] == ["gpt-books", "gpt-cancel", "gpt-down", "gpt-free"]
    assert sdk.models.retrieve("gpt-books").id == "gpt-books"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("embed-books")


def test_the_azure_form_of_a_path_is_answered_too(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    answer = latchkey.http.post(
        "/openai/deployments/gpt-books/chat/completions?api-version=2024-06-01",
        json={"messages": [{"role": "user", "content": "hi"}]},
        headers={"api-key": key},
    )
    assert answer.status_code == 200, answer.text
    assert books.bodies[0]["model"] == "real-model"


def test_a_stream_without_usage_is_charged_by_estimate_and_says_so(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    list(latchkey.sdk(key).chat.completions.create(  # type: ignore[call-overload]
        model="gpt-books", messages=say(usage=False), stream=True, max_tokens=50
    ))  # fmt: skip
    ((amount, source),) = latchkey.key_rows(key, "amount_nano, usage_source")
    assert source == "estimated_partial"
    assert amount >= books.total_nano


def test_a_stream_that_breaks_off_ends_with_an_error_and_is_charged(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    body = {"model": "gpt-books", "messages": say(**{"break": True}), "stream": True, "max_tokens": 50}
    answer = latchkey.http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
    assert '"type":"upstream_error"' in answer.text.splitlines()[-2]
    ((amount, source),) = latchkey.key_rows(key, "amount_nano, usage_source")
    assert (source, amount > 0) == ("estimated_partial", True)


def test_metrics_are_counted_over_all_workers_and_shown_to_platform_admins_alone(
    latchkey: Running, books: Books
) -> None:
    key = latchkey.new_key()
    for _ in range(6):
        assert latchkey.chat(key).status_code == 200
    refused = latchkey.http.get("/metrics", headers={"authorization": f"Bearer {key}"})
    assert refused.status_code == 403 and "master key" in refused.json()["error"]["message"]
    admin = {"user_id": "metrics-admin", "user_role": "proxy_admin"}
    made = latchkey.http.post("/user/new", json=admin, headers={"authorization": f"Bearer {MASTER}"}).json()
    seen = latchkey.http.get("/metrics", headers={"authorization": f"Bearer {made['key']}"})
    assert seen.status_code == 200 and "latchkey_answers_total" in seen.text
    shown = latchkey.http.get("/metrics", headers={"authorization": f"Bearer {MASTER}"}).text
    counted = re.search(r'^latchkey_answers_total{status="200"} ([0-9.]+)$', shown, re.MULTILINE)
    assert counted and float(counted[1]) >= 6
