"""Scheduled work on keys."""

from datetime import datetime

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from keys import answers, rotation, services
from teams.actors import SYSTEM


@shared_task
def note_expired_keys(*, now: str | None = None, **_: object) -> int:
    """Record keys whose time has passed. Repeatable: each key is noted once."""
    return services.note_expired_keys(now=datetime.fromisoformat(now) if now else timezone.now(), actor=SYSTEM)


@shared_task
def forget_answers(*, now: str | None = None, **_: object) -> int:
    """Delete kept answers whose day is over."""
    return answers.forget(now=datetime.fromisoformat(now) if now else timezone.now())


@shared_task
def rotate_keys(*, now: str | None = None, **_: object) -> int:
    """Give keys that are due a new secret, each once, however many workers do it."""
    at = datetime.fromisoformat(now) if now else timezone.now()
    return rotation.rotate_due(now=at, actor=SYSTEM, grace=settings.KEY_ROTATION_GRACE)
