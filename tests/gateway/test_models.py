"""Which models a key may call and list: access groups, wildcards, aliases, models of one team."""

import secrets
from typing import Any

import httpx

from tests.gateway.running import MASTER, Running, eventually
from tests.gateway.upstream import Books

RATES = {"input_cost_per_token": 0.000001, "output_cost_per_token": 0.000002}


def add(latchkey: Running, books: Books, name: str, info: dict[str, Any] | None = None, **params: Any) -> str:
    house = {"model": "openai/real-model", "api_base": books.url, **RATES}
    body = {"model_name": name, "litellm_params": house | params, "model_info": info or {}}
    public_id: str = latchkey.manage("POST", "/model/new", json=body)["model_id"]
    return public_id


def listed(latchkey: Running, key: str, path: str = "/v1/models", **query: Any) -> list[str]:
    answer = latchkey.http.get(path, params=query, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["object"] == "list"
    return [row["id"] for row in answer.json()["data"]]


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == str(status)
    return str(error["type"])


def unique(name: str) -> str:
    return f"{name}-{secrets.token_hex(4)}"


def test_a_model_is_callable_as_soon_as_it_is_made_and_not_once_it_is_blocked(latchkey: Running, books: Books) -> None:
    name, key = unique("fresh"), latchkey.new_key()
    assert refused(latchkey.chat(key, model=name), 400) == "invalid_request_error"
    public_id = add(latchkey, books, name)
    assert latchkey.chat(key, model=name).status_code == 200
    assert name in listed(latchkey, key)
    latchkey.manage("POST", "/model/delete", json={"id": public_id})
    assert name not in listed(latchkey, key)


def test_an_unknown_model_is_400_and_a_forbidden_one_403(latchkey: Running, books: Books) -> None:
    free, narrow = latchkey.new_key(), latchkey.new_key(models=["gpt-books"])
    unknown = latchkey.chat(free, model="no-such-model")
    assert refused(unknown, 400) == "invalid_request_error"
    assert "Invalid model name passed in model=no-such-model" in unknown.text
    denied = latchkey.chat(narrow, model="gpt-free")
    assert refused(denied, 403) == "key_model_access_denied"
    assert "not allowed to access model" in denied.text
    assert books.bodies == []


def test_an_access_group_opens_its_models(latchkey: Running, books: Books) -> None:
    name, group = unique("grouped"), unique("group")
    add(latchkey, books, name, {"access_groups": [group]})
    key = latchkey.new_key(models=[group])
    assert latchkey.chat(key, model=name).status_code == 200
    assert refused(latchkey.chat(key, model="gpt-books"), 403) == "key_model_access_denied"
    assert listed(latchkey, key) == [name]
    assert listed(latchkey, key, include_model_access_groups="true") == [name, group]
    assert listed(latchkey, key, only_model_access_groups="true") == [group]


def test_a_wildcard_serves_and_prices_each_model_behind_it(latchkey: Running, books: Books) -> None:
    prefix = unique("w")
    unpriced = dict.fromkeys(RATES)
    public_id = add(latchkey, books, f"{prefix}/*", model="openai/*", **unpriced)
    key = latchkey.new_key(models=[f"{prefix}/*"])
    answer = latchkey.chat(key, model=f"{prefix}/gpt-4o-mini")
    assert answer.status_code == 200, answer.text
    assert books.bodies[-1]["model"] == "gpt-4o-mini"
    ((cost, model),) = latchkey.key_rows(key, "amount_nano, model")
    assert cost > 0
    assert model == f"{prefix}/gpt-4o-mini"
    assert refused(latchkey.chat(key, model=f"{prefix}/never-heard-of"), 400) == "model_not_priced"
    names = listed(latchkey, key)
    assert f"{prefix}/gpt-4o-mini" in names
    assert f"{prefix}/*" not in names
    assert f"{prefix}/*" in listed(latchkey, key, return_wildcard_routes="true")
    one = latchkey.http.get(f"/v1/models/{prefix}/gpt-4o-mini", headers={"authorization": f"Bearer {key}"})
    assert one.json()["id"] == f"{prefix}/gpt-4o-mini"
    latchkey.manage("POST", "/model/delete", json={"id": public_id})


def test_a_model_behind_a_wildcard_is_called_by_the_providers_own_name(latchkey: Running, books: Books) -> None:
    public_id = add(latchkey, books, "groq/*", model="groq/*", **dict.fromkeys(RATES))
    own, full = "llama-3.1-8b-instant", "groq/llama-3.1-8b-instant"
    for models in ([], ["groq/*"], [own]):
        key = latchkey.new_key(models=models)
        answer = latchkey.chat(key, model=own)
        assert answer.status_code == 200, answer.text
        assert (books.bodies[-1]["model"], answer.headers["x-litellm-model-group"]) == (own, full)
        assert latchkey.key_rows(key, "model") == [(full,)]
    limited = latchkey.new_key(model_max_budget={"groq/*": {"budget_limit": 0, "time_period": "1d"}})
    assert refused(latchkey.chat(limited, model=own), 429) == "budget_exceeded"
    by_own_name = latchkey.new_key(model_max_budget={own: {"budget_limit": 0, "time_period": "1d"}})
    assert refused(latchkey.chat(by_own_name, model=own), 429) == "budget_exceeded"
    denied = latchkey.new_key(models=["openai/*"])
    assert refused(latchkey.chat(denied, model=own), 403) == "key_model_access_denied"
    latchkey.manage("POST", "/model/delete", json={"id": public_id})


def test_a_teams_model_serves_its_keys_alone(latchkey: Running, books: Books) -> None:
    team = latchkey.manage("POST", "/team/new", json={"team_alias": unique("byok")})["team_id"]
    name = unique("ours")
    add(latchkey, books, name, {"team_id": team})
    inside, outside = latchkey.new_key(team_id=team), latchkey.new_key()
    assert latchkey.chat(inside, model=name).status_code == 200
    assert latchkey.chat(inside).status_code == 200
    assert refused(latchkey.chat(outside, model=name), 400) == "invalid_request_error"
    assert name in listed(latchkey, inside)
    assert name not in listed(latchkey, outside)
    master = latchkey.manage("GET", "/v1/models", params={"team_id": team})
    assert name in [row["id"] for row in master["data"]]
    foreign = latchkey.http.get(f"/v1/models?team_id={team}", headers={"authorization": f"Bearer {outside}"})
    assert refused(foreign, 403) == "auth_error"


def test_aliases_are_resolved_before_the_check_and_the_route(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(models=["gpt-books"], aliases={"mine": "gpt-books", "theirs": "gpt-free"})
    assert latchkey.chat(key, model="mine").status_code == 200
    assert refused(latchkey.chat(key, model="theirs"), 403) == "key_model_access_denied"
    assert listed(latchkey, key) == ["gpt-books"]


def test_the_list_has_openais_shape_and_takes_litellms_parameters(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(models=["gpt-books"])
    headers = {"authorization": f"Bearer {key}"}
    for path in ("/v1/models", "/models"):
        (row,) = latchkey.http.get(path, headers=headers).json()["data"]
        assert row.keys() == {"id", "object", "created", "owned_by"}
        assert (row["id"], row["object"]) == ("gpt-books", "model")
        assert isinstance(row["created"], int)
    (row,) = latchkey.http.get("/v1/models?include_metadata=true", headers=headers).json()["data"]
    assert row["metadata"] == {"fallbacks": []}
    bad = latchkey.http.get("/v1/models?include_metadata=true&fallback_type=x", headers=headers)
    assert refused(bad, 400) == "invalid_request_error"
    assert refused(latchkey.http.get("/v1/models?return_wildcard_routes=maybe", headers=headers), 400)
    assert refused(latchkey.http.get("/v1/models/gpt-free", headers=headers), 404) == "not_found_error"


def test_a_granted_model_is_callable_until_the_grant_ends(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(models=["gpt-books"])
    assert refused(latchkey.chat(key, model="gpt-free"), 403) == "key_model_access_denied"
    body = {"access_group_name": unique("grant"), "access_model_names": ["gpt-free"], "assigned_key_ids": [key]}
    group = latchkey.manage("POST", "/v1/access_group", json=body)["access_group_id"]
    assert latchkey.chat(key, model="gpt-free").status_code == 200
    headers = {"authorization": f"Bearer {MASTER}"}
    assert latchkey.http.delete(f"/v1/access_group/{group}", headers=headers).status_code == 204
    eventually(lambda: latchkey.chat(key, model="gpt-free").status_code == 403)


def test_one_request_may_ask_several_models(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(models=["gpt-books", "gpt-free"], max_budget=1)
    answers = latchkey.chat(key, model="gpt-books, gpt-free").json()
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == ["hello", "hello"]
    assert sorted(model for (model,) in latchkey.key_rows(key, "model")) == ["gpt-books", "gpt-free"]
    one, other = latchkey.chat(key, model="gpt-books,gpt-down").json()
    assert (one["object"], other["error"]["type"]) == ("chat.completion", "key_model_access_denied")
    assert refused(latchkey.chat(key, model="gpt-down,gpt-none"), 403) == "key_model_access_denied"
    assert refused(latchkey.chat(key, model="gpt-books,gpt-free", stream=True), 400) == "invalid_request_error"
    assert refused(latchkey.chat(key, model="gpt-books,"), 400) == "invalid_request_error"
    assert refused(latchkey.chat(latchkey.new_key(max_budget=0), model="gpt-books,gpt-books"), 429) == "budget_exceeded"


def test_a_name_with_a_comma_is_one_model(latchkey: Running, books: Books) -> None:
    name = unique("a,b")
    add(latchkey, books, name)
    assert latchkey.chat(latchkey.new_key(), model=name).json()["object"] == "chat.completion"


def test_calls_of_an_end_user_stay_in_the_region_or_go_to_the_default_model(latchkey: Running, books: Books) -> None:
    near, far, reserve = unique("near"), unique("far"), unique("reserve")
    add(latchkey, books, near, region_name="eu-west-1", model="openai/near")
    add(latchkey, books, near, region_name="us-east-1", model="openai/elsewhere")
    add(latchkey, books, far, region_name="us-east-1")
    add(latchkey, books, reserve, region_name="eu", model="openai/reserve")
    key, customer = latchkey.new_key(), unique("c")
    latchkey.manage("POST", "/customer/new", json={"user_id": customer, "allowed_model_region": "eu"})
    asked = [latchkey.chat(key, model=near, user=customer) for _ in range(4)]
    regions = {(answer.status_code, answer.headers["x-litellm-model-region"]) for answer in asked}
    assert (regions, {body["model"] for body in books.bodies}) == ({(200, "eu-west-1")}, {"near"})
    assert refused(latchkey.chat(key, model=far, user=customer), 403) == "customer_model_access_denied"
    assert latchkey.chat(key, model=far).status_code == 200
    latchkey.manage("POST", "/customer/update", json={"user_id": customer, "default_model": reserve})
    eventually(lambda: latchkey.chat(key, model=far, user=customer).status_code == 200)
    assert books.bodies[-1]["model"] == "reserve"
    eventually(lambda: latchkey.key_rows(key, "model")[-1] == (reserve,))


def test_what_is_taken_away_is_gone_when_that_is_answered(latchkey: Running, books: Books) -> None:
    name = unique("granted")
    add(latchkey, books, name)
    key = latchkey.new_key(models=["gpt-books"])
    token = latchkey.manage("GET", "/key/info", params={"key": key})["key"]
    groups = [
        latchkey.manage(
            "POST", "/v1/access_group", json={"access_group_name": unique("g"), "access_model_names": [name]}
        )
        for _ in range(3)
    ]
    ids = [group["access_group_id"] for group in groups]
    ways = [
        ("PUT", f"/v1/access_group/{ids[0]}", {"assigned_key_ids": []}),
        ("POST", "/key/update", {"key": token, "access_group_ids": []}),
        ("PUT", f"/v1/access_group/{ids[2]}", {"access_model_names": []}),
    ]
    for group, (method, path, body) in zip(ids, ways, strict=True):
        latchkey.manage("PUT", f"/v1/access_group/{group}", json={"assigned_key_ids": [token]})
        assert latchkey.chat(key, model=name).status_code == 200
        latchkey.manage(method, path, json=body)
        assert {latchkey.chat(key, model=name).status_code for _ in range(4)} == {403}


def test_a_deployment_sends_its_own_settings_where_the_client_says_nothing(latchkey: Running, books: Books) -> None:
    name = unique("tuned")
    public_id = add(latchkey, books, name, temperature=0.3, max_tokens=7, seed=5)
    key = latchkey.new_key()
    plain = {"messages": [{"role": "user", "content": "hi"}], "model": name}
    for said, sent in (({}, (0.3, 7)), ({"temperature": 1, "max_tokens": 3}, (1, 3))):
        assert latchkey.http.post(
            "/v1/chat/completions", json=plain | said, headers={"authorization": f"Bearer {key}"}
        ).is_success
        body = books.bodies[-1]
        cap = body.get("max_tokens") or body.get("max_completion_tokens")
        assert (body["temperature"], cap, body["seed"]) == (*sent, 5)
    latchkey.manage("POST", "/model/delete", json={"id": public_id})


def test_a_teams_model_of_a_known_name_takes_its_calls_from_the_answer_on(latchkey: Running, books: Books) -> None:
    team = latchkey.manage("POST", "/team/new", json={"team_alias": unique("byok")})["team_id"]
    name = unique("shared")
    add(latchkey, books, name)
    key = latchkey.new_key(team_id=team)
    assert latchkey.chat(key, model=name).status_code == 200
    own = add(latchkey, books, name, {"team_id": team}, model="openai/of-the-team")
    answers = [latchkey.chat(key, model=name) for _ in range(4)]
    assert {answer.headers["x-litellm-model-id"] for answer in answers} == {own}
    assert books.bodies[-1]["model"] == "of-the-team"
