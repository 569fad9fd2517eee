"""What becomes of a listed price: the discount that a provider grants us, then the margin that we add. Pure.

Rates stay whole pico-USD, each rounded once, half to even; so holds and charges are made of the same rates, and what
is charged is as exact as by the list. An amount per call is added to the fee for each call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, TypeVar

from spend.pricing import CLASSES, PriceCard, Rates, Schedule, Tier, pico_from_usd

T = TypeVar("T")
#: Stands for every provider that has no margin of its own.
EVERY = "global"
NAMES = frozenset({"cost_discount_config", "cost_margin_config"})
MOST_PROVIDERS = 200
MOST_MARGIN, MOST_PER_CALL = Decimal(10), Decimal(100)
SHARE_PLACES, USD_PLACES = 6, 12
_PARTS = {"percentage": "share", "fixed_amount": "per_call"}


class BadMarkup(ValueError):
    """A value cannot be used; the message names its place and the remedy."""


@dataclass(frozen=True, slots=True)
class Margin:
    """A share of what a call costs (0.1 is a tenth), and USD for each call."""

    share: Decimal = Decimal(0)
    per_call: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Markups:
    """Discounts and margins by provider; a margin may be for every provider (`global`)."""

    discounts: Mapping[str, Decimal] = field(default_factory=dict)
    margins: Mapping[str, Margin] = field(default_factory=dict)

    def beneath(self, other: "Markups") -> "Markups":
        """With what another one says of single providers, which wins."""
        return Markups({**self.discounts, **other.discounts}, {**self.margins, **other.margins})

    def card_for(self, provider: str, card: PriceCard) -> PriceCard:
        """The price of a provider's model as it is held and charged."""
        discount = self.discounts.get(provider, Decimal(0))
        margin = self.margins.get(provider) or self.margins.get(EVERY) or Margin()
        if card.is_free or (not discount and margin == Margin()):
            return card
        paid = _scaled(card, 1 - discount)
        marked = _scaled(card, (1 - discount) * (1 + margin.share), pico_from_usd(margin.per_call))
        return replace(marked, steps=(card, paid), margin=margin.share)


def read_markups(litellm: Mapping[str, Any]) -> Markups:
    """From `litellm_settings`. Raises BadMarkup."""
    place = "litellm_settings."
    return Markups(
        read_discounts(litellm.get("cost_discount_config") or {}, f"{place}cost_discount_config"),
        read_margins(litellm.get("cost_margin_config") or {}, f"{place}cost_margin_config"),
    )


def read_discounts(value: Any, place: str) -> dict[str, Decimal]:
    """{provider: share}. Raises BadMarkup."""
    return _table(value, place, lambda entry, inner: _number(entry, inner, Decimal(1), SHARE_PLACES))


def read_margins(value: Any, place: str) -> dict[str, Margin]:
    """{provider: share, or {percentage, fixed_amount}}. Raises BadMarkup."""
    return _table(value, place, _margin)


def _margin(value: Any, place: str) -> Margin:
    if not isinstance(value, Mapping):
        return Margin(share=_number(value, place, MOST_MARGIN, SHARE_PLACES))
    if not value or not value.keys() <= _PARTS.keys():
        raise BadMarkup(f"{place}: write a share such as 0.1, or {{percentage: 0.1, fixed_amount: 0.001}}")
    tops = {"percentage": (MOST_MARGIN, SHARE_PLACES), "fixed_amount": (MOST_PER_CALL, USD_PLACES)}
    return Margin(**{_PARTS[name]: _number(each, f"{place}.{name}", *tops[name]) for name, each in value.items()})


def _table(value: Any, place: str, read: Callable[[Any, str], T]) -> dict[str, T]:
    if not isinstance(value, Mapping) or len(value) > MOST_PROVIDERS:
        raise BadMarkup(f"{place}: write providers with their shares, e.g. {{openai: 0.05}}")
    if not all(isinstance(name, str) and 0 < len(name) <= 64 for name in value):
        raise BadMarkup(f"{place}: a provider's name is a text of at most 64 characters")
    return {name: read(each, f"{place}.{name}") for name, each in value.items()}


def _number(value: Any, place: str, top: Decimal, places: int) -> Decimal:
    """A file has floats; what somebody wrote there is what its shortest text says."""
    problem = BadMarkup(f"{place}: write a number from 0 to {top} with at most {places} decimals")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise problem
    number = Decimal(str(value))
    if not number.is_finite() or not 0 <= number <= top or round(number, places) != number:
        raise problem
    return number


def _scaled(card: PriceCard, factor: Decimal, per_call: int = 0) -> PriceCard:
    services = {name: _schedule(schedule, factor, per_call) for name, schedule in card.services.items()}
    return replace(card, standard=_schedule(card.standard, factor, per_call), services=services)


def _schedule(schedule: Schedule, factor: Decimal, per_call: int) -> Schedule:
    tiers = tuple(Tier(tier.above, _rates(tier.rates, factor, per_call)) for tier in schedule.tiers)
    return Schedule(_rates(schedule.base, factor, per_call), tiers)


def _rates(rates: Rates, factor: Decimal, per_call: int) -> Rates:
    scaled = {name: int((getattr(rates, name) * factor).to_integral_value(ROUND_HALF_EVEN)) for name in CLASSES}
    scaled["request"] += per_call
    return Rates(**scaled, stated=rates.stated)
