"""Models that are made before the credential they name: they wait for it, and for none of another host."""

from typing import Any

import pytest
from django.utils import timezone

from proxy import merging, services
from proxy.from_litellm import read_model
from proxy.models import Credential, Deployment, Provider
from proxy.runtime.errors import GatewayError
from proxy.runtime.permit import callable_targets
from proxy.shelves import load_catalog
from teams.actors import SYSTEM
from teams.models import Team, User
from tests.api.conftest import Api
from tests.api.test_models import SECRET
from tests.factories import NOON, issue

HOUSE = "https://llm.example.com/v1"
USUAL = "https://api.openai.com/v1"
PRICES = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}


@pytest.fixture(autouse=True)
def providers(db: None) -> None:
    services.sync_providers()


def make(api: Api, team: Team | None = None, credential: str = "house", **params: Any) -> None:
    """The model `m`, which names a credential."""
    given = {"model": "openai/ours", "litellm_credential_name": credential, **PRICES, **params}
    info = {"id": "m", "team_id": team.public_id if team else None}
    answer = api.post("/model/new", {"model_name": "m", "litellm_params": given, "model_info": info})
    assert answer.status == 200, answer.text
    assert answer.json["litellm_params"]["litellm_credential_name"] == credential


def store(api: Api, address: str | None = HOUSE) -> None:
    values = {"api_key": SECRET, "api_base": address}
    assert api.post("/credentials", {"credential_name": "house", "credential_values": values}).status == 200


def now() -> tuple[str, str, str]:
    """Credential, what is waited for, and address of `m`."""
    row = Deployment.objects.get(public_id="m")
    return row.credential.name if row.credential else "", row.awaited_credential, row.base_url


def test_a_model_waits_for_its_credential_and_then_has_it_and_its_address(api: Api) -> None:
    make(api)
    assert now() == ("", "house", USUAL)
    waiting = load_catalog(timezone.now()).everybody.models["m"]
    with pytest.raises(GatewayError, match="the credential of model 'm' is not stored yet") as refusal:
        callable_targets(waiting, "m")
    assert (refusal.value.status, refusal.value.type) == (400, "credential_not_found")
    assert "not there yet" in api.get("/health").text
    store(api)
    assert now() == ("house", "", HOUSE)
    [ready] = callable_targets(load_catalog(timezone.now()).everybody.models["m"], "m")
    assert (ready.secret, ready.base_url) == (SECRET, HOUSE)
    # Where others serve the model, the one that waits is passed over.
    assert callable_targets((*waiting, ready), "m") == (ready,)
    shown = api.get("/model/info").json["data"][0]["litellm_params"]
    assert (shown["litellm_credential_name"], "api_base" in shown) == ("house", False)


def test_a_stated_address_stays_and_takes_no_secret_of_another_host(api: Api) -> None:
    make(api, api_base=f"{HOUSE}/special")
    store(api, "https://elsewhere.example.com/v1")
    assert now() == ("", "house", f"{HOUSE}/special")
    [target] = load_catalog(timezone.now()).everybody.models["m"]
    assert (target.secret, target.waits) == ("", True)
    assert api.patch("/model/m/update", {"litellm_params": {"rpm": 5}}).status == 200
    assert now() == ("", "house", f"{HOUSE}/special")
    named = {"litellm_params": {"litellm_credential_name": "house"}}
    assert api.patch("/model/m/update", named).status == 400
    moved = {"credential_values": {"api_key": SECRET, "api_base": HOUSE}}
    assert api.patch("/credentials/house", moved).status == 200
    assert now() == ("house", "", f"{HOUSE}/special")


def test_nor_does_a_model_without_an_address_take_one_of_another_provider(api: Api) -> None:
    make(api)
    groq = Credential(name="house", provider=Provider.objects.get(slug="groq"), host="api.groq.com")
    services.store_credential(groq, SECRET, actor=SYSTEM)
    assert now() == ("", "house", USUAL)


