"""When a model fails, another one takes over: with its own model check, hold and entry."""

import json
import time
from typing import Any

import pytest

from tests.gateway.running import Running, eventually
from tests.gateway.test_models import add, listed, refused, unique
from tests.gateway.upstream import Books, say

FAIL = {"only": "failing", "status": 500}


def failing(latchkey: Running, books: Books, *others: str, kind: str = "general", **params: Any) -> str:
    """A model whose provider fails where a script says so; `others` take over."""
    name = unique("failing")
    add(latchkey, books, name, model="openai/failing", max_retries=1, **params)
    body = {"model": name, "fallback_models": list(others), "fallback_type": kind}
    latchkey.manage("POST", "/fallback", json=body)
    return name


def test_one_entry_per_billed_attempt_and_one_answer(latchkey: Running, books: Books) -> None:
    name = failing(latchkey, books, "gpt-books", input_cost_per_token=0.0000025, output_cost_per_token=0.00001)
    key = latchkey.new_key(max_budget=1, models=[name, "gpt-books"])
    answer = latchkey.chat(key, model=name, messages=say(**FAIL, bill=1, prompt=7, completion=3))
    assert answer.status_code == 200, answer.text
    assert [body["model"] for body in books.bodies] == ["failing", "failing", "real-model"]
    rows = latchkey.key_rows(key, "amount_nano, model")
    assert [model for _, model in rows] == [name, "gpt-books"]
    assert sum(amount for amount, _ in rows) == books.total_nano
    told = {n: answer.headers[f"x-litellm-{n}"] for n in (
        "model-group", "model-name", "attempted-retries", "attempted-fallbacks", "max-fallbacks")}  # fmt: skip
    assert told == {"model-group": "gpt-books", "model-name": "real-model", "attempted-retries": "0",
                    "attempted-fallbacks": "1", "max-fallbacks": "5"}  # fmt: skip
    spent = latchkey.manage("GET", "/key/info", params={"key": key})["info"]["spend"]
    assert round(spent * 10**9) == books.total_nano


def test_streams_fall_back_as_well(latchkey: Running, books: Books) -> None:
    name = failing(latchkey, books, "gpt-books")
    answer = latchkey.chat(latchkey.new_key(), model=name, stream=True, messages=say(**FAIL))
    assert (answer.status_code, answer.headers["x-litellm-attempted-fallbacks"]) == (200, "1")
    assert answer.text.endswith("data: [DONE]\n\n")


def test_a_model_that_the_key_may_not_call_never_takes_over(latchkey: Running, books: Books) -> None:
    name = failing(latchkey, books, "gpt-free")
    key = latchkey.new_key(models=[name])
    answer = latchkey.chat(key, model=name, messages=say(**FAIL))
    assert refused(answer, 502) == "upstream_error"
    assert {body["model"] for body in books.bodies} == {"failing"}
    assert (answer.headers["x-litellm-model-group"], answer.headers["x-litellm-attempted-fallbacks"]) == (name, "0")
    team = latchkey.manage("POST", "/team/new", json={"team_alias": unique("narrow"), "models": [name]})["team_id"]
    assert latchkey.chat(latchkey.new_key(team_id=team), model=name, messages=say(**FAIL)).status_code == 502


def test_the_next_one_takes_over_from_one_that_does_not_fit_the_budget(latchkey: Running, books: Books) -> None:
    dear = unique("dear")
    add(latchkey, books, dear, input_cost_per_token=1, output_cost_per_token=1)
    name = failing(latchkey, books, dear, "gpt-books")
    key = latchkey.new_key(max_budget=1)
    answer = latchkey.chat(key, model=name, messages=say(**FAIL))
    assert (answer.status_code, answer.headers["x-litellm-model-group"]) == (200, "gpt-books")
    assert answer.headers["x-litellm-attempted-fallbacks"] == "1"


def test_the_first_failure_is_told_if_nothing_can_take_over(latchkey: Running, books: Books) -> None:
    second = failing(latchkey, books, "gpt-down")
    name = failing(latchkey, books, second)
    answer = latchkey.chat(latchkey.new_key(), model=name, messages=say(**FAIL))
    assert refused(answer, 502) == "upstream_error"
    assert name in answer.json()["error"]["message"]
    assert answer.headers["x-litellm-attempted-fallbacks"] == "2"


def test_mistakes_of_the_client_do_not_travel_and_long_calls_go_where_they_fit(latchkey: Running, books: Books) -> None:
    name = failing(latchkey, books, "gpt-free")
    latchkey.manage(
        "POST", "/fallback", json={"model": name, "fallback_models": ["gpt-books"], "fallback_type": "context_window"}
    )
    key = latchkey.new_key()
    mistake = latchkey.chat(key, model=name, messages=say(only="failing", status=400))
    assert (mistake.status_code, len(books.bodies)) == (400, 1)
    too_long = {"code": "context_length_exceeded"}
    answer = latchkey.chat(key, model=name, messages=say(only="failing", status=400, error=too_long))
    assert (answer.status_code, answer.headers["x-litellm-model-group"]) == (200, "gpt-books")


