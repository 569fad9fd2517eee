"""What a charge is made of, by the price of the book that it was charged with."""

from collections.abc import Mapping
from typing import Any

from spend.models import LedgerEntry
from spend.pricing import PriceCard, Usage, usd_from_pico
from teams.money import usd_from_nano


def cost_breakdown(entry: LedgerEntry, cards: Mapping[int, PriceCard]) -> dict[str, Any] | None:
    """USD by the list, in LiteLLM's words, beside what was charged: a discount, a margin and rounding lie in between.

    None where no list says it: of corrections, of what was charged as it was held, and of free calls.
    """
    card = cards.get(entry.price_id or 0)
    if card is None or entry.kind != LedgerEntry.Kind.CHARGE or entry.usage_source == LedgerEntry.UsageSource.ORPHAN:
        return None
    used = _usage(entry)
    rates = card.rates_for(used)
    parts = rates.parts(used) | {"original": rates.cost(used)}
    return {f"{name}_cost": usd_from_pico(pico) for name, pico in parts.items()} | {
        "total_cost": usd_from_nano(entry.amount_nano)
    }


def _usage(entry: LedgerEntry) -> Usage:
    return Usage(
        entry.input_tokens,
        entry.output_tokens,
        entry.cached_tokens,
        entry.cache_write_tokens,
        entry.reasoning_tokens,
        **entry.further_usage,
    )
