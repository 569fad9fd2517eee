"""Scheduled work on calls."""

from datetime import datetime

from celery import shared_task
from django.utils import timezone

from proxy import drift
from proxy.sweeper import sweep


@shared_task
def sweep_orphans(*, now: str | None = None, **_: object) -> int:
    """Resolve holds whose worker died. Repeatable."""
    return sweep(now=datetime.fromisoformat(now) if now else timezone.now())


@shared_task
def mend_drift(*, now: str | None = None, **_: object) -> int:
    """Compare counters with the ledger, and read those again that stay different."""
    return drift.mend(now=datetime.fromisoformat(now) if now else timezone.now())
