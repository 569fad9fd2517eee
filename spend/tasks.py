"""Scheduled work on the price book, on days that are over, and on what is kept for a while only."""

from datetime import datetime, timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from spend import book, closed_days, ever, noted_days, reload_services, services


@shared_task
def seed_prices(**_: object) -> int:
    """Add prices that the packaged list has and the book has not. Repeatable."""
    return book.seed_prices(now=timezone.now())


@shared_task
def forget_refusals(*, now: str | None = None, **_: object) -> int:
    """Delete refused calls that were kept long enough. Repeatable."""
    at = datetime.fromisoformat(now) if now else timezone.now()
    return services.forget_refusals(before=at - timedelta(days=settings.REFUSALS_KEPT_DAYS))


@shared_task
def reload_prices(**_: object) -> int | None:
    """Seed the prices again, as often as an admin has asked for."""
    return reload_services.reload_if_due(now=timezone.now())


@shared_task
def close_days(**_: object) -> int:
    """Note of days that are over what reports ask for, and sum them up. Repeatable."""
    now = timezone.now()
    return closed_days.close_days(now=now) + noted_days.note_days(now=now) + ever.sum_up_days(now=now)