def test_clients_may_forgo_fallbacks(latchkey: Running, books: Books) -> None:
    name = failing(latchkey, books, "gpt-books")
    key = latchkey.new_key()
    assert latchkey.chat(key, model=name, messages=say(**FAIL), disable_fallbacks=True).status_code == 502
    bad = latchkey.chat(key, model=name, disable_fallbacks="yes")
    assert (bad.status_code, bad.json()["error"]["param"]) == (400, "disable_fallbacks")
    assert all("fallbacks" not in json.dumps(body) for body in books.bodies)


def test_clients_may_name_models_that_their_key_may_call(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(models=["gpt-down", "gpt-books"])
    chosen = latchkey.chat(key, model="gpt-down", fallbacks=["gpt-books"])
    assert (chosen.status_code, chosen.headers["x-litellm-attempted-fallbacks"]) == (200, "1")
    other = [{"role": "user", "content": "another question"}]
    own = {"model": "gpt-books", "messages": other, "max_tokens": 7, "user": "somebody else", "api_base": "http://evil"}
    changed = latchkey.chat(key, model="gpt-down", fallbacks=[own])
    assert changed.status_code == 200
    sent = books.bodies[-1]
    assert (sent["messages"], sent["max_tokens"]) == (other, 7)
    assert not {"fallbacks", "user", "api_base"} & sent.keys()
    assert latchkey.chat(key, model="gpt-down", fallbacks=["gpt-free"]).status_code == 403
    assert latchkey.chat(key, model="gpt-down", fallbacks=[own | {"max_tokens": "many"}]).status_code == 400


@pytest.mark.parametrize(
    "fallbacks", ["gpt-books", 5, {"model": "gpt-books"}, [5], [None], [{"max_tokens": 7}], [["gpt-books"]]]
)
def test_fallbacks_that_name_no_models_are_refused(latchkey: Running, books: Books, fallbacks: object) -> None:
    refused = latchkey.chat(latchkey.new_key(), model="gpt-down", fallbacks=fallbacks)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "fallbacks")


def test_clients_may_name_them_as_the_routers_settings_do(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(models=["gpt-down", "gpt-books"])
    lists = [{"another": ["gpt-free"]}, {"gpt-down": ["gpt-books"]}]
    answer = latchkey.chat(key, model="gpt-down", router_settings_override={"fallbacks": lists, "num_retries": 2})
    assert (answer.status_code, answer.headers["x-litellm-model-group"]) == (200, "gpt-books")
    assert "router_settings_override" not in books.bodies[-1]
    for bad in ("fallbacks", {"fallbacks": {"gpt-down": ["gpt-books"]}}, {"fallbacks": ["gpt-books"]}):
        refused = latchkey.chat(key, model="gpt-down", router_settings_override=bad)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "router_settings_override")


def test_the_list_of_models_tells_fallbacks_that_the_key_may_call(latchkey: Running, books: Books) -> None:
    name = failing(latchkey, books, "gpt-free", "gpt-books")
    key = latchkey.new_key(models=[name, "gpt-books"])
    assert listed(latchkey, key)
    answer = latchkey.http.get("/v1/models?include_metadata=true", headers={"authorization": f"Bearer {key}"})
    found = {row["id"]: row["metadata"]["fallbacks"] for row in answer.json()["data"]}
    assert found == {name: ["gpt-books"], "gpt-books": []}


def test_a_change_is_in_force_within_a_second(latchkey: Running, books: Books) -> None:
    name, key = failing(latchkey, books, "gpt-books"), latchkey.new_key()
    assert latchkey.chat(key, model=name, messages=say(**FAIL)).status_code == 200
    latchkey.manage("DELETE", f"/fallback/{name}")

    time.sleep(1)
    assert {latchkey.chat(key, model=name, messages=say(**FAIL)).status_code for _ in range(6)} == {502}


def test_a_model_over_its_budget_gives_way_to_the_one_that_the_key_names(latchkey: Running, books: Books) -> None:
    limits = {"gpt-books": {"budget_limit": 0.0006, "time_period": "1d"}}
    key = latchkey.new_key(model_max_budget=limits, budget_fallbacks={"gpt-books": ["no-such-model", "gpt-cancel"]})
    served = [latchkey.chat(key, messages=say(prompt=10, completion=10)) for _ in range(4)]
    assert [answer.status_code for answer in served] == [200] * 4
    groups = [answer.headers["x-litellm-model-group"] for answer in served]
    assert (groups[0], groups[-1]) == ("gpt-books", "gpt-cancel")
    assert served[-1].headers["x-litellm-attempted-fallbacks"] == "1"
    rows = latchkey.key_rows(key, "amount_nano, model")
    assert sum(amount for amount, model in rows if model == "gpt-books") <= 600_000
    assert [model for _, model in rows] == groups
    latchkey.manage("POST", "/key/update", json={"key": key, "budget_fallbacks": None})
    eventually(lambda: latchkey.chat(key).status_code == 429)
