"""Housekeeping of policy changes."""

from datetime import datetime, timedelta

from celery import shared_task
from django.utils import timezone

from teams.models import PolicyChange


@shared_task
def forget_policy_changes(*, now: str | None = None, **_: object) -> int:
    """Delete announcements that every worker has long read. Repeatable."""
    instant = datetime.fromisoformat(now) if now else timezone.now()
    return PolicyChange.objects.filter(at__lt=instant - timedelta(hours=1)).delete()[0]
