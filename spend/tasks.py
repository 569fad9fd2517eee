"""Scheduled work on the price book."""

from celery import shared_task
from django.utils import timezone

from spend import book


@shared_task
def seed_prices(**_: object) -> int:
    """Add prices that the packaged list has and the book has not. Repeatable."""
    return book.seed_prices(now=timezone.now())