def test_a_models_own_secret_is_not_what_another_one_waits_for(api: Api) -> None:
    make(api, credential="b b")
    given = {"model": "openai/b", "api_key": SECRET, **PRICES}
    api.post("/model/new", {"model_name": "b", "litellm_params": given, "model_info": {"id": "b"}})
    assert now() == ("", "b b", USUAL)
    own = Credential.objects.get().name
    another = {"model": "openai/c", "litellm_credential_name": own, **PRICES}
    api.post("/model/new", {"model_name": "c", "litellm_params": another})
    row = Deployment.objects.get(model__name="c")
    assert (row.credential, row.awaited_credential) == (None, own)


def test_a_model_of_a_provider_without_an_address_takes_that_of_the_credential_it_waits_for(api: Api) -> None:
    params = {"model": "hosted_vllm/llama", "litellm_credential_name": "ours", **PRICES}
    assert api.post("/model/new", {"model_name": "late", "litellm_params": params}).status == 200
    values = {"api_key": SECRET, "api_base": "https://vllm.example.com/v1"}
    api.post("/credentials", {"credential_name": "ours", "credential_values": values})
    row = Deployment.objects.get(model__name="late")
    assert (row.credential is not None, row.base_url) == (True, "https://vllm.example.com/v1")


def test_a_waiting_model_can_be_changed_and_goes_on_waiting(api: Api) -> None:
    make(api)
    for params in ({"rpm": 5}, {"litellm_credential_name": "house", "rpm": 6}):
        assert api.patch("/model/m/update", {"litellm_params": params}).status == 200
        assert now() == ("", "house", USUAL)
    other = {"litellm_params": {"litellm_credential_name": "nobody"}}
    assert api.patch("/model/m/update", other).error["param"] == "litellm_params.litellm_credential_name"
    assert api.patch("/model/m/update", {"litellm_params": {"api_key": SECRET}}).status == 200
    store(api)
    row = Deployment.objects.get()
    assert row.credential is not None
    assert (row.credential.is_own, row.awaited_credential) == (True, "")


def test_a_working_model_is_not_made_to_wait(api: Api) -> None:
    store(api)
    make(api)
    refused = api.patch("/model/m/update", {"litellm_params": {"litellm_credential_name": "nobody"}})
    assert (refused.status, refused.error["param"]) == (400, "litellm_params.litellm_credential_name")
    assert now() == ("house", "", HOUSE)


def test_a_credential_that_is_stored_while_the_model_is_made_is_found(api: Api) -> None:
    params = {"model": "openai/ours", "litellm_credential_name": "house", **PRICES}
    new = merging.plain(read_model("m", params, {"id": "m"}, Deployment.Source.API, may_wait=True))
    store(api)
    made = services.add_deployment(new.deployment, "m", actor=SYSTEM, now=NOON, price=new.price)
    assert (made.awaited_credential, made.base_url) == ("", HOUSE)
    assert now() == ("house", "", HOUSE)


def test_who_leads_a_team_changes_no_model_that_waits_for_a_secret_of_the_platform(
    api: Api, search: Team, grace: User
) -> None:
    make(api, search)
    _, secret = issue(user=grace)
    free = {"litellm_params": {"input_cost_per_token": 0, "output_cost_per_token": 0}}
    assert api.patch("/model/m/update", free, bearer=secret).status == 403
    body = {"model_name": "n", "litellm_params": {"model": "openai/n", "litellm_credential_name": "x", **PRICES}}
    assert api.post("/model/new", body | {"model_info": {"team_id": search.public_id}}, bearer=secret).status == 403


def test_a_connection_is_not_tested_without_the_credential_that_is_named(api: Api) -> None:
    body = {"litellm_params": {"model": "openai/ours", "litellm_credential_name": "house"}}
    assert api.post("/health/test_connection", body).status == 400
