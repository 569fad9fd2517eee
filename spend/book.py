"""Reading and seeding the price book."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from genai_prices.data import providers
from genai_prices.types import ConditionalPrice, ModelPrice, StartDateConstraint, TieredPrices

from spend.models import Price
from spend.pricing import PriceCard, Rates, Tier, rates_from
from teams import audit, changes
from teams.actors import Actor

_MTOK = Decimal(10) ** 6
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
_PLACES = Decimal(10) ** -12


def cards_at(now: datetime, items: Iterable[str]) -> dict[str, PriceCard]:
    """The price in force at `now` of each item that has one."""
    rows = Price.objects.filter(item__in=set(items), valid_from__lte=now).order_by("item", "valid_from")
    return {row.item: card_of(row) for row in rows}


def card_of(row: Price) -> PriceCard:
    base = Rates(row.input, row.output, _or(row.cached, row.input), _or(row.cache_write, row.input))
    tiers = tuple(
        Tier(tier["above"], rates_from({name: Decimal(value) for name, value in tier["rates"].items()}))
        for tier in row.tiers
    )
    return PriceCard(row.pk, row.valid_from, base, tiers)


@transaction.atomic
def set_price(price: Price, *, actor: Actor) -> Price:
    """Add a price that is in force from `valid_from` on. Earlier entries keep the price they had."""
    price.full_clean()
    price.save(force_insert=True)
    audit.record("price.set", price, actor=actor)
    changes.publish_catalog()
    return price


@transaction.atomic
def seed_prices() -> int:
    """Bring the book up to date with the packaged price list; prices set by hand are never touched.

    Safe to run twice: a price that is in the book is not added again. Returns how many were added.
    """
    known = {(p.item, p.valid_from) for p in Price.objects.only("item", "valid_from")}
    fresh = [price for price in _packaged() if (price.item, price.valid_from) not in known]
    Price.objects.bulk_create(fresh, ignore_conflicts=True, batch_size=500)
    if fresh:
        changes.publish_catalog()
    return len(fresh)


def _packaged() -> Iterator[Price]:
    for provider in providers:
        for model in provider.models:
            for valid_from, prices in _dated(model.prices):
                try:
                    row = _row(f"{provider.id}/{model.id}", valid_from, prices)
                except ValidationError:
                    continue
                if row is not None:
                    yield row


def _dated(prices: Any) -> Iterator[tuple[datetime, ModelPrice]]:
    """Each price with the day it starts; time-of-day discounts are left out, so the full price holds."""
    for item in [prices] if isinstance(prices, ModelPrice) else prices:
        if isinstance(item, ModelPrice):
            yield _BEGINNING, item
        elif isinstance(item, ConditionalPrice) and item.constraint is None:
            yield _BEGINNING, item.prices
        elif isinstance(item, ConditionalPrice) and isinstance(item.constraint, StartDateConstraint):
            start = item.constraint.start_date
            yield datetime(start.year, start.month, start.day, tzinfo=UTC), item.prices


def _row(item: str, valid_from: datetime, prices: ModelPrice) -> Price | None:
    """A row for prices per token; None for models that are priced another way (per request, per second)."""
    if prices.input_mtok is None or prices.requests_kcount is not None:
        return None
    fields = {
        "input": prices.input_mtok,
        "output": prices.output_mtok if prices.output_mtok is not None else Decimal(0),
        "cached": prices.cache_read_mtok,
        "cache_write": prices.cache_write_mtok,
    }
    base = {name: _per_token(value, 0) for name, value in fields.items()}
    starts = {tier.start for value in fields.values() if isinstance(value, TieredPrices) for tier in value.tiers}
    tiers = [
        {
            "above": start,
            "rates": {name: str(_per_token(value, start)) for name, value in fields.items() if value is not None},
        }
        for start in sorted(starts)
    ]
    row = Price(item=item, valid_from=valid_from, tiers=tiers, source="genai-prices", **base)
    row.clean_fields()
    return row


def _per_token(value: "Decimal | TieredPrices | None", above: int) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, TieredPrices):
        reached = [tier for tier in value.tiers if tier.start <= above and above > 0]
        value = max(reached, key=lambda tier: tier.start).price if reached else value.base
    return (Decimal(value) / _MTOK).quantize(_PLACES)


def _or(value: Decimal | None, default: Decimal) -> Decimal:
    return default if value is None else value


def find_item(provider: str, model: str) -> tuple[str, int | None] | None:
    """Item and context window (tokens) of a provider's model under any of its names; None if not listed."""
    listed = next((entry for entry in providers if entry.id == provider), None)
    info = listed.find_model(model) if listed else None
    return (f"{provider}/{info.id}", info.context_window) if info else None
