"""Two people change one model at a time: neither undoes what the other did."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from proxy import merging, services
from proxy.from_litellm import read_model
from proxy.models import Deployment
from teams.actors import MASTER
from teams.models import User
from tests.factories import NOON

pytestmark = pytest.mark.django_db
RATES = {"input_cost_per_token": "0.000001", "output_cost_per_token": "0.000002"}
HOUSE = {"model": "openai_like/llama", "api_base": "https://llm.example.com/v1", "api_key": "sk-0123456789", **RATES}


@pytest.fixture
def house() -> Deployment:
    services.sync_providers()
    new = read_model("house", HOUSE, {}, Deployment.Source.API)
    return services.add_deployment(new.deployment, new.name, actor=MASTER, now=NOON, secret=new.secret, price=new.price)


@pytest.fixture
def meanwhile(house: Deployment) -> Deployment:
    """The model as somebody read it before somebody else blocked it and made it more patient."""
    read = Deployment.objects.with_owners().get(pk=house.pk)
    services.set_blocked(house, True, actor=MASTER)
    house.refresh_from_db()
    house.timeout_seconds = 77
    services.update_deployment(house, actor=MASTER)
    return read


def _now(row: Deployment) -> tuple[bool, float, int]:
    row = Deployment.objects.get(pk=row.pk)
    return row.blocked, row.timeout_seconds, row.max_retries


def test_a_patch_starts_from_what_is_stored_and_not_from_what_was_read(meanwhile: Deployment) -> None:
    merging.patch(meanwhile, "", {"max_retries": 5}, {}, actor=MASTER, now=NOON)
    assert _now(meanwhile) == (True, 77, 5)


def test_whoever_saves_a_whole_model_does_not_unblock_it(meanwhile: Deployment) -> None:
    meanwhile.max_retries = 4
    services.update_deployment(meanwhile, actor=MASTER)
    assert _now(meanwhile)[0] is True


def test_blocking_is_an_action_of_the_admin_and_no_field_of_its_form(house: Deployment, client: Client) -> None:
    client.force_login(User.objects.create_superuser("ada", "ada@example.com"))
    page = reverse("admin:proxy_deployment_change", args=[house.pk])
    form: Any = client.get(page).context["adminform"].form
    assert "blocked" not in form.fields
    assert client.post(reverse("admin:proxy_deployment_block", args=[house.pk])).status_code == 302
    assert Deployment.objects.get(pk=house.pk).blocked
    assert "blocked" in client.get(reverse("admin:proxy_deployment_changelist")).content.decode()


def test_a_model_that_is_gone_meanwhile_is_said_to_be(meanwhile: Deployment) -> None:
    Deployment.objects.filter(pk=meanwhile.pk).delete()
    with pytest.raises(ValidationError, match="deleted this model meanwhile"):
        services.update_deployment(meanwhile, actor=MASTER)
