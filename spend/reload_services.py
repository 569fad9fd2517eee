"""Bringing the price book up to date every few hours, beside the daily run: how often, and when it is due."""

from datetime import datetime, timedelta
from importlib.metadata import version

from django.db import transaction

from spend import book
from spend.models import Price, PriceReload
from teams import audit
from teams.actors import SYSTEM, Actor


def schedule() -> PriceReload | None:
    return PriceReload.objects.first()


@transaction.atomic
def plan_reload(hours: int, *, actor: Actor, now: datetime) -> PriceReload:
    """Every so many hours, the first time as many from now. Raises ValidationError."""
    row = PriceReload.objects.select_for_update(no_key=True).first() or PriceReload()
    before = audit.snapshot(row) if row.pk else {}
    row.hours, row.next_at = hours, now + timedelta(hours=hours)
    row.full_clean()
    row.save()
    audit.record("price_reload.planned", row, actor=actor, before=before)
    return row


@transaction.atomic
def cancel_reload(*, actor: Actor) -> bool:
    """Whether there was one."""
    row = PriceReload.objects.select_for_update(no_key=True).first()
    if row is not None:
        audit.record("price_reload.cancelled", row, actor=actor, before=audit.snapshot(row), after={})
        row.delete()
    return row is not None


@transaction.atomic
def reload_now(*, actor: Actor, now: datetime) -> int:
    """How many prices were added. Asking for it is noted also where there were none to add."""
    added = book.seed_prices(now=now)
    _note(added, actor)
    return added


@transaction.atomic
def reload_if_due(*, now: datetime) -> int | None:
    """How many prices were added; None if nothing was due. Two at once add nothing twice."""
    row = PriceReload.objects.select_for_update(no_key=True).filter(next_at__lte=now).first()
    if row is None:
        return None
    row.last_at, row.next_at = now, now + timedelta(hours=row.hours)
    row.save(update_fields=["last_at", "next_at"])
    added = book.seed_prices(now=now)
    if added:
        _note(added, SYSTEM)
    return added


def _note(added: int, actor: Actor) -> None:
    told = {"prices_added": added, "price_list": f"genai-prices {version('genai-prices')}"}
    audit.record("price_book.reloaded", Price(), actor=actor, after=told)
