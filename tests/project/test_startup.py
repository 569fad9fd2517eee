"""What is put in place before anything is served."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from gateway_project import startup
from keys.models import VirtualKey
from proxy.models import Deployment
from teams.models import Organization


@pytest.fixture
def demo(organization: Organization, settings: Any, tmp_path: Path) -> startup.Demo:
    settings.DATA_DIR = tmp_path
    (tmp_path / "secrets").mkdir()
    startup.prepare(now=timezone.now())
    return startup.prepare_demo("http://127.0.0.1:1/v1", now=timezone.now())


def test_the_key_of_the_demo_opens_the_demos_models_alone(demo: startup.Demo) -> None:
    key = VirtualKey.objects.get(alias="demo")
    made = Deployment.objects.filter(source=Deployment.Source.DEMO).values_list("model__name", flat=True)
    assert sorted(key.allowed_models) == sorted(made) != []


def test_without_the_demo_its_key_has_nothing_left_to_call(demo: startup.Demo) -> None:
    startup.remove_demo(now=timezone.now())
    assert not Deployment.objects.filter(source=Deployment.Source.DEMO).exists()
    assert VirtualKey.objects.get(alias="demo").allowed_models
