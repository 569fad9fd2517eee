"""/model/info, /v2/model/info and /model_group/info: what is shown, to whom, and in which order."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from proxy import services
from spend import book
from tests.api.conftest import Api
from tests.api.test_models import NEW, SECRET
from tests.factories import issue


@pytest.fixture(autouse=True)
def providers(db: None) -> None:
    services.sync_providers()


def add(api: Api, name: str, public_id: str, params: dict[str, Any] | None = None, **info: Any) -> None:
    body = {"model_name": name, "litellm_params": NEW["litellm_params"] | (params or {})}  # type: ignore[operator]
    assert api.post("/model/new", body | {"model_info": {"id": public_id, **info}}).status == 200


def names(answer: Any) -> list[str]:
    return [row["model_name"] for row in answer.json["data"]]


def test_a_key_sees_the_models_that_it_may_call(api: Api) -> None:
    add(api, "alpha", "1")
    add(api, "beta", "2", access_groups=["greek"])
    _, everything = issue()
    _, one = issue(allowed_models=["alpha"])
    _, group = issue(allowed_models=["greek"])
    _, none = issue(allowed_models=["no-default-models"])
    assert names(api.get("/model/info")) == ["alpha", "beta"]
    assert names(api.get("/model/info", bearer=everything)) == ["alpha", "beta"]
    assert names(api.get("/model/info", bearer=one)) == ["alpha"]
    assert names(api.get("/v2/model/info", bearer=group)) == ["beta"]
    assert names(api.get("/model/info", bearer=none)) == []
    refused = api.get("/model/info", {"litellm_model_id": "2"}, bearer=one)
    assert refused.status == 400
    assert SECRET not in api.get("/model/info", bearer=everything).text


def test_pages_are_sorted_and_searched(api: Api) -> None:
    for number, name in enumerate(["c", "a", "b"]):
        add(api, name, str(number), {"input_cost_per_token": number})
    first = api.get("/v2/model/info", {"page": 1, "size": 2}).json
    assert [row["model_name"] for row in first["data"]] == ["a", "b"]
    assert {k: v for k, v in first.items() if k != "data"} == {
        "total_count": 3,
        "current_page": 1,
        "total_pages": 2,
        "size": 2,
    }
    assert names(api.get("/v2/model/info", {"page": 2, "size": 2})) == ["c"]
    assert names(api.get("/v2/model/info", {"sortBy": "costs", "sortOrder": "desc"})) == ["b", "a", "c"]
    assert names(api.get("/v2/model/info", {"search": "A"})) == ["a"]
    assert names(api.get("/v2/model/info", {"model": "c"})) == ["c"]
    assert names(api.get("/v2/model/info", {"modelId": "1"})) == ["a"]
    assert "openai_client" in api.get("/v2/model/info", {"debug": "True", "model": "c"}).json["data"][0]
    assert "openai_client" not in api.get("/v2/model/info", {"model": "c"}).json["data"][0]


def test_groups_show_the_models_of_a_wildcard_by_name_and_price(api: Api) -> None:
    book.seed_prices(now=datetime.now(UTC))
    everything = {"model_name": "openai/*", "litellm_params": {"model": "openai/*"}}
    assert api.post("/model/new", everything).status == 200
    add(api, "openai/gpt-4o", "exact")
    rows = api.get("/model_group/info").json["data"]
    groups = {row["model_group"]: row for row in rows}
    assert len(groups) == len(rows) > 20
    assert "openai/*" not in groups
    assert groups["openai/gpt-4o-mini"]["output_cost_per_token"] == Decimal("0.0000006")
    assert groups["openai/gpt-4o"]["input_cost_per_token"] == Decimal("0.00000015")
    assert [row["model_group"] for row in api.get("/model_group/info", {"model_group": "openai/o3"}).json["data"]] == [
        "openai/o3"
    ]


@pytest.mark.parametrize(
    ("query", "status"),
    [({"page": "0"}, 422), ({"size": "x"}, 422), ({"sortBy": "mood"}, 400), ({"sortOrder": "up"}, 400)],
)
def test_a_bad_page_is_named(api: Api, query: dict[str, str], status: int) -> None:
    answer = api.get("/v2/model/info", query)
    assert (answer.status, answer.fault) == (status, next(iter(query)))


def test_a_group_adds_up_its_deployments(api: Api) -> None:
    add(api, "alpha", "1", {"rpm": 10, "tpm": 100}, max_input_tokens=1000, supports_vision=True)
    add(api, "alpha", "2", {"rpm": 5, "input_cost_per_token": 9e-7}, max_input_tokens=4000)
    add(api, "beta", "3")
    data = api.get("/model_group/info").json["data"]
    assert [row["model_group"] for row in data] == ["alpha", "beta"]
    alpha = data[0]
    assert (alpha["providers"], alpha["mode"], alpha["max_input_tokens"]) == (["openai"], "chat", 4000)
    assert (alpha["rpm"], alpha["tpm"], alpha["input_cost_per_token"]) == (15, 100, Decimal("9e-7"))
    assert (alpha["supports_vision"], alpha["supports_function_calling"]) == (True, False)
    assert [row["model_group"] for row in api.get("/model_group/info", {"model_group": "beta"}).json["data"]] == [
        "beta"
    ]


@pytest.mark.parametrize("path", ["/model/info", "/v1/model/info", "/v2/model/info"])
def test_a_named_team_shows_what_it_may_call(api: Api, path: str) -> None:
    team = api.post("/team/new", {"team_id": "t", "models": ["alpha", "own"]}).json["team_id"]
    other = api.post("/team/new", {"team_id": "other"}).json["team_id"]
    add(api, "alpha", "1")
    add(api, "beta", "2")
    add(api, "own", "3", team_id=team)
    add(api, "gamma", "4", team_id=other)
    user = api.post("/user/new", {"user_id": "u", "teams": [team]}).json
    of_other = api.key(team_id=other)["key"]
    narrowed = api.key(team_id=team, models=["alpha"])["key"]
    for name in ("teamId", "team_id"):
        assert names(api.get(path, {name: team})) == ["alpha", "own"]
        assert names(api.get(path, {name: team}, bearer=user["key"])) == ["alpha", "own"]
        assert names(api.get(path, {name: team}, bearer=narrowed)) == ["alpha"]
        assert api.get(path, {name: team}, bearer=of_other).status == 403
        nowhere = api.get(path, {name: "nope"})
        assert (nowhere.status, "team_id" in nowhere.text) == (404, True)
    assert names(api.get(path, {"teamId": other})) == ["alpha", "beta", "gamma"]


def test_what_is_blocked_is_shown_of_a_team_only_to_who_sees_it_anyway(api: Api) -> None:
    api.post("/team/new", {"team_id": "t"})
    add(api, "alpha", "1")
    assert api.post("/model/block", {"id": "1"}).status == 200
    member = api.post("/user/new", {"user_id": "u", "teams": ["t"]}).json["key"]
    assert names(api.get("/model/info", {"teamId": "t"})) == ["alpha"]
    assert names(api.get("/model/info", {"teamId": "t"}, bearer=member)) == []
