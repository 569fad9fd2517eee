"""`manage.py prepare` puts in place what the processes of an installation need, once or many times."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from keys.models import MASTER_ID, VirtualKey
from proxy.models import Provider
from spend.models import Price
from teams.models import AuditEvent


@pytest.mark.django_db
def test_an_installation_is_prepared_once_however_often_it_is_done() -> None:
    def known() -> tuple[int, int, int, int]:
        keys = VirtualKey.objects.filter(public_id=MASTER_ID)
        return Provider.objects.count(), Price.objects.count(), keys.count(), AuditEvent.objects.count()

    call_command("prepare")
    first = known()
    assert first[0] > 5 and first[1] > 100 and first[2] == 1
    call_command("prepare")
    assert known() == first


@pytest.mark.django_db
def test_styles_are_collected_where_there_are_none(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path / "static"
    call_command("prepare")
    assert (tmp_path / "static" / "admin").is_dir()


@pytest.mark.django_db
def test_another_master_key_is_in_the_audit_trail(settings: Any) -> None:
    call_command("prepare")
    settings.MASTER_KEY = "sk-another-master-key-0123456789"
    call_command("prepare")
    master = AuditEvent.objects.filter(object_id=MASTER_ID).order_by("pk")
    assert list(master.values_list("action", flat=True)) == ["key.issued", "key.regenerated"]
    assert settings.MASTER_KEY not in str(list(master.values()))
