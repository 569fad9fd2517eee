from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from keys import vault
from proxy import merging, services
from proxy.call_defaults import CallDefaults
from proxy.config_file import read_config
from proxy.from_config import ModelRefused, apply_models
from proxy.from_litellm import read_model
from proxy.models import Credential, Deployment, LanguageModel, Provider
from proxy.shelves import load_catalog
from spend import book
from spend.models import Price
from teams.actors import MASTER
from teams.models import AuditEvent, PolicyChange
from tests.factories import NOON

pytestmark = pytest.mark.django_db

SECRET = "sk-provider-0123456789"
RATES = {"input_cost_per_token": "0.000001", "output_cost_per_token": "0.000002"}
HOUSE = {"model": "openai_like/llama", "api_base": "https://llm.example.com/v1", "api_key": SECRET, **RATES}


@pytest.fixture(autouse=True)
def providers(db: None) -> None:
    services.sync_providers()


def add(name: str = "house", info: dict[str, Any] | None = None, **params: Any) -> Deployment:
    new = read_model(name, HOUSE | params, info or {}, Deployment.Source.API)
    return services.add_deployment(new.deployment, new.name, actor=MASTER, now=NOON, secret=new.secret, price=new.price)


def credential() -> Credential:
    row = Credential(name="main", provider=Provider.objects.get(slug="openai"), host="api.openai.com")
    return services.store_credential(row, SECRET, actor=MASTER)


def test_a_provider_may_have_another_address(db: None, settings: Any) -> None:
    settings.PROVIDER_ADDRESSES = {**settings.PROVIDER_ADDRESSES, "openai": "http://127.0.0.1:9/v1"}
    services.sync_providers()
    assert Provider.objects.get(slug="openai").base_url == "http://127.0.0.1:9/v1"
    assert Provider.objects.get(slug="groq").base_url == "https://api.groq.com/openai/v1"


def test_providers_are_synced_once() -> None:
    count = Provider.objects.count()
    services.sync_providers()
    assert Provider.objects.count() == count > 5


def test_a_credential_is_stored_encrypted_and_opens_for_the_gateway_alone() -> None:
    row = credential()
    assert SECRET not in row.envelope
    assert services.reveal(Credential.objects.get(pk=row.pk)) == SECRET
    assert SECRET not in str(list(AuditEvent.objects.values()))
    assert PolicyChange.objects.filter(scope="catalog:0").exists()


def test_an_envelope_swapped_between_rows_or_hosts_does_not_open() -> None:
    row = credential()
    Credential.objects.filter(pk=row.pk).update(host="evil.example")
    with pytest.raises(vault.CannotDecrypt):
        services.reveal(Credential.objects.get(pk=row.pk))


@pytest.mark.parametrize("secret", ["", "****", "•••", "sk-…6789"])
def test_a_masked_secret_is_refused(secret: str) -> None:
    row = credential()
    with pytest.raises(ValidationError, match="masked"):
        services.store_credential(row, secret, actor=MASTER)
    assert services.reveal(row) == SECRET


def test_a_credential_in_use_is_kept() -> None:
    deployment = add()
    assert deployment.credential is not None
    with pytest.raises(ValidationError, match="still use"):
        services.delete_credential(deployment.credential, actor=MASTER)


def test_a_deployment_brings_model_credential_and_price(providers: None) -> None:
    deployment = add()
    assert deployment.model.name == "house"
    assert deployment.credential is not None
    assert (deployment.credential.host, services.reveal(deployment.credential)) == ("llm.example.com", SECRET)
    assert book.cards_at(NOON, [deployment.price_item])[deployment.price_item].base.output == 2_000_000
    assert SECRET not in str(list(AuditEvent.objects.values()))
    assert SECRET not in str(deployment.params)


def test_a_model_without_a_price_is_refused_unless_it_is_free() -> None:
    with pytest.raises(ValidationError, match="no price is known") as refusal:
        add(input_cost_per_token=None, output_cost_per_token=None)
    assert "input_cost_per_token" in refusal.value.message_dict
    assert not LanguageModel.objects.exists()
    assert add(input_cost_per_token=0, output_cost_per_token=0).is_free


