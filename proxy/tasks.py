"""Scheduled work on calls."""

from datetime import datetime

from celery import shared_task
from django.utils import timezone

from proxy.sweeper import sweep


@shared_task
def sweep_orphans(*, now: str | None = None, **_: object) -> int:
    """Resolve holds whose worker died. Repeatable."""
    return sweep(now=datetime.fromisoformat(now) if now else timezone.now())
