"""Scheduled work on the price book."""

from celery import shared_task
from django.utils import timezone

from spend import book, reload_services


@shared_task
def seed_prices(**_: object) -> int:
    """Add prices that the packaged list has and the book has not. Repeatable."""
    return book.seed_prices(now=timezone.now())


@shared_task
def reload_prices(**_: object) -> int | None:
    """The same, as often as an admin has asked for."""
    return reload_services.reload_if_due(now=timezone.now())
