"""What tokens cost. Pure arithmetic: Decimal rates in USD per token, amounts in integer nano-USD.

The exact amount is rounded once per ledger entry (half to even); a hold is rounded up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal

from teams.money import NANO, nano_from_usd, usd_from_nano

__all__ = [
    "NANO", "Charge", "PriceCard", "Rates", "Tier", "Usage", "affordable_output", "charge_for", "hold_for",
    "nano_from_usd", "rates_from", "usd_from_nano",
]  # fmt: skip

_PICO_PER_NANO = 1000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call by class. `cached` and `cache_write` are parts of `input`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per token of each class."""

    input: Decimal
    output: Decimal
    cached: Decimal
    cache_write: Decimal

    def exact(self, usage: Usage) -> Decimal:
        """Unrounded cost in USD."""
        plain = usage.input - usage.cached - usage.cache_write
        return (
            plain * self.input
            + usage.cached * self.cached
            + usage.cache_write * self.cache_write
            + usage.output * self.output
        )

    @property
    def dearest_input(self) -> Decimal:
        return max(self.input, self.cached, self.cache_write)


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates that apply to the whole call once it has more than `above` input tokens."""

    above: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class PriceCard:
    """One effective-dated price of the book; `id` is its row, kept on every entry priced with it."""

    id: int
    valid_from: datetime
    base: Rates
    tiers: tuple[Tier, ...] = ()

    def rates_for(self, input_tokens: int) -> Rates:
        reached = [tier for tier in self.tiers if input_tokens > tier.above]
        return max(reached, key=lambda tier: tier.above).rates if reached else self.base

    @property
    def is_free(self) -> bool:
        every = (self.base, *(tier.rates for tier in self.tiers))
        return all(rates.dearest_input == 0 and rates.output == 0 for rates in every)


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount as posted, and what rounding took from or added to the exact one (pico-USD)."""

    nano: int
    residue_pico: int


def charge_for(usage: Usage, card: PriceCard) -> Charge:
    exact = card.rates_for(usage.input).exact(usage) * NANO
    nano = int(exact.to_integral_value(ROUND_HALF_EVEN))
    return Charge(nano, int(((exact - nano) * _PICO_PER_NANO).to_integral_value(ROUND_HALF_EVEN)))


def hold_for(input_tokens: int, output_tokens: int, card: PriceCard) -> int:
    """Upper bound in nano-USD: every input token at the dearest class of every tier within reach."""
    return max(_ceiling(input_tokens, output_tokens, rates) for rates in _within_reach(input_tokens, card))


def affordable_output(input_tokens: int, headroom_nano: int, card: PriceCard) -> int | None:
    """Output tokens that fit beside the input; None if output is free, negative if the input alone does not fit."""
    caps = []
    for rates in _within_reach(input_tokens, card):
        left = Decimal(headroom_nano) / NANO - input_tokens * rates.dearest_input
        if left < 0:
            return -1
        if rates.output > 0:
            caps.append(int(left // rates.output))
    return min(caps, default=None)


def rates_from(values: Mapping[str, Decimal | None]) -> Rates:
    """Rates from a mapping with `input`, `output` and optional `cached`, `cache_write` (default: input)."""
    price, output = values["input"] or Decimal(0), values["output"] or Decimal(0)
    cached, write = values.get("cached"), values.get("cache_write")
    return Rates(price, output, price if cached is None else cached, price if write is None else write)


def _within_reach(input_tokens: int, card: PriceCard) -> list[Rates]:
    return [card.base, *(tier.rates for tier in card.tiers if input_tokens > tier.above)]


def _ceiling(input_tokens: int, output_tokens: int, rates: Rates) -> int:
    usd = input_tokens * rates.dearest_input + output_tokens * rates.output
    return int((usd * NANO).to_integral_value(ROUND_CEILING))
