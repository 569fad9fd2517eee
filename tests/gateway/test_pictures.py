"""Pictures and moderation: held, sent, counted and posted like every other call."""

import httpx

from tests.gateway.running import Running
from tests.gateway.test_models import add, unique
from tests.gateway.upstream import Books


def painter(latchkey: Running, books: Books, model: str, **params: object) -> str:
    name = unique("painter")
    unpriced = {"input_cost_per_token": None, "output_cost_per_token": None}
    add(latchkey, books, name, model=model, **{**unpriced, **params})
    return name


def post(latchkey: Running, path: str, key: str, body: object) -> httpx.Response:
    return latchkey.http.post(path, json=body, headers={"authorization": f"Bearer {key}"})


def draw(latchkey: Running, key: str, model: str, **body: object) -> httpx.Response:
    asked = {"model": model, "prompt": "a cute baby sea otter", **body}
    return post(latchkey, "/v1/images/generations", key, asked)


def test_pictures_are_paid_by_the_piece_by_quality_and_size(latchkey: Running, books: Books) -> None:
    name = painter(latchkey, books, "openai/dall-e-3")
    key = latchkey.new_key(max_budget=1)
    answer = draw(latchkey, key, name)
    assert (answer.status_code, answer.headers["x-litellm-response-cost"]) == (200, "0.04")
    assert draw(latchkey, key, name, quality="hd", size="1024x1792").headers["x-litellm-response-cost"] == "0.12"
    assert latchkey.key_rows(key, "amount_nano, usage_source") == [(40_000_000, "upstream"), (120_000_000, "upstream")]
    refused = draw(latchkey, key, name, size="1x1")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "size")


def test_pictures_that_did_not_come_are_not_paid(latchkey: Running, books: Books) -> None:
    name = painter(latchkey, books, "openai/own", output_cost_per_image=0.01)
    key = latchkey.new_key(max_budget=0.05)
    assert draw(latchkey, key, name, n=5, prompt="2").headers["x-litellm-response-cost"] == "0.02"
    assert draw(latchkey, key, name, n=4).status_code == 429
    assert draw(latchkey, key, name, n=3).status_code == 200
    assert latchkey.chat(key, model=name).status_code == 400


def test_pictures_that_are_paid_by_tokens_are_held_at_the_largest(latchkey: Running, books: Books) -> None:
    name = painter(latchkey, books, "openai/gpt-image-1")
    key = latchkey.new_key(max_budget=1)
    assert draw(latchkey, key, name, n=4).headers["x-litellm-response-cost"] == "0.04358"
    assert draw(latchkey, key, name, n=4).status_code == 429, "four at high quality may cost a dollar"
    assert draw(latchkey, key, name, stream=True).status_code == 400


def test_moderation_is_free_and_needs_no_model(latchkey: Running, books: Books) -> None:
    latchkey.manage("POST", "/model/new", json={
        "model_name": "omni-moderation-latest",
        "litellm_params": {"model": "openai/omni-moderation-latest", "api_base": books.url},
    })  # fmt: skip
    key = latchkey.new_key(max_budget=0)
    for path in ("/moderations", "/v1/moderations"):
        answer = post(latchkey, path, key, {"input": "I want to kill the cat."})
        assert (answer.status_code, answer.json()["results"]) == (200, [{"flagged": False}])
    assert books.bodies[-1]["model"] == "omni-moderation-latest"
    several = ["one", {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    assert (
        post(latchkey, "/v1/moderations", key, {"model": "omni-moderation-latest", "input": several}).status_code == 200
    )
    assert {amount for (amount,) in latchkey.key_rows(key, "amount_nano")} == {0}
