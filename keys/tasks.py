"""Scheduled work on keys."""

from datetime import datetime

from celery import shared_task
from django.utils import timezone

from keys import answers, services
from teams.actors import SYSTEM


@shared_task
def note_expired_keys(*, now: str | None = None, **_: object) -> int:
    """Record keys whose time has passed. Repeatable: each key is noted once."""
    return services.note_expired_keys(now=datetime.fromisoformat(now) if now else timezone.now(), actor=SYSTEM)


@shared_task
def forget_answers(*, now: str | None = None, **_: object) -> int:
    """Delete kept answers whose day is over."""
    return answers.forget(now=datetime.fromisoformat(now) if now else timezone.now())
