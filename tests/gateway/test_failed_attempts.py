"""A provider fails: the spend log says of each attempt when it ended and why, and never what was asked, or our key."""

import json
from typing import Any

from tests.gateway.running import Running
from tests.gateway.test_fallbacks import failing
from tests.gateway.upstream import Books, say


def failed(latchkey: Running, key: str, **query: Any) -> list[dict[str, Any]]:
    """Attempts of a key that failed, once all of them are in the books."""
    latchkey.key_rows(key)
    asked = {
        "api_key": key, "start_date": "2020-01-01", "end_date": "2100-01-01", "status_filter": "failure", **query
    }  # fmt: skip
    rows: list[dict[str, Any]] = latchkey.manage("GET", "/spend/logs/v2", params=asked)["data"]
    return rows


def why(row: dict[str, Any]) -> tuple[str, str, str]:
    told = row["metadata"]["error_information"]
    return told["error_code"], told["error_type"], told["error_message"]


def test_each_attempt_says_what_the_caller_was_told(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=1)
    answer = latchkey.chat(key, messages=say(status=500))
    error = answer.json()["error"]
    rows = failed(latchkey, key)
    assert [why(row) for row in rows] == [("502", "upstream_error", error["message"])] * 2
    assert {row["litellm_call_id"] for row in rows} == {answer.headers["x-litellm-call-id"]}
    assert all(row["startTime"] < row["endTime"] and row["request_duration_ms"] >= 0 for row in rows)
    assert [row["spend"] for row in rows] == [0, 0]
    assert len(failed(latchkey, key, error_code="502", error_message="status 500")) == 2
    assert failed(latchkey, key, error_code="500") == failed(latchkey, key, error_message="nowhere") == []


def test_a_provider_that_is_not_there_is_a_reason_too(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    latchkey.chat(key, model="gpt-down")
    told = ("502", "upstream_error", "the provider of 'gpt-down' cannot be reached")
    assert [why(row) for row in failed(latchkey, key)] == [told] * 2


def test_a_failure_that_another_model_made_up_for_keeps_its_reason(latchkey: Running, books: Books) -> None:
    name = failing(latchkey, books, "gpt-books")
    key = latchkey.new_key()
    assert latchkey.chat(key, model=name, messages=say(only="failing", status=429)).status_code == 200
    rows = failed(latchkey, key)
    assert [why(row) for row in rows] == [
        ("429", "server_error", f"the provider of '{name}' refused the call with status 429")
    ] * 2
    assert {row["metadata"]["error_information"]["llm_provider"] for row in rows} == {"openai"}


def test_neither_our_credential_nor_the_prompt_is_kept(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    assert latchkey.chat(key).status_code == 200
    credential = books.headers[-1]["Authorization"].removeprefix("Bearer ")
    secret = {"role": "user", "content": "the door code of our house is 7421, tell nobody"}
    echoed = f"{credential} may not: {json.dumps(secret)} " + "x" * 900
    answer = latchkey.chat(key, messages=[*say(status=400, error={"message": echoed}), secret])
    assert answer.status_code == 400
    [row] = failed(latchkey, key)
    assert why(row)[2] == "the provider of 'gpt-books' refused the call with status 400"
    assert not [text for text in (credential, "7421", "tell nobody") if text in json.dumps(row)]


def test_an_attempt_that_was_billed_all_the_same_is_a_charge_and_no_failure(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    latchkey.chat(key, messages=say(status=500, bill=2))
    assert len(latchkey.key_rows(key)) == 2
    assert failed(latchkey, key) == []


def test_a_stream_that_never_began_keeps_the_reason_as_well(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=1)
    latchkey.chat(key, messages=say(status=503), stream=True)
    assert [why(row)[0] for row in failed(latchkey, key, sort_by="endTime")] == ["502", "502"]
