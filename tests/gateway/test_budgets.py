"""A budget is a ceiling, whatever the number of callers and workers; the ledger equals the upstream's books."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from tests.gateway.running import Running, eventually
from tests.gateway.upstream import Books, say

#: One call of `PLAIN` is billed 10 x 2,500 + 20 x 10,000 nano-USD; its hold counts the input by bytes.
COST = 225_000


def _many(latchkey: Running, key: str, count: int, **body: object) -> list[httpx.Response]:
    with ThreadPoolExecutor(24) as pool:
        return list(pool.map(lambda _: latchkey.chat(key, **body), range(count)))


def test_spend_equals_the_books_of_the_upstream(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=10)
    for prompt, completion in [(1, 1), (3, 7), (999, 13)]:
        assert latchkey.chat(key, messages=say(prompt=prompt, completion=completion)).status_code == 200
    assert sum(amount for (amount,) in latchkey.key_rows(key)) == books.total_nano
    info = latchkey.manage("GET", "/key/info", params={"key": key})["info"]
    assert round(info["spend"] * 10**9) == books.total_nano


def test_a_budget_for_three_calls_serves_three_and_never_a_fourth(latchkey: Running, books: Books) -> None:
    # The input's byte bound of "hi" is above the 10 tokens it is billed as, so a little slack lets all three fit.
    key = latchkey.new_key(max_budget=3 * COST / 10**9 + 0.00005, budget_duration="30d")
    answers = [latchkey.chat(key) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    error = answers[-1].json()["error"]
    assert error["type"] == "budget_exceeded" and error["code"] == "429"
    assert "key '" in error["message"] and "window ends at" in error["message"]
    assert answers[-1].headers["x-should-retry"] == "false"


@pytest.mark.parametrize("spend", [1, 2])
@pytest.mark.parametrize("window", [{}, {"budget_duration": "30d"}, {"budget_duration": "rolling 24h"}])
def test_a_key_that_spent_its_budget_elsewhere_is_refused_from_the_first_call_on(
    latchkey: Running, books: Books, spend: int, window: dict[str, str]
) -> None:
    key = latchkey.new_key(max_budget=1, spend=spend, **window)
    answer = latchkey.chat(key)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "budget_exceeded")
    assert (books.total_nano, latchkey.key_rows(key)) == (0, [])


def test_what_is_carried_over_in_an_update_counts_at_once(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=1)
    assert latchkey.chat(key).status_code == 200
    latchkey.manage("POST", "/key/update", json={"key": key, "spend": 1})
    assert latchkey.chat(key).status_code == 429
    latchkey.manage("POST", "/key/update", json={"key": key, "spend": 0.5})
    assert latchkey.chat(key).status_code == 200
    assert sum(amount for (amount,) in latchkey.key_rows(key)) == books.total_nano


@pytest.mark.parametrize("scope", ["key", "team", "user"])
def test_no_number_of_concurrent_callers_gets_past_a_budget(latchkey: Running, books: Books, scope: str) -> None:
    limit = {"max_budget": 10 * COST / 10**9 + 0.0001}
    if scope == "team":
        team = latchkey.manage("POST", "/team/new", json={"team_alias": "crowd", **limit})["team_id"]
        key = latchkey.new_key(team_id=team)
    elif scope == "user":
        key = latchkey.manage("POST", "/user/new", json={"user_email": "crowd@example.com", **limit})["key"]
    else:
        key = latchkey.new_key(**limit)
    answers = _many(latchkey, key, 60, messages=say(delay=0.05))
    served = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} == {200, 429}
    spent = sum(amount for (amount,) in latchkey.key_rows(key))
    assert spent == len(served) * COST == books.total_nano
    assert 8 <= len(served) <= 10


def test_a_call_without_a_cap_gets_one_that_the_budget_affords(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=0.001)
    answer = latchkey.chat(key, max_tokens=None)
    assert answer.status_code == 200
    cap = int(answer.headers["x-latchkey-output-cap"])
    assert 0 < cap < 100
    assert books.bodies[0]["max_completion_tokens"] == cap


def test_a_zero_budget_serves_nothing_but_free_models(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=0)
    assert latchkey.chat(key).status_code == 429
    assert latchkey.chat(key, model="gpt-free").status_code == 200
    assert latchkey.key_rows(key) == [(0,)]


def test_a_raised_budget_counts_at_the_next_call(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=0.0000001)
    assert latchkey.chat(key).status_code == 429
    latchkey.manage("POST", "/key/update", json={"key": key, "max_budget": 1})
    assert {answer.status_code for answer in _many(latchkey, key, 8)} == {200}


def test_a_budget_set_later_knows_what_was_spent_before(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    assert latchkey.chat(key).status_code == 200
    latchkey.key_rows(key)
    latchkey.manage("POST", "/key/update", json={"key": key, "max_budget": COST / 10**9})
    assert latchkey.chat(key).status_code == 429


def test_a_request_limit_is_exact_across_workers(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(rpm_limit=5)
    answers = _many(latchkey, key, 15)
    # A minute that turns in between opens another five.
    assert 5 <= sum(answer.status_code == 200 for answer in answers) <= 10
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) <= 60
    assert "Limit type: requests" in refused.json()["error"]["message"]


def test_parallel_slots_are_given_back(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_parallel_requests=2)
    answers = _many(latchkey, key, 8, messages=say(delay=0.4))
    # Callers that a busy machine starts late find a slot that was given back.
    assert 2 <= sum(answer.status_code == 200 for answer in answers) < 8
    eventually(lambda: latchkey.chat(key).status_code == 200)


def test_a_slot_is_free_as_soon_as_the_answer_is_there(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_parallel_requests=1)
    asked = {"model": "gpt-books", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}
    for stream in (False, True):
        answers = [
            latchkey.http.post(
                "/v1/chat/completions", json={**asked, "stream": stream}, headers={"authorization": f"Bearer {key}"}
            )
            for _ in range(25)
        ]
        assert [answer.status_code for answer in answers] == [200] * 25


def test_customers_whom_a_key_is_the_first_to_name_get_the_budget_it_says(latchkey: Running, books: Books) -> None:
    budget = latchkey.manage("POST", "/budget/new", json={"max_budget": 2 * COST / 10**9 + 0.00005})["budget_id"]
    key = latchkey.new_key(end_user_budget_id=budget)
    for customer in ("ada of the shop", "grace of the shop"):
        assert [latchkey.chat(key, user=customer).status_code for _ in range(3)] == [200, 200, 429]
    known = latchkey.manage("GET", "/customer/info", params={"end_user_id": "ada of the shop"})
    assert known["litellm_budget_table"]["budget_id"] == budget
    assert [latchkey.chat(latchkey.new_key(), user="alan of the shop").status_code for _ in range(3)] == [200] * 3


def test_the_budget_that_a_key_gives_its_customers_is_in_force_at_the_next_call(
    latchkey: Running, books: Books
) -> None:
    budget = latchkey.manage("POST", "/budget/new", json={"max_budget": 0})["budget_id"]
    for number in range(5):
        key = latchkey.new_key()
        assert [latchkey.chat(key).status_code for _ in range(4)] == [200] * 4
        latchkey.manage("POST", "/key/update", json={"key": key, "end_user_budget_id": budget})
        assert latchkey.chat(key, user=f"late {number}").status_code == 429


def test_an_emptied_counter_store_is_read_from_the_ledger_again(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=3 * COST / 10**9 + 0.00005)
    assert [latchkey.chat(key).status_code for _ in range(2)] == [200, 200]
    latchkey.key_rows(key)
    _flush(latchkey)
    assert [latchkey.chat(key).status_code for _ in range(3)] == [200, 429, 429]


def test_losing_the_counters_under_load_lets_nobody_past_a_budget(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=10 * COST / 10**9 + 0.0001)
    with ThreadPoolExecutor(25) as pool:
        calls = [pool.submit(latchkey.chat, key, messages=say(delay=0.1)) for _ in range(60)]
        for _ in range(3):
            time.sleep(0.1)
            _flush(latchkey)
        statuses = [call.result().status_code for call in calls]
    assert set(statuses) <= {200, 429, 503}
    spent = sum(amount for (amount,) in latchkey.key_rows(key))
    assert spent == statuses.count(200) * COST == books.total_nano
    assert spent <= 10 * COST
    eventually(lambda: latchkey.chat(key, max_tokens=1).status_code in (200, 429))


def _flush(latchkey: Running) -> None:
    with redis.Redis(unix_socket_path=str(latchkey.folder / "valkey" / "valkey.sock")) as store:
        store.flushall()
