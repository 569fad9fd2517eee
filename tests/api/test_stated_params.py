"""`litellm_params` of answers: of address, timeout and retries what was sent, in the words it was sent in."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from proxy import services
from proxy.models import Deployment
from tests.api.conftest import Api

SECRET = "sk-provider-0123456789abcdef"
PRICES = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
USUAL = "https://api.openai.com/v1"
HOUSE = "https://llm.example.com/v1"
NAMES = ("api_base", "base_url", "timeout", "max_retries", "num_retries")


@pytest.fixture(autouse=True)
def providers(db: None) -> None:
    services.sync_providers()


def new(api: Api, **params: Any) -> dict[str, Any]:
    """What the answer states of a fresh model `m`."""
    given = {"model": "openai/ours", "api_key": SECRET, **PRICES, **params}
    answer = api.post("/model/new", {"model_name": "m", "litellm_params": given, "model_info": {"id": "m"}})
    assert answer.status == 200, answer.text
    return stated(answer.json)


def update(api: Api, **params: Any) -> dict[str, Any]:
    answer = api.patch("/model/m/update", {"litellm_params": params})
    assert answer.status == 200, answer.text
    return stated(answer.json)


def stated(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row["litellm_params"][name] for name in NAMES if name in row["litellm_params"]}


def held() -> tuple[str, int, int]:
    row = Deployment.objects.get()
    return row.base_url, row.timeout_seconds, row.max_retries


@pytest.mark.parametrize(
    ("sent", "holds"),
    [
        ({}, (USUAL, 600, 2)),
        ({"api_base": None, "timeout": None, "base_url": ""}, (USUAL, 600, 2)),
        ({"api_base": USUAL, "timeout": 600, "max_retries": 2}, (USUAL, 600, 2)),
        ({"api_base": f"{HOUSE}/", "timeout": 30.5}, (HOUSE, 30, 2)),
        ({"base_url": HOUSE, "num_retries": 0}, (HOUSE, 600, 0)),
        ({"max_retries": 3, "num_retries": 1}, (USUAL, 600, 3)),
    ],
)
def test_answers_show_what_was_sent_and_no_more(api: Api, sent: dict[str, Any], holds: tuple[str, int, int]) -> None:
    told = {name: value for name, value in sent.items() if value not in (None, "")}
    assert new(api, **sent) == told
    for path in ("/model/info", "/v1/model/info", "/v2/model/info"):
        assert stated(api.get(path).json["data"][0]) == told
    assert held() == holds
    assert update(api, rpm=5) == told
    again = {"litellm_params": {"rpm": 6}, "model_info": {"id": "m"}}
    assert stated(api.post("/model/update", again).json) == told
    assert held() == holds


def test_of_two_addresses_only_the_one_that_counts_is_kept(api: Api) -> None:
    assert new(api, api_base=HOUSE, base_url="https://user:word@llm.example.com") == {"api_base": HOUSE}
    assert "word" not in str(list(Deployment.objects.values()))


def test_an_update_is_told_by_the_name_it_was_sent_by(api: Api) -> None:
    assert new(api, api_base=HOUSE, max_retries=1) == {"api_base": HOUSE, "max_retries": 1}
    assert update(api, num_retries=4, timeout=9) == {"api_base": HOUSE, "num_retries": 4, "timeout": 9}
    assert held() == (HOUSE, 9, 4)
    assert update(api, base_url=f"{HOUSE}/v2") == {"base_url": f"{HOUSE}/v2", "num_retries": 4, "timeout": 9}
    assert held() == (f"{HOUSE}/v2", 9, 4)


def test_retries_are_numbers_by_either_name(api: Api) -> None:
    given = {"model": "openai/ours", "max_retries": 1, "num_retries": {"a": 1}, **PRICES}
    answer = api.post("/model/new", {"model_name": "m", "litellm_params": given})
    assert (answer.status, answer.error["param"]) == (400, "num_retries")


def test_what_nobody_stated_of_a_model_stays_as_it_is_when_something_else_changes(api: Api, settings: Any) -> None:
    new(api)
    settings.PROVIDER_ADDRESSES = {**settings.PROVIDER_ADDRESSES, "openai": "https://proxy.example.com/v1"}
    services.sync_providers()
    assert update(api, rpm=5) == {}
    assert held() == (USUAL, 600, 2)


def test_an_address_is_void_with_another_provider_or_once_it_is_taken_off(api: Api) -> None:
    new(api, api_base=USUAL)
    assert update(api, model="groq/ours", api_key=SECRET) == {}
    assert held()[0] == "https://api.groq.com/openai/v1"
    assert update(api, api_base=HOUSE, api_key=SECRET) == {"api_base": HOUSE}
    assert update(api, api_base="", api_key=SECRET) == {}
    assert held()[0] == "https://api.groq.com/openai/v1"


def test_a_stated_address_outlasts_its_credential_being_named_again(api: Api) -> None:
    values = {"api_key": SECRET, "api_base": HOUSE}
    api.post("/credentials", {"credential_name": "house", "credential_values": values})
    named = {"litellm_credential_name": "house"}
    assert new(api, api_key=None, api_base=f"{HOUSE}/special", **named) == {"api_base": f"{HOUSE}/special"}
    assert update(api, rpm=5, **named) == {"api_base": f"{HOUSE}/special"}
    assert held()[0] == f"{HOUSE}/special"
    api.post("/credentials", {"credential_name": "other", "credential_values": values})
    assert update(api, litellm_credential_name="other") == {}
    assert held()[0] == HOUSE


def test_what_differs_from_the_usual_counts_as_stated_in_models_from_before(api: Api) -> None:
    remember = import_module("proxy.migrations.0003_stated").remember
    new(api, api_base=HOUSE, timeout=30, max_retries=1)
    Deployment.objects.update(stated={})
    remember(apps, None)
    assert Deployment.objects.get().stated == {"api_base": HOUSE, "timeout": 30, "max_retries": 1}
    Deployment.objects.update(base_url=USUAL, timeout_seconds=600, max_retries=2)
    remember(apps, None)
    assert Deployment.objects.get().stated == {}
