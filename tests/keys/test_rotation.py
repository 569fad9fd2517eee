"""Keys that rotate by themselves: once each, with a grace period, and a new secret that waits encrypted."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from keys import rotation, services
from keys.models import VirtualKey, WaitingSecret
from keys.tasks import rotate_keys
from teams.actors import SYSTEM
from teams.models import AuditEvent, Team, User
from tests.api.conftest import Api
from tests.api.conftest import api as api
from tests.factories import issue

LATER = timedelta(days=31)


def due(**fields: Any) -> tuple[VirtualKey, str]:
    key, secret = issue(auto_rotate=True, rotation_interval="30d", **fields)
    assert rotate_keys() == 0
    return key, secret


def test_a_key_that_is_due_gets_one_new_secret_however_often_the_task_runs(api: Api, linus: User) -> None:
    key, old = due(user=linus)
    assert [rotate_keys(now=(timezone.now() + LATER).isoformat()) for _ in range(2)] == [1, 0]
    key.refresh_from_db()
    assert key.rotation_count == 1
    assert key.rotate_at is not None
    assert key.rotate_at > timezone.now() + timedelta(days=60)
    assert api.get("/key/info", bearer=old).status == 200
    assert AuditEvent.objects.filter(action="key.regenerated", actor=SYSTEM.label).count() == 1


def test_a_worker_that_comes_second_changes_nothing(api: Api) -> None:
    key, _ = due()
    at = timezone.now() + LATER
    results = [rotation._rotate(key.pk, at, SYSTEM, timedelta(hours=1)) for _ in range(2)]
    assert results == [1, 0]


@pytest.mark.parametrize("change", [{"blocked": True}, {"auto_rotate": False}, {"expires_at": timezone.now()}])
def test_a_key_that_nobody_can_use_is_left_alone(db: None, change: dict[str, Any]) -> None:
    key, _ = due()
    VirtualKey.objects.filter(pk=key.pk).update(**change)
    assert rotate_keys(now=(timezone.now() + LATER).isoformat()) == 0


def test_the_owner_fetches_the_new_secret_once(api: Api, linus: User) -> None:
    key, old = due(user=linus)
    rotate_keys(now=(timezone.now() + LATER).isoformat())
    path = f"/key/{VirtualKey.objects.get(pk=key.pk).token}/pick_up"
    answer = api.post(path, bearer=old)
    assert answer.status == 200
    assert api.get("/key/info", bearer=answer.json["key"]).status == 200
    assert api.post(path, bearer=old).status == 404
    assert AuditEvent.objects.filter(action="key.secret_picked_up").count() == 1


def test_the_secret_waits_encrypted_and_bound_to_its_key(api: Api) -> None:
    key, _ = due()
    rotate_keys(now=(timezone.now() + LATER).isoformat())
    envelope = WaitingSecret.objects.get().envelope
    secret = api.post(f"/key/{VirtualKey.objects.get(pk=key.pk).token}/pick_up").json["key"]
    assert secret not in envelope
    other, _ = issue()
    WaitingSecret.objects.create(key=other, envelope=envelope, made_at=timezone.now())
    assert api.post(f"/key/{other.token}/pick_up").status == 500


def test_nobody_else_fetches_it(api: Api, linus: User, grace: User, search: Team) -> None:
    key, nobody = due(team=search)
    rotate_keys(now=(timezone.now() + LATER).isoformat())
    path = f"/key/{VirtualKey.objects.get(pk=key.pk).token}/pick_up"
    assert api.post(path, bearer=issue(user=linus)[1]).status == 403
    assert api.post(path, bearer=nobody).status == 401
    assert api.post(path, bearer=issue(user=grace)[1]).status == 200


@pytest.mark.parametrize("change", [services.regenerate_key, services.delete_key])
def test_a_secret_that_nobody_fetched_goes_with_the_next_change(db: None, change: Any) -> None:
    key, _ = due()
    rotate_keys(now=(timezone.now() + LATER).isoformat())
    key.refresh_from_db()
    change(key, actor=SYSTEM)
    assert not WaitingSecret.objects.exists()