def test_a_known_model_takes_price_and_size_from_the_book() -> None:
    book.seed_prices(now=NOON)
    deployment = add("mini", model="openai/gpt-4o-mini", api_base=None, **dict.fromkeys(RATES))
    assert (deployment.base_url, deployment.max_input_tokens) == ("https://api.openai.com/v1", 128_000)
    assert services.price_item(deployment) == "openai/gpt-4o-mini"
    assert not Price.objects.filter(item=deployment.price_item).exists()


def test_the_same_price_is_not_added_twice() -> None:
    deployment = add()
    again = Price(input=Decimal(RATES["input_cost_per_token"]), output=Decimal(RATES["output_cost_per_token"]))
    assert services.set_own_price(deployment, again, actor=MASTER, now=NOON + timedelta(days=1)) is None
    assert Price.objects.filter(item=deployment.price_item).count() == 1


def test_the_last_deployment_takes_its_model_and_credential_along() -> None:
    first, second = add(), add()
    services.delete_deployment(first, actor=MASTER)
    assert LanguageModel.objects.filter(name="house").exists()
    services.delete_deployment(second, actor=MASTER)
    assert not LanguageModel.objects.exists()
    assert not Credential.objects.exists()
    assert AuditEvent.objects.filter(action="model.deleted").count() == 2


