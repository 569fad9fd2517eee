"""Rules of the configuration file, met by calls to a Latchkey that was started with them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.gateway.running import MASTER, Running, eventually, running
from tests.gateway.test_budgets import COST
from tests.gateway.test_models import RATES, add, listed, refused
from tests.gateway.upstream import Books, say

RULES = """
general_settings:
  max_parallel_requests: 2
  max_request_size_mb: 0.01
  admin_only_routes: ["/embeddings", "/tag/*"]
  litellm_key_header_name: X-Our-Key
  enforce_user_param: true
litellm_settings:
  require_auth_for_metrics_endpoint: false
  apply_user_budget_to_team_keys: true
  model_alias_map: {gpt-older: gpt-free}
router_settings:
  model_group_alias:
    gpt-old: gpt-books
    gpt-silent: {model: gpt-books, hidden: true}
    gpt-nowhere: never-heard-of
    gpt-short: llama-3.1-8b-instant
"""


@pytest.fixture(scope="module")
def ruled(provider: Books, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("ruled"), provider.url, more=RULES) as server:
        yield server


def test_calls_at_once_are_limited_over_all_keys_and_workers(ruled: Running, books: Books) -> None:
    keys = [ruled.new_key() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda key: ruled.chat(key, user="u", messages=say(delay=1.5)), keys))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["rate_limit_type"] == "max_parallel_requests"
    assert "all keys together" in refused.json()["error"]["message"]
    assert ruled.chat(keys[0], user="u").status_code == 200


def test_metrics_that_the_file_opens_need_no_key(ruled: Running) -> None:
    shown = ruled.http.get("/metrics")
    assert shown.status_code == 200
    assert "latchkey_answers_total" in shown.text


def test_rules_of_the_file_hold_for_every_call(ruled: Running, books: Books) -> None:
    key = ruled.new_key()
    assert ruled.chat(key).status_code == 400
    assert ruled.chat(key, user="u", messages=[{"role": "user", "content": "x" * 20_000}]).status_code == 413
    body = {"model": "embed-books", "input": "x", "user": "u"}
    answers = [
        ruled.http.post("/v1/embeddings", json=body, headers={"x-our-key": f"Bearer {who}", "authorization": "Basic x"})
        for who in (key, MASTER)
    ]
    assert [answer.status_code for answer in answers] == [403, 200]
    assert "admin only route" in answers[0].json()["error"]["message"]
    assert ruled.http.get("/tag/list", headers={"authorization": f"Bearer {key}"}).status_code == 403


def test_people_may_pay_for_the_calls_of_their_team_keys(ruled: Running, books: Books) -> None:
    budget = 2 * COST / 10**9 + 0.0001
    user = ruled.manage("POST", "/user/new", json={"max_budget": budget, "models": ["gpt-free"], "rpm_limit": 1})
    team = ruled.manage(
        "POST", "/team/new", json={"members_with_roles": [{"role": "user", "user_id": user["user_id"]}]}
    )
    keys = [ruled.new_key(team_id=team["team_id"], user_id=user["user_id"]) for _ in range(2)]
    answers = [ruled.chat(keys[n % 2], user="u") for n in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert "User=" in answers[-1].json()["error"]["message"]
    assert ruled.chat(ruled.new_key(team_id=team["team_id"]), user="u").status_code == 200


def test_a_model_is_called_and_limited_by_its_aliases_too(ruled: Running, books: Books) -> None:
    key = ruled.new_key(models=["gpt-old"])
    answer = ruled.chat(key, model="gpt-old", user="u")
    assert answer.status_code == 200, answer.text
    assert (books.bodies[-1]["model"], answer.headers["x-litellm-model-group"]) == ("real-model", "gpt-books")
    assert ruled.key_rows(key, "model") == [("gpt-books",)]
    assert refused(ruled.chat(key, model="gpt-older", user="u"), 403) == "key_model_access_denied"
    spent = ruled.new_key(model_max_budget={"gpt-silent": {"budget_limit": 0, "time_period": "1d"}})
    for name in ("gpt-old", "gpt-silent", "gpt-books"):
        assert refused(ruled.chat(spent, model=name, user="u"), 429) == "budget_exceeded"
    assert ruled.chat(spent, model="gpt-older", user="u").status_code == 200
    assert refused(ruled.chat(spent, model="gpt-nowhere", user="u"), 400) == "invalid_request_error"


def test_an_alias_of_a_model_behind_a_wildcard_is_limited_like_it(ruled: Running, books: Books) -> None:
    public_id = add(ruled, books, "groq/*", model="groq/*", **dict.fromkeys(RATES))
    names = ("gpt-short", "llama-3.1-8b-instant", "groq/llama-3.1-8b-instant")
    for name in names:
        key = ruled.new_key(models=[name])
        assert [ruled.chat(key, model=each, user="u").status_code for each in names] == [200] * 3, name
        spent = ruled.new_key(model_max_budget={name: {"budget_limit": 0, "time_period": "1d"}})
        assert [ruled.chat(spent, model=each, user="u").status_code for each in names] == [429] * 3, name
    ruled.manage("POST", "/model/delete", json={"id": public_id})


def test_a_group_opens_what_its_aliases_mean(ruled: Running, books: Books) -> None:
    body = {"access_group_name": "by alias", "access_model_names": ["gpt-old"]}
    group = ruled.manage("POST", "/v1/access_group", json=body)["access_group_id"]
    key = ruled.new_key(models=["gpt-free"], access_group_ids=[group])
    for name in ("gpt-old", "gpt-books", "gpt-older"):
        eventually(lambda name=name: ruled.chat(key, model=name, user="u").status_code == 200)  # type: ignore[misc]


def test_aliases_are_listed_unless_they_are_hidden(ruled: Running) -> None:
    key = ruled.new_key(models=["gpt-books"])
    assert listed(ruled, key) == ["gpt-books", "gpt-old"]
    shown = [ruled.http.get(f"/v1/models/{name}", headers={"authorization": f"Bearer {key}"}) for name in (
        "gpt-old", "gpt-silent", "gpt-older", "gpt-nowhere")]  # fmt: skip
    assert [answer.status_code for answer in shown] == [200, 200, 404, 404]
    known = ruled.manage("GET", "/router/settings")["current_values"]["model_group_alias"]
    assert known["gpt-silent"] == {"model": "gpt-books", "hidden": True}
    assert (known["gpt-old"], known["gpt-older"]) == ("gpt-books", "gpt-free")
