"""Reading and seeding the price book."""

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from spend.models import PACKAGED as SOURCE
from spend.models import Price
from spend.pricing import PriceCard, Schedule, Tier, rates_from
from teams import audit, changes
from teams.actors import Actor

_Values = dict[str, Decimal | None]


def cards_at(now: datetime, items: Iterable[str]) -> dict[str, PriceCard]:
    """The price in force at `now` of each item that has one."""
    rows = Price.objects.filter(item__in=set(items), valid_from__lte=now).order_by("item", "valid_from")
    return {row.item: card_of(row) for row in rows}


def cards_of(price_ids: Iterable[int]) -> dict[int, PriceCard]:
    """Prices by id, also those that are in force no more."""
    return {row.pk: card_of(row) for row in Price.objects.filter(pk__in=set(price_ids))}


def items_at(now: datetime) -> list[str]:
    """Items that have a price, as `openai/gpt-4o`; what a deployment of ours has for itself is none."""
    rows = Price.objects.filter(valid_from__lte=now).exclude(item__startswith="deployment:")
    return list(rows.order_by("item").values_list("item", flat=True).distinct())


def card_of(row: Price) -> PriceCard:
    """A row as the gateway reads it. What a tier or a service tier does not name, it takes from the base."""
    base: _Values = {
        "input": row.input, "output": row.output, "cached": row.cached, "cache_write": row.cache_write,
        **_decimals(row.extras),
    }  # fmt: skip
    services = {}
    for name, service in row.services.items():
        values = base | _decimals(service["rates"])
        services[name] = _schedule(values, service.get("tiers", []))
    return PriceCard(row.pk or 0, row.valid_from, _schedule(base, row.tiers), services)


def same_prices(one: PriceCard, other: PriceCard) -> bool:
    return replace(one, id=other.id, valid_from=other.valid_from) == other


@transaction.atomic
def set_price(price: Price, *, actor: Actor) -> Price:
    """Add a price that is in force from `valid_from` on. Earlier entries keep the price they had."""
    price.full_clean()
    price.save(force_insert=True)
    audit.record("price.set", price, actor=actor)
    changes.publish_catalog()
    return price


@transaction.atomic
def seed_prices(*, now: datetime) -> int:
    """Bring the book up to date with the packaged price list; an item priced by hand is left to the hand.

    Prices with a date of their own are added under that date; what the list corrected without one holds
    from `now` on. Safe to run twice. Returns how many prices were added.
    """
    known = _Known()
    fresh: list[Price] = []
    for item, rows in _packaged().prices_by_item().items():
        fresh += known.missing(item, rows, now)
    Price.objects.bulk_create(fresh, ignore_conflicts=True, batch_size=500)
    if fresh:
        changes.publish_catalog()
    return len(fresh)


def find_item(provider: str, model: str) -> tuple[str, int | None] | None:
    """Item and context window (tokens) of a provider's model under any of its names; None if not listed."""
    found: tuple[str, int | None] | None = _packaged().find_item(provider, model)
    return found


def _packaged() -> Any:
    """The packaged list takes a second of CPU to load, so only who looks something up in it does."""
    return importlib.import_module("spend.packaged")


class _Known:
    """What the book holds already, by item."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Price]] = {}
        for price in Price.objects.order_by("item", "valid_from"):
            self._rows.setdefault(price.item, []).append(price)

    def missing(self, item: str, rows: list[Price], now: datetime) -> list[Price]:
        """Rows of the list (oldest first) that the book lacks, each with the day it starts."""
        known = self._rows.get(item, [])
        by_hand = min((row.valid_from for row in known if row.source != SOURCE), default=None)
        dates = {row.valid_from for row in known}
        fresh = [row for row in rows if row.valid_from not in dates and (by_hand is None or row.valid_from < by_hand)]
        listed = max((row for row in rows if row.valid_from <= now), key=lambda row: row.valid_from, default=None)
        held = max(
            (row for row in (*known, *fresh) if row.valid_from <= now), key=lambda row: row.valid_from, default=None
        )
        if listed and held and held.source == SOURCE and not same_prices(card_of(held), card_of(listed)):
            fresh.append(_packaged().from_now(listed, now))
        return fresh


def _schedule(values: _Values, tiers: list[dict[str, Any]]) -> Schedule:
    above = tuple(Tier(tier["above"], rates_from(values | _decimals(tier["rates"]))) for tier in tiers)
    return Schedule(rates_from(values), above)


def _decimals(values: Mapping[str, str]) -> _Values:
    return {name: Decimal(value) for name, value in values.items()}
