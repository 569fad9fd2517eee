"""/access_group/{group}/budget and /provider/budgets: what everybody's calls to them may spend together."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from proxy import pool_services, services
from proxy.models import Pool
from proxy.pool_rules import read_provider_budgets
from teams.actors import SYSTEM
from teams.models import AuditEvent
from teams.platform_rules import BadPlatformRule
from tests.api.conftest import Api
from tests.api.test_access_groups import delete, put
from tests.api.test_models import NEW

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
PATH = "/access_group/greek/budget"


@pytest.fixture(autouse=True)
def group(api: Api) -> None:
    services.sync_providers()
    assert api.post("/model/new", NEW | {"model_name": "alpha", "model_info": {"id": "alpha"}}).status == 200
    assert api.post("/access_group/new", {"access_group": "greek", "model_names": ["alpha"]}).status == 200


def test_a_budget_is_set_shown_replaced_and_lifted(api: Api) -> None:
    assert api.get(PATH).json == {"access_group": "greek", "spend": 0.0, "budget": None}
    told = put(api, PATH, {"max_budget": 500.5, "soft_budget": 400, "budget_duration": "30d"}).json
    assert told["budget"].pop("budget_reset_at").startswith("20")
    assert told["budget"] == {
        "budget_id": Pool.objects.get().scope, "max_budget": 500.5, "soft_budget": 400.0, "budget_duration": "30d",
    }  # fmt: skip
    told = put(api, PATH, {"max_budget": 10}).json
    assert (told["budget"]["soft_budget"], told["budget"]["budget_duration"]) == (None, None)
    assert api.get(PATH).json == told
    assert api.get("/access_group/greek/info").json["budget"] == told["budget"]
    assert api.get("/access_group/list").json["access_groups"][0]["budget"] == told["budget"]
    lifted = {"access_group": "greek", "budget_deleted": True}
    assert delete(api, PATH).json == lifted | {"message": "Budget for access group 'greek' deleted successfully"}
    assert delete(api, PATH).json["budget_deleted"] is False
    actions = AuditEvent.objects.filter(action__startswith="pool.").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["pool.created", "pool.updated", "pool.deleted"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "max_budget"),
        ({"max_budget": None}, "max_budget"),
        ({"max_budget": -1}, "max_budget"),
        ({"max_budget": "NaN"}, "max_budget"),
        ({"max_budget": 10**9}, "max_budget"),
        ({"max_budget": 5, "budget_duration": "soon"}, "budget_duration"),
        ({"max_budget": 5, "soft_budget": -2}, "soft_budget"),
        ({"max_budget": 5, "rpm_limit": 3}, "rpm_limit"),
        ({"budget_id": "shared"}, "budget_id"),
    ],
)
def test_what_is_no_budget_is_refused_by_name_and_changes_nothing(api: Api, body: Any, field: str) -> None:
    refusal = put(api, PATH, body)
    assert refusal.status == 400, refusal.text
    assert field in refusal.text
    assert not Pool.objects.exists()


def test_what_is_answered_may_be_sent_back(api: Api) -> None:
    without = put(api, PATH, api.get(PATH).json)
    assert (without.status, without.json, Pool.objects.count()) == (200, api.get(PATH).json, 0)
    put(api, PATH, {"max_budget": 500.5, "soft_budget": 400, "budget_duration": "30d"})
    shown = json.loads(api.get(PATH).text)
    again = put(api, PATH, shown)
    assert (again.status, json.loads(again.text)) == (200, shown)
    for wrong in ({"access_group": "latin"}, {"budget": shown["budget"] | {"budget_id": "x"}}, {"budget": {"rpm": 1}}):
        assert put(api, PATH, shown | wrong).status == 400
    assert put(api, PATH, shown | {"budget": 5}).status == 422
    assert put(api, PATH, shown | {"budget": None}).status == 400
    assert json.loads(api.get(PATH).text) == shown


def test_a_group_that_there_is_not_has_no_budget(api: Api) -> None:
    answers = [api.get("/access_group/x/budget"), put(api, "/access_group/x/budget", {"max_budget": 1})]
    assert [answer.status for answer in [*answers, delete(api, "/access_group/x/budget")]] == [404, 404, 404]


def test_the_budget_goes_with_its_group(api: Api) -> None:
    put(api, PATH, {"max_budget": 5})
    delete(api, "/access_group/greek/delete")
    assert not Pool.objects.exists()
    api.post("/access_group/new", {"access_group": "greek", "model_names": ["alpha"]})
    assert api.get(PATH).json["budget"] is None


def test_providers_have_the_budgets_that_the_file_names_and_no_others(api: Api) -> None:
    def start(config: Any) -> Any:
        budgets = read_provider_budgets({"provider_budget_config": config})
        pool_services.apply_file(budgets, actor=SYSTEM, now=NOW)
        return api.get("/provider/budgets").json["providers"]

    told = start({"openai": {"budget_limit": 0.000000000001, "time_period": "1d"}, "vertex_ai": {"budget_limit": 5}})
    assert told["openai"].pop("budget_reset_at")
    assert told == {"openai": {"budget_limit": 0.0, "time_period": "1d", "spend": 0.0}}
    before = Pool.objects.get()
    assert start({"openai": {"budget_limit": 0.000000000001, "time_period": "1d"}})["openai"]["budget_limit"] == 0
    assert Pool.objects.get().version == before.version, "nothing changed, so nothing is announced"
    by_hand = Pool(kind=Pool.Kind.PROVIDER, name="hosted_vllm", max_budget_nano=10**9)
    pool_services.save_pool(by_hand, actor=SYSTEM, now=NOW)
    told = start({"anthropic": {"budget_limit": 7, "time_period": "1mo"}})
    assert {name: row["budget_limit"] for name, row in told.items()} == {"anthropic": 7.0, "hosted_vllm": 1.0}


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ([], "provider_budget_config"),
        ({"openai": 5}, "provider_budget_config.openai"),
        ({"openai": {"budget_limit": -1, "time_period": "1d"}}, "openai.budget_limit"),
        ({"openai": {"budget_limit": "much", "time_period": "1d"}}, "openai.budget_limit"),
        ({"openai": {"budget_limit": True, "time_period": "1d"}}, "openai.budget_limit"),
        ({"openai": {"time_period": "1d"}}, "openai.budget_limit"),
        ({"openai": {"budget_limit": 1, "time_period": "soon"}}, "openai.time_period"),
        ({"openai": {"budget_limit": 1, "tpm_limit": 5}}, "openai.tpm_limit"),
    ],
)
def test_a_budget_of_the_file_that_makes_no_sense_is_named_at_the_start(config: Any, place: str) -> None:
    with pytest.raises(BadPlatformRule, match=place.replace(".", r"\.")):
        read_provider_budgets({"provider_budget_config": config})
