"""Limits of one scope for an access group: they count the calls to whatever models are in it when a call is made."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.gateway.running import Running, eventually
from tests.gateway.test_budgets import COST
from tests.gateway.test_models import refused
from tests.gateway.test_pools import group_of, usd
from tests.gateway.upstream import Books, say

DAILY, FOR_GOOD = {"time_period": "1d"}, {}


def limited(group: str, calls: float, **window: str) -> dict[str, Any]:
    return {"model_max_budget": {group: {"budget_limit": usd(calls) + 0.0001, **window}}}


@pytest.mark.parametrize("window", [DAILY, FOR_GOOD, {"time_period": "rolling 1h"}], ids=["daily", "ever", "rolling"])
def test_a_budget_for_a_group_counts_all_its_models_and_no_others(
    latchkey: Running, books: Books, window: dict[str, str]
) -> None:
    group = group_of(latchkey, "gpt-books", "gpt-cancel")
    key = latchkey.new_key(**limited(group, 10, **window))
    with ThreadPoolExecutor(24) as threads:
        models = [("gpt-books", "gpt-cancel")[n % 2] for n in range(40)]
        answers = list(threads.map(lambda m: latchkey.chat(key, model=m, messages=say(delay=0.05)), models))
    served = [answer for answer in answers if answer.status_code == 200]
    assert 8 <= len(served) <= 10
    assert {refused(answer, 429) for answer in answers if answer not in served} == {"budget_exceeded"}
    spent = sum(amount for (amount,) in latchkey.key_rows(key))
    assert spent == len(served) * COST == books.total_nano
    assert latchkey.chat(key, model="gpt-free").status_code == 200
    usage = latchkey.manage("GET", "/key/info", params={"key": key})["info"]["model_max_budget_usage"][group]
    assert usage["spend"] == pytest.approx(usd(len(served)))
    latchkey.manage("DELETE", f"/access_group/{group}/delete")


@pytest.mark.parametrize("owner", ["team", "user", "organization"])
def test_so_it_does_for_whoever_is_above_the_key(latchkey: Running, books: Books, owner: str) -> None:
    group, bound = group_of(latchkey, "gpt-books"), None
    made = latchkey.manage("POST", f"/{owner}/new", json=limited(group, 2, **DAILY) | {"organization_alias": "O"})
    bound = {f"{owner}_id": made[f"{owner}_id"]}
    keys = [latchkey.new_key(**bound) for _ in range(2)]
    assert [latchkey.chat(keys[n % 2]).status_code for n in range(4)] == [200, 200, 429, 429]
    latchkey.manage("DELETE", f"/access_group/{group}/delete")


def test_lost_counters_are_read_again_from_the_ledger(latchkey: Running, books: Books) -> None:
    group = group_of(latchkey, "gpt-books")
    key = latchkey.new_key(**limited(group, 2, **DAILY))
    assert latchkey.chat(key).status_code == latchkey.chat(key).status_code == 200
    latchkey.key_rows(key)
    with latchkey.store() as store:
        store.flushall()
    assert latchkey.chat(key).status_code == 429
    latchkey.manage("DELETE", f"/access_group/{group}/delete")


def test_a_call_stays_with_the_group_that_its_model_was_in(latchkey: Running, books: Books) -> None:
    group = group_of(latchkey, "gpt-books")
    key = latchkey.new_key(**limited(group, 2, **DAILY))
    assert latchkey.chat(key).status_code == latchkey.chat(key).status_code == 200
    latchkey.manage("PUT", f"/access_group/{group}/update", json={"model_names": ["gpt-cancel"]})
    eventually(lambda: latchkey.chat(key).status_code == 200)
    assert latchkey.chat(key, model="gpt-cancel").status_code == 429
    latchkey.manage("DELETE", f"/access_group/{group}/delete")


def test_a_rate_for_a_group_is_shared_by_its_models(latchkey: Running, books: Books) -> None:
    group = group_of(latchkey, "gpt-books", "gpt-cancel")
    key = latchkey.new_key(model_rpm_limit={group: 2})
    while time.time() % 60 > 50:
        time.sleep(1)
    told = [latchkey.chat(key, model=model).status_code for model in ("gpt-books", "gpt-cancel") * 2]
    assert told == [200, 200, 429, 429]
    latchkey.manage("DELETE", f"/access_group/{group}/delete")


def test_a_group_is_in_force_when_its_making_is_answered(latchkey: Running, books: Books) -> None:
    latchkey.chat(latchkey.new_key())
    for _ in range(3):
        group = group_of(latchkey, "gpt-books")
        key = latchkey.new_key(model_rpm_limit={group: 0})
        assert {latchkey.chat(key).status_code for _ in range(4)} == {429}
        latchkey.manage("DELETE", f"/access_group/{group}/delete")
