"""JSON that is typed into the admin: what is no object, or would fail later, is refused at its field."""

import pytest
from django.test import Client
from django.urls import reverse

from keys.models import VirtualKey
from proxy import services, shelves
from proxy.from_litellm import read_model
from proxy.models import Deployment
from teams.actors import SYSTEM
from teams.models import Team
from tests.admin.conftest import form_of
from tests.factories import NOON

PARAMS = {"model": "openai/house", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}


@pytest.fixture
def house(providers: None) -> Deployment:
    new = read_model("house", PARAMS, {}, Deployment.Source.API)
    return services.add_deployment(new.deployment, "house", actor=SYSTEM, now=NOON, price=new.price)


def refused(browser: Client, page: str, field: str, value: str) -> str:
    answer = browser.post(page, form_of(browser.get(page)) | {field: value})
    assert answer.status_code == 200
    return str(answer.context["adminform"].form.errors[field])


@pytest.mark.parametrize("value", ["[]", "5", '"text"', '{"tags": 5}', '{"api_key": "sk-in-clear"}', '{"rpm": []}'])
def test_params_of_a_deployment(browser: Client, house: Deployment, value: str) -> None:
    refused(browser, reverse("admin:proxy_deployment_change", args=[house.pk]), "params", value)
    assert Deployment.objects.get().params == house.params


@pytest.mark.parametrize("value", ["[]", '{"access_groups": 5}', '{"api_key": "sk-in-clear"}'])
def test_info_of_a_deployment(browser: Client, house: Deployment, value: str) -> None:
    refused(browser, reverse("admin:proxy_deployment_change", args=[house.pk]), "model_info", value)


@pytest.mark.parametrize("value", ["[]", "5"])
def test_metadata(browser: Client, search: Team, key: VirtualKey, value: str) -> None:
    for page, row in (("teams_team", search), ("keys_virtualkey", key)):
        told = refused(browser, reverse(f"admin:{page}_change", args=[row.pk]), "metadata", value)
        assert "write an object" in told


@pytest.mark.parametrize("value", ["[]", '{"a": 5}', '["a"]'])
def test_aliases(browser: Client, search: Team, key: VirtualKey, value: str) -> None:
    refused(browser, reverse("admin:teams_team_change", args=[search.pk]), "model_aliases", value)
    refused(browser, reverse("admin:keys_virtualkey_change", args=[key.pk]), "aliases", value)


def test_nothing_is_an_empty_object(browser: Client, search: Team) -> None:
    page = reverse("admin:teams_team_change", args=[search.pk])
    for value in ("", "null", "{}"):
        assert browser.post(page, form_of(browser.get(page)) | {"metadata": value}).status_code == 302
        assert Team.objects.get(pk=search.pk).metadata == {}


def test_a_deployment_that_cannot_be_read_keeps_nobody_from_the_others(house: Deployment) -> None:
    new = read_model("other", PARAMS, {}, Deployment.Source.API)
    services.add_deployment(new.deployment, "other", actor=SYSTEM, now=NOON, price=new.price)
    Deployment.objects.filter(pk=house.pk).update(params={"tags": 5})
    assert [*shelves.load_catalog(NOON).everybody.models] == ["other"]