@pytest.mark.parametrize(
    ("params", "info", "field"),
    [
        ({"model": ""}, {}, "litellm_params.model"),
        ({"model": "nobody/llama", "api_base": None}, {}, "litellm_params.model"),
        ({"api_base": None}, {}, "api_base"),
        ({"api_base": "https://user:secret@llm.example.com"}, {}, "api_base"),
        ({"api_base": "file:///etc/passwd"}, {}, "api_base"),
        ({"api_base": "ftp://llm.example.com"}, {}, "api_base"),
        ({"api_base": "http://[::1"}, {}, "api_base"),
        ({"input_cost_per_token": "NaN"}, {}, "input_cost_per_token"),
        ({"input_cost_per_token": -1}, {}, "input_cost_per_token"),
        ({"input_cost_per_token": "0.0000000000001"}, {}, "input_cost_per_token"),
        ({"timeout": "soon"}, {}, "timeout"),
        ({}, {"mode": "telepathy"}, "model_info.mode"),
        ({}, {"max_input_tokens": -1}, "max_input_tokens"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(params: dict[str, Any], info: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        add(info=info, **params)
    assert field in refusal.value.message_dict
    assert SECRET not in str(refusal.value)


def entry(name: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": HOUSE | params, "model_info": {}}


def load(*entries: dict[str, Any]) -> None:
    apply_models(entries, Deployment.Source.CONFIG, actor=MASTER, now=NOON)


def test_loading_a_configuration_twice_changes_nothing() -> None:
    load(entry("a"), entry("b"))
    before = list(Deployment.objects.values()), AuditEvent.objects.count(), Price.objects.count()
    load(entry("a"), entry("b"))
    assert (list(Deployment.objects.values()), AuditEvent.objects.count(), Price.objects.count()) == before


def test_what_the_file_no_longer_names_is_removed_and_the_rest_is_not() -> None:
    by_hand = add("by-hand")
    load(entry("a"), entry("b"))
    load(entry("b", timeout=7))
    assert list(LanguageModel.objects.values_list("name", flat=True)) == ["b", "by-hand"]
    assert Deployment.objects.get(model__name="b").timeout_seconds == 7
    assert Deployment.objects.filter(pk=by_hand.pk).exists()


def test_a_model_that_states_neither_timeout_nor_retries_gets_those_of_the_configuration(settings: Any) -> None:
    def held_to(name: str) -> tuple[int, int]:
        row = Deployment.objects.get(model__name=name)
        return row.timeout_seconds, row.max_retries

    add("earlier")
    settings.CALL_DEFAULTS = CallDefaults(timeout_seconds=30, max_retries=0)
    load(entry("a"), entry("b", timeout=7, num_retries=3))
    by_hand = add("by-hand")
    assert (held_to("a"), held_to("b"), held_to("by-hand"), held_to("earlier")) == ((30, 0), (7, 3), (30, 0), (600, 2))
    settings.CALL_DEFAULTS = CallDefaults(timeout_seconds=90, max_retries=1)
    load(entry("a"), entry("b", timeout=7, num_retries=3))
    merging.patch(by_hand, "", {"input_cost_per_token": "0.000003"}, {}, actor=MASTER, now=NOON + timedelta(seconds=1))
    assert (held_to("a"), held_to("b"), held_to("by-hand"), held_to("earlier")) == ((90, 1), (7, 3), (30, 0), (600, 2))


def test_the_noise_of_a_price_in_the_file_is_dropped(tmp_path: Path) -> None:
    rates = "input_cost_per_token: 1.0000000000000001e-07, output_cost_per_token: 5.699999999999999e-07"
    file = tmp_path / "config.yaml"
    file.write_text(f"model_list: [{{model_name: a, litellm_params: {{model: openai/a, {rates}}}}}]")
    load(*read_config(str(file), {}).models)
    price = Price.objects.get()
    assert (price.input, price.output) == (Decimal("0.0000001"), Decimal("0.00000057"))


def test_a_bad_entry_is_named_and_nothing_of_the_file_is_loaded() -> None:
    with pytest.raises(ModelRefused, match=r"model_list\[1\] \(b\): timeout"):
        load(entry("a"), entry("b", timeout="soon"))
    assert not Deployment.objects.exists()


@pytest.mark.parametrize(
    "foreign",
    [
        {"model": "vertex_ai/gemini", "api_base": None},
        {"input_cost_per_second": 0.0001},
        {"aws_secret_access_key": "of-another-gateway"},
    ],
)
def test_a_model_that_only_other_gateways_can_serve_is_left_out_and_the_rest_is_served(foreign: dict[str, Any]) -> None:
    load(entry("a"), entry("far-away", **foreign))
    assert list(LanguageModel.objects.values_list("name", flat=True)) == ["a"]


def test_a_provider_may_be_named_twice() -> None:
    load(entry("a", model="openai/gpt-4o", custom_llm_provider="openai"))
    assert Deployment.objects.get().upstream_model == "gpt-4o"


def test_a_model_of_the_file_without_a_price_is_there_and_waits_for_one() -> None:
    load(entry("a") | {"litellm_params": {"model": "openai/of-the-house", "api_base": "http://house.internal/v1"}})
    catalog = load_catalog(NOON)
    [target] = catalog.everybody.models["a"]
    assert target.price is None
    assert not target.is_free


def test_a_model_of_a_team_that_does_not_exist_is_left_out_and_the_rest_is_served() -> None:
    load({**entry("a"), "model_info": {"team_id": "nobody"}}, entry("b"))
    assert list(LanguageModel.objects.values_list("name", flat=True)) == ["b"]


def test_models_of_the_file_name_stored_credentials() -> None:
    stored = credential()
    named = {**HOUSE, "model": "openai/gpt-4o", "litellm_credential_name": "main", "api_key": None, "api_base": None}
    for _ in range(2):
        load({"model_name": "a", "litellm_params": named, "model_info": {}})
        assert Deployment.objects.get().credential == stored
    load()
    assert Credential.objects.get() == stored


def test_a_patch_of_the_price_takes_along_what_follows_it_and_a_patch_of_something_else_sets_none() -> None:
    deployment = add()
    merging.patch(deployment, "", {"max_retries": 5}, {}, actor=MASTER, now=NOON + timedelta(seconds=1))
    assert Price.objects.count() == 1
    merging.patch(
        deployment, "", {"input_cost_per_token": "0.000005"}, {}, actor=MASTER, now=NOON + timedelta(seconds=2)
    )
    rates = book.cards_at(NOON + timedelta(seconds=2), [deployment.price_item])[deployment.price_item].base
    assert (rates.input, rates.cached, rates.cache_write, rates.output) == (5_000_000, 5_000_000, 5_000_000, 2_000_000)
