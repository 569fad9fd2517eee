"""The demo provider over real HTTP, as the gateway and any SDK see it."""

import base64
import json
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
import uvicorn

from proxy.demo.app import DemoProvider

KEY = "demo-provider-key-for-tests"


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    config = uvicorn.Config(DemoProvider(KEY), host="127.0.0.1", port=0, log_level="warning", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/v1"
    server.should_exit = True
    thread.join()


@pytest.fixture
def http(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base_url, headers={"authorization": f"Bearer {KEY}"}) as client:
        yield client


@pytest.fixture
def sdk(base_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=base_url, api_key=KEY, max_retries=0) as client:
        yield client


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "latchkey-demo", "messages": [{"role": "user", "content": "Hello, world!"}], **fields}


def events(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_chat_says_that_it_is_a_demo_and_repeats_the_question(http: httpx.Client) -> None:
    body = http.post("/chat/completions", json=chat()).json()
    choice = body["choices"][0]
    assert choice["message"]["content"].startswith("This is Latchkey's demo provider")
    assert choice["message"]["content"].endswith("Hello, world!")
    assert choice["finish_reason"] == "stop"
    assert body["model"] == "latchkey-demo"


def test_usage_counts_words_and_punctuation(http: httpx.Client) -> None:
    usage = http.post("/chat/completions", json=chat(max_tokens=5)).json()["usage"]
    assert usage == {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}


def test_every_choice_is_counted(http: httpx.Client) -> None:
    body = http.post("/chat/completions", json=chat(max_completion_tokens=3, n=2)).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1]
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 6


def test_stop_ends_the_answer_before_the_mark(http: httpx.Client) -> None:
    body = http.post("/chat/completions", json=chat(stop=["demo", "model"])).json()
    assert body["choices"][0]["message"]["content"] == "This is Latchkey's"


def test_a_stream_adds_up_to_the_plain_answer(http: httpx.Client) -> None:
    plain = http.post("/chat/completions", json=chat()).json()["choices"][0]["message"]["content"]
    chunks = events(http.post("/chat/completions", json=chat(stream=True)))
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == plain
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert all("usage" not in chunk for chunk in chunks)


def test_a_stream_reports_usage_only_when_asked(http: httpx.Client) -> None:
    asked = chat(stream=True, max_tokens=5, stream_options={"include_usage": True})
    *chunks, last = events(http.post("/chat/completions", json=asked))
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}


def test_legacy_completions_answer_plain_and_streamed(http: httpx.Client) -> None:
    body = {"model": "latchkey-demo", "prompt": "Once upon", "max_tokens": 4}
    plain = http.post("/completions", json=body).json()
    chunks = events(http.post("/completions", json=body | {"stream": True}))
    assert plain["object"] == "text_completion"
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == plain["choices"][0]["text"]


def test_embeddings_depend_on_the_text_alone(http: httpx.Client) -> None:
    body = {"model": "latchkey-demo-embedding", "input": ["one", "two", "one"], "dimensions": 8}
    answer = http.post("/embeddings", json=body).json()
    first, second, third = (item["embedding"] for item in answer["data"])
    assert first == third != second
    assert len(first) == 8
    assert sum(value * value for value in first) == pytest.approx(1)
    assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_embeddings_come_as_base64_when_asked(http: httpx.Client) -> None:
    body = {"model": "latchkey-demo", "input": "one", "dimensions": 8}
    plain = http.post("/embeddings", json=body).json()["data"][0]["embedding"]
    packed = http.post("/embeddings", json=body | {"encoding_format": "base64"}).json()["data"][0]["embedding"]
    assert struct.unpack("<8f", base64.b64decode(packed)) == pytest.approx(plain, rel=1e-6)


def test_the_openai_sdk_works_unchanged(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == ["latchkey-demo", "latchkey-demo-embedding"]
    answer = sdk.chat.completions.create(**chat())
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert len(sdk.embeddings.create(model="latchkey-demo", input="x").data[0].embedding) == 256


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/chat/completions", chat(messages=[]), 400, "messages"),
        ("/chat/completions", chat(messages=["hi"]), 400, "messages"),
        ("/chat/completions", chat(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), 400, "messages"),
        ("/chat/completions", chat(n=0), 400, "n"),
        ("/chat/completions", chat(max_tokens="many"), 400, "max_tokens"),
        ("/chat/completions", chat(stop=[1]), 400, "stop"),
        ("/chat/completions", chat(stream_options=[1]), 400, "stream_options"),
        ("/chat/completions", chat(model="gpt-4o"), 404, "model"),
        ("/chat/completions", [1], 400, None),
        ("/completions", {"model": "latchkey-demo"}, 400, "prompt"),
        ("/embeddings", {"model": "latchkey-demo", "input": []}, 400, "input"),
        ("/embeddings", {"model": "latchkey-demo", "input": "a", "dimensions": 0}, 400, "dimensions"),
        ("/embeddings", {"model": "latchkey-demo", "input": "a", "encoding_format": "x"}, 400, "encoding_format"),
        ("/images", {}, 404, None),
    ],
)
def test_bad_input_is_refused_in_openais_shape(
    http: httpx.Client, path: str, body: Any, status: int, param: str | None
) -> None:
    response = http.post(path, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["type"]) == (status, param, "invalid_request_error")
    assert error["message"]


def test_a_body_that_is_not_json_is_refused(http: httpx.Client) -> None:
    assert http.post("/chat/completions", content=b"{").status_code == 400
    assert http.get("/chat/completions").status_code == 405


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer wrong"}, {"authorization": KEY}])
def test_another_bearer_token_is_refused_without_being_repeated(base_url: str, header: dict[str, str]) -> None:
    response = httpx.get(f"{base_url}/models", headers=header)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"
    assert "wrong" not in response.text
