"""Bad input gets a clear answer in OpenAI's error body; a broken upstream costs nothing."""

import contextlib
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from keys.secrets import generate
from tests.gateway.running import Running
from tests.gateway.upstream import Books, say


def _error(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error["code"] == str(status)
    return error


def test_keys_that_are_missing_malformed_or_unknown_get_401(latchkey: Running, books: Books) -> None:
    assert _error(latchkey.http.post("/v1/chat/completions", json={}), 401)["type"] == "auth_error"
    good = generate().plaintext
    assert _error(latchkey.chat("nonsense"), 401)["type"] == "auth_error"
    for key in (good[:-1] + ("a" if good[-1] != "a" else "b"), good, "sk-" + secrets.token_hex(12)):
        error = _error(latchkey.chat(key), 401)
        assert error["type"] == "token_not_found_in_db"
        assert key not in str(error)
    assert books.bodies == []


def test_a_blocked_key_is_refused_at_its_next_call_on_every_worker(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    with ThreadPoolExecutor(8) as pool:
        assert {a.status_code for a in pool.map(lambda _: latchkey.chat(key), range(16))} == {200}
        latchkey.manage("POST", "/key/block", json={"key": key})
        refused = list(pool.map(lambda _: latchkey.chat(key), range(32)))
        assert {answer.status_code for answer in refused} == {401}
        assert "blocked" in _error(refused[0], 401)["message"]
        latchkey.manage("POST", "/key/unblock", json={"key": key})
        assert {a.status_code for a in pool.map(lambda _: latchkey.chat(key), range(16))} == {200}


def test_a_call_that_the_key_may_not_make_leaves_no_row_of_whom_it_names(latchkey: Running, books: Books) -> None:
    narrow = latchkey.new_key(models=["gpt-free"])
    blocked, routed = latchkey.new_key(), latchkey.new_key(allowed_routes=["/v1/embeddings"])
    latchkey.manage("POST", "/key/block", json={"key": blocked})
    named = {"user": "nobody-yet", "metadata": {"tags": [f"unseen-{n}" for n in range(20)]}}
    answers = [latchkey.chat(key, **named).status_code for key in (narrow, blocked, routed)]
    assert answers == [403, 401, 403]
    assert latchkey.query("SELECT count(*) FROM teams_customer WHERE public_id = 'nobody-yet'") == [(0,)]
    assert latchkey.query("SELECT count(*) FROM teams_tag WHERE name LIKE 'unseen-%'") == [(0,)]
    assert latchkey.chat(latchkey.new_key(), **named).status_code == 200
    assert latchkey.query("SELECT count(*) FROM teams_customer WHERE public_id = 'nobody-yet'") == [(1,)]
    assert latchkey.query("SELECT count(*) FROM teams_tag WHERE name LIKE 'unseen-%'") == [(20,)]


def test_a_blocked_team_stops_its_keys(latchkey: Running, books: Books) -> None:
    team = latchkey.manage("POST", "/team/new", json={"team_alias": "to be blocked"})["team_id"]
    key = latchkey.new_key(team_id=team)
    assert latchkey.chat(key).status_code == 200
    latchkey.manage("POST", "/team/block", json={"team_id": team})
    assert "team" in _error(latchkey.chat(key), 401)["message"]


def test_a_deleted_and_a_regenerated_key_stop_working(latchkey: Running, books: Books) -> None:
    gone, old = latchkey.new_key(), latchkey.new_key()
    assert latchkey.chat(gone).status_code == latchkey.chat(old).status_code == 200
    latchkey.manage("POST", "/key/delete", json={"keys": [gone]})
    new = latchkey.manage("POST", f"/key/{old}/regenerate", json={})["key"]
    assert latchkey.chat(gone).status_code == 401
    assert latchkey.chat(old).status_code == 401
    assert latchkey.chat(new).status_code == 200


def test_an_expired_key_is_told_so(latchkey: Running) -> None:
    key = latchkey.new_key(duration="1s")
    time.sleep(1.1)
    error = _error(latchkey.chat(key), 401)
    assert error["type"] == "expired_key"
    assert key not in str(error)


def test_models_outside_the_list_and_unknown_models_are_told_apart(latchkey: Running) -> None:
    key = latchkey.new_key(models=["gpt-free", "no-such-model"])
    error = _error(latchkey.chat(key), 403)
    assert error["type"] == "key_model_access_denied" and "not allowed to access model" in error["message"]
    assert "Invalid model name" in _error(latchkey.chat(key, model="no-such-model"), 400)["message"]
    assert _error(latchkey.chat(key, model=None), 400)["param"] == "model"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{nonsense", 400, "not JSON"),
        (b"[]", 400, "must be a JSON object"),
        (b'{"model":"gpt-books","model":"gpt-free","messages":[]}', 400, "twice"),
        (b'{"model":"gpt-books","temperature":NaN,"messages":[]}', 400, "not JSON"),
        (b'{"model":"gpt-books","temperature":1e999,"messages":[]}', 400, "out of range"),
        (b'{"model":"gpt-books","messages":["\\ud800"]}', 400, "surrogate"),
        (b'{"model":"gpt-books","messages":' + b"[" * 150 + b"]" * 150 + b"}", 400, "deeper"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, 400, "deeper"),
        (b'{"model":"gpt-books","messages":"' + b"x" * 21 * 1024 * 1024 + b'"}', 413, "larger"),
        (b'{"model":"gpt-books","messages":[],"max_tokens":-1}', 400, "max_tokens"),
        (b'{"model":"gpt-books","messages":"hi"}', 400, "must be a list"),
        (b'{"model":"gpt-books","messages":[],"n":18446744073709551616}', 400, "64 bits"),
    ],
)
def test_a_body_that_can_be_misread_is_refused(latchkey: Running, body: bytes, status: int, says: str) -> None:
    headers = {"authorization": f"Bearer {latchkey.new_key()}", "content-type": "application/json"}
    answer = latchkey.http.post("/v1/chat/completions", content=body, headers=headers)
    assert says in _error(answer, status)["message"]


def test_a_schema_with_the_largest_number_of_64_bits_reaches_the_provider_as_it_is(
    latchkey: Running, books: Books
) -> None:
    count = {"type": "integer", "format": "uint64", "minimum": 0, "maximum": 2**64 - 1}
    tool = {"type": "function", "function": {"name": "stock", "parameters": {"properties": {"count": count}}}}
    assert latchkey.chat(latchkey.new_key(), tools=[tool]).status_code == 200
    assert books.bodies[0]["tools"] == [tool]


@pytest.mark.parametrize(
    ("path", "field"), [("chat/completions", "messages"), ("embeddings", "input"), ("images/generations", "prompt")]
)
def test_a_call_without_what_it_is_paid_for_is_refused(latchkey: Running, books: Books, path: str, field: str) -> None:
    headers = {"authorization": f"Bearer {latchkey.new_key(max_budget=0)}"}
    answer = latchkey.http.post(f"/v1/{path}", json={"model": "gpt-books"}, headers=headers)
    assert _error(answer, 400)["param"] == field
    assert books.bodies == []


def test_a_field_that_calls_need_not_have_any_more_is_not_asked_for(latchkey: Running) -> None:
    key = latchkey.new_key(enforced_params=["user"])
    assert _error(latchkey.chat(key), 400)["param"] == "user"
    latchkey.manage("POST", "/key/update", json={"key": key, "enforced_params": []})
    assert latchkey.chat(key).status_code == 200


def test_an_upstream_that_is_down_or_refuses_costs_nothing(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=1)
    assert _error(latchkey.chat(key, model="gpt-down"), 502)["type"] == "upstream_error"
    _error(latchkey.chat(key, messages=say(status=500)), 502)
    assert len(books.bodies) == 2  # the first try and the configured second one
    assert latchkey.key_rows(key) == []
    assert latchkey.manage("GET", "/key/info", params={"key": key})["info"]["spend"] == 0


def test_a_call_that_was_sent_and_never_answered_is_charged_as_held(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=1)
    _error(latchkey.chat(key, timeout=2, messages=say(hang=3)), 504)
    rows = latchkey.key_rows(key, "amount_nano, usage_source, output_tokens")
    assert [(source, tokens) for _, source, tokens in rows] == [("estimated_orphan", 20)] * 2
    assert {amount >= 20 * 10_000 for amount, _, _ in rows} == {True}


@pytest.mark.parametrize(
    ("script", "stream"), [({"raw": ""}, False), ({"raw": "<html>"}, False), ({"nothing": True}, True)]
)
def test_an_answer_that_brings_nothing_is_charged_as_it_was_held(
    latchkey: Running, books: Books, script: dict[str, Any], *, stream: bool
) -> None:
    key = latchkey.new_key(max_budget=1)
    with contextlib.suppress(httpx.HTTPError):
        latchkey.chat(key, messages=say(**script), stream=stream)
    [(amount, source, tokens)] = latchkey.key_rows(key, "amount_nano, usage_source, output_tokens")
    assert (source, tokens) == ("estimated_orphan", 20)
    assert amount >= books.total_nano > 0


def test_the_provider_refusing_our_credential_is_not_the_callers_401(latchkey: Running, books: Books) -> None:
    answer = latchkey.chat(latchkey.new_key(), messages=say(status=401))
    assert "credential" in _error(answer, 502)["message"]
    assert answer.headers["x-should-retry"] == "false"


def test_a_provider_that_names_our_credential_does_not_tell_the_caller(latchkey: Running, books: Books) -> None:
    sent = latchkey.chat(latchkey.new_key())
    credential = books.headers[-1]["Authorization"].removeprefix("Bearer ")
    assert sent.status_code == 200 and len(credential) > 16
    told = say(status=400, error={"message": f"the key {credential} may not do this"})
    assert _error(latchkey.chat(latchkey.new_key(), messages=told), 400)["message"] == "the key *** may not do this"


@pytest.mark.parametrize(("status", "told"), [(429, 429), (503, 502), (529, 502)])
def test_what_a_provider_says_about_trying_again_reaches_the_client(
    latchkey: Running, books: Books, status: int, told: int
) -> None:
    headers = {"retry-after": "7", "retry-after-ms": "6500", "x-should-retry": "false"}
    answer = latchkey.chat(latchkey.new_key(), messages=say(status=status, headers=headers))
    assert answer.status_code == told
    assert {name: answer.headers.get(name) for name in headers} == headers


def test_no_key_is_in_the_log_or_an_answer_because_it_was_in_a_path(latchkey: Running, books: Books) -> None:
    key, other = latchkey.new_key(), latchkey.new_key()
    paths = [f"/key/{other}/regenerate", f"/key/{other}/reset_spend", f"/key/{other}/nothing", f"/v1/models/{other}/x"]
    for path in paths:
        answer = latchkey.http.post(path, json={"reset_to": -1}, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code in (400, 401, 403, 404, 405)
        assert other not in answer.text
    assert other not in latchkey.log.read_text() and "/key/sk-..." in latchkey.log.read_text()


def test_a_client_can_not_choose_the_upstream_or_a_free_answer(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    stolen = {"api_base": "http://127.0.0.1:9", "api_key": "x", "base_url": "http://127.0.0.1:9", "mock_response": "0"}
    assert latchkey.chat(key, **stolen).status_code == 200
    assert not stolen.keys() & books.bodies[0].keys()
    assert latchkey.key_rows(key) == [(225_000,)]


def test_wrong_methods_and_unknown_paths_have_the_error_body(latchkey: Running) -> None:
    assert latchkey.http.get("/v1/chat/completions").status_code == 405
    for path in ("/v1/responses", "/no/such/path"):
        assert _error(latchkey.http.post(path), 404)["type"] == "not_found_error"


@pytest.mark.parametrize("version", ["", "/v1"])
@pytest.mark.parametrize(
    "path",
    [
        "/responses", "/messages", "/files", "/batches", "/fine_tuning/jobs", "/rerank", "/audio/speech",
        "/audio/transcriptions", "/images/edits", "/images/variations", "/utils/token_counter",
    ],
)  # fmt: skip
def test_calls_that_are_documented_as_not_there_are_not(latchkey: Running, version: str, path: str) -> None:
    assert {latchkey.http.get(version + path).status_code, latchkey.http.post(version + path).status_code} == {404}


def test_a_limit_of_tokens_below_a_calls_worst_case_refuses_the_first_call(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(tpm_limit=1000)
    assert latchkey.chat(key, max_tokens=1000).status_code == 429
    assert latchkey.chat(key, max_tokens=100).status_code == 200
