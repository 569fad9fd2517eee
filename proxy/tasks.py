"""Scheduled work on calls."""

from collections.abc import Callable
from datetime import datetime

import redis
import structlog
from celery import shared_task
from django.db import Error
from django.utils import timezone

from proxy import drift
from proxy.sweeper import sweep
from teams.database import is_away

log = structlog.get_logger()


@shared_task
def sweep_orphans(*, now: str | None = None, **_: object) -> int:
    """Resolve holds whose worker died. Repeatable."""
    return _unless_away("sweep_orphans", lambda: sweep(now=_at(now)))


@shared_task
def mend_drift(*, now: str | None = None, **_: object) -> int:
    """Compare counters with the ledger, and read those again that stay different."""
    return _unless_away("mend_drift", lambda: drift.mend(now=_at(now)))


def _at(now: str | None) -> datetime:
    return datetime.fromisoformat(now) if now else timezone.now()


def _unless_away(task: str, work: Callable[[], int]) -> int:
    """What a database or store that is away leaves undone, the next run does; that is no failure of the task."""
    try:
        return work()
    except (Error, redis.RedisError) as error:
        if isinstance(error, Error) and not is_away(error):
            raise
        log.warning("left to the next run", task=task, error=type(error).__name__)
        return 0
