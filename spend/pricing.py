"""What a call costs. Pure integer arithmetic, exact to the last digit.

Rates are pico-USD (10^-12 USD) per token or per piece, amounts are nano-USD (10^-9 USD). A charge is rounded
once, half to even; a hold is rounded up. docs/pricing.md says where each class comes from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from teams.money import NANO, nano_from_usd, usd_from_nano

__all__ = [
    "NANO", "Bound", "Charge", "PriceCard", "Rates", "Schedule", "Tier", "Usage", "charge_for", "most_affordable",
    "nano_from_usd", "pico_from_usd", "rates_from", "usd_from_nano", "usd_from_pico", "worst_case",
    "worst_case_of",
]  # fmt: skip

PICO_PER_NANO = 1000
#: Rates per token, then fees per piece. These names are the keys of every price in the book.
TOKEN_CLASSES = (
    "input", "output", "cached", "cache_write", "cache_write_1h", "reasoning",
    "audio_input", "audio_cached", "audio_output", "image_input", "image_cached", "image_output",
)  # fmt: skip
FEES = ("request", "image", "picture", "web_search", "code_session", "file_search")
CLASSES = (*TOKEN_CLASSES, *FEES)
#: What a class costs that has no price of its own.
_LIKE = {
    "cached": "input", "cache_write": "input", "cache_write_1h": "cache_write", "reasoning": "output",
    "audio_input": "input", "audio_cached": "audio_input", "audio_output": "output",
    "image_input": "input", "image_cached": "cached", "image_output": "output",
}  # fmt: skip
_MOST = ("text_most", "audio_most", "image_most", "output_most", "spoken_most")
_FURTHER = (
    "cache_write_1h", "audio_input", "audio_cached", "audio_output", "image_input", "image_cached", "image_output",
    "images", "pictures", "web_searches", "code_sessions", "file_searches", "service",
)  # fmt: skip
#: Service tiers that a call may be moved to without asking for them.
_ANY_SERVICE = ("", "auto")


# Usage and Bound are made for every call, and a frozen class of this size takes eight times as long to fill.
@dataclass(slots=True)
class Usage:
    """What one call used. `input` and `output` count every token; the classes below are parts of them."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cache_write_1h: int = 0
    """Part of `cache_write`."""
    audio_input: int = 0
    audio_cached: int = 0
    """Part of `audio_input` and of `cached`."""
    audio_output: int = 0
    image_input: int = 0
    image_cached: int = 0
    """Part of `image_input` and of `cached`."""
    image_output: int = 0
    images: int = 0
    """Sent."""
    pictures: int = 0
    """Made, and paid by the piece."""
    web_searches: int = 0
    code_sessions: int = 0
    file_searches: int = 0
    service: str = ""
    """Service tier that the provider says it served the call on; empty if it did not say."""

    @property
    def total(self) -> int:
        return self.input + self.output

    def further(self) -> dict[str, int | str]:
        """What is there of the classes that the ledger has no columns for."""
        return {name: value for name in _FURTHER if (value := getattr(self, name))}


@dataclass(slots=True)
class Bound:
    """The most that a call can use: any `Usage` of it has no more of anything."""

    input: int
    """Input tokens of all classes together."""
    output: int
    """Output tokens of all choices together."""
    audio_input: int = 0
    """At most so many of `input` are audio."""
    image_input: int = 0
    """At most so many of `input` are images."""
    speaks: bool = False
    """Whether output may be audio."""
    images: int = 0
    pictures: int = 0
    web_searches: int = 0
    code_sessions: int = 0
    file_searches: int = 0
    service: str = ""
    """Service tier that was asked for."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-USD per token of each class and per piece. `stated` names those that have a price of their own."""

    input: int
    output: int
    cached: int
    cache_write: int
    cache_write_1h: int
    reasoning: int
    audio_input: int
    audio_cached: int
    audio_output: int
    image_input: int
    image_cached: int
    image_output: int
    request: int
    image: int
    picture: int
    web_search: int
    code_session: int
    file_search: int
    stated: frozenset[str] = frozenset()
    #: The dearest of what a token of text, of audio, of an image, of written and of spoken output may cost.
    text_most: int = field(init=False, repr=False, compare=False)
    audio_most: int = field(init=False, repr=False, compare=False)
    image_most: int = field(init=False, repr=False, compare=False)
    output_most: int = field(init=False, repr=False, compare=False)
    spoken_most: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        text = max(self.input, self.cached, self.cache_write, self.cache_write_1h)
        written = max(self.output, self.reasoning, self.image_output)
        most = {
            "text_most": text,
            "audio_most": max(text, self.audio_input, self.audio_cached),
            "image_most": max(text, self.image_input, self.image_cached),
            "output_most": written,
            "spoken_most": max(written, self.audio_output),
        }
        for name, value in most.items():
            object.__setattr__(self, name, value)

    def cost(self, used: Usage) -> int:
        """Exact cost in pico-USD."""
        return self.input_cost(used) + self.output_cost(used) + self.fees(used)

    def input_cost(self, used: Usage) -> int:
        text_cached = used.cached - used.audio_cached - used.image_cached
        text = used.input - used.audio_input - used.image_input - text_cached - used.cache_write
        return (
            text * self.input
            + (used.audio_input - used.audio_cached) * self.audio_input
            + (used.image_input - used.image_cached) * self.image_input
            + self.cache_read_cost(used)
            + self.cache_creation_cost(used)
        )

    def cache_read_cost(self, used: Usage) -> int:
        return (
            (used.cached - used.audio_cached - used.image_cached) * self.cached
            + used.audio_cached * self.audio_cached
            + used.image_cached * self.image_cached
        )

    def cache_creation_cost(self, used: Usage) -> int:
        written_1h = used.cache_write_1h
        return (used.cache_write - written_1h) * self.cache_write + written_1h * self.cache_write_1h

    def output_cost(self, used: Usage) -> int:
        written = used.output - used.reasoning - used.audio_output - used.image_output
        return (
            written * self.output
            + used.reasoning * self.reasoning
            + used.audio_output * self.audio_output
            + used.image_output * self.image_output
        )

    def parts(self, used: Usage) -> dict[str, int]:
        """Pico-USD of the cost, in LiteLLM's words. Caches are a part of the input, reasoning is one of the output."""
        return {
            "input": self.input_cost(used),
            "output": self.output_cost(used),
            "cache_read": self.cache_read_cost(used),
            "cache_creation": self.cache_creation_cost(used),
            "reasoning": used.reasoning * self.reasoning,
            "tool_usage": self.fees(used),
        }

    def most(self, bound: Bound) -> int:
        """Pico-USD that no usage within `bound` exceeds."""
        tokens = bound.input * self.text_most + bound.output * self.output_rate(bound)
        if bound.audio_input or bound.image_input:
            tokens += self._surcharge(bound)
        return tokens + self.fees(bound)

    def covers(self, other: "Rates") -> bool:
        """Whether no call can cost more at the other rates than at these."""
        return all(getattr(self, name) >= getattr(other, name) for name in (*_MOST, *FEES))

    def output_rate(self, bound: Bound) -> int:
        return self.spoken_most if bound.speaks else self.output_most

    def _surcharge(self, bound: Bound) -> int:
        """What audio and images may cost above text, the dearer of them first while there are tokens left."""
        parts = [
            (self.audio_most - self.text_most, bound.audio_input),
            (self.image_most - self.text_most, bound.image_input),
        ]
        total, left = 0, bound.input
        for extra, tokens in sorted(parts, reverse=True):
            taken = min(tokens, left)
            total, left = total + taken * extra, left - taken
        return total

    def fees(self, pieces: Usage | Bound) -> int:
        """What is charged by the piece."""
        return (
            self.request
            + pieces.images * self.image
            + pieces.pictures * self.picture
            + pieces.web_searches * self.web_search
            + pieces.code_sessions * self.code_session
            + pieces.file_searches * self.file_search
        )

    @property
    def is_free(self) -> bool:
        return not any(getattr(self, name) for name in CLASSES)


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates that apply to the whole call once it has more than `above` input tokens."""

    above: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rates of one service tier, by length of the input."""

    base: Rates
    tiers: tuple[Tier, ...] = ()

    def rates_for(self, input_tokens: int) -> Rates:
        reached = [tier for tier in self.tiers if input_tokens > tier.above]
        return max(reached, key=lambda tier: tier.above).rates if reached else self.base

    def within_reach(self, input_tokens: int) -> tuple[Rates, ...]:
        if not self.tiers:
            return (self.base,)
        return (self.base, *(tier.rates for tier in self.tiers if input_tokens > tier.above))

    @property
    def is_free(self) -> bool:
        return self.base.is_free and all(tier.rates.is_free for tier in self.tiers)


@dataclass(frozen=True, slots=True)
class PriceCard:
    """One effective-dated price of the book; `id` is its row, kept on every entry priced with it."""

    id: int
    valid_from: datetime
    standard: Schedule
    services: Mapping[str, Schedule] = field(default_factory=dict)
    """Other service tiers that have a price: `flex`, `priority`, ..."""
    steps: "tuple[PriceCard, PriceCard] | None" = field(default=None, repr=False)
    """Of a price with a markup: as it is listed, and less the provider's discount."""
    margin: Decimal = Decimal(0)
    """The share that was added to the latter."""

    #: What a call that leaves its service tier open may be charged at: short ones, and from how many tokens on.
    _open: tuple[Rates, ...] = field(init=False, repr=False, compare=False)
    _open_above: tuple[Tier, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        schedules = (self.standard, *self.services.values())
        object.__setattr__(self, "_open", _dearest([schedule.base for schedule in schedules]))
        object.__setattr__(self, "_open_above", tuple(tier for schedule in schedules for tier in schedule.tiers))

    @property
    def base(self) -> Rates:
        return self.standard.base

    @property
    def is_free(self) -> bool:
        return self.standard.is_free and all(schedule.is_free for schedule in self.services.values())

    def rates_for(self, used: Usage) -> Rates:
        """By what the provider says it served; a service tier that has no price costs what the standard does."""
        schedule = self.services.get(used.service, self.standard) if used.service else self.standard
        return schedule.rates_for(used.input) if schedule.tiers else schedule.base

    def within_reach(self, bound: Bound) -> tuple[Rates, ...]:
        """Rates, one of which is the dearest that a call within `bound` may be charged at."""
        if bound.service not in _ANY_SERVICE:
            named = self.services.get(bound.service)
            found = self.standard.within_reach(bound.input)
            return found if named is None else (*found, *named.within_reach(bound.input))
        if not self._open_above:
            return self._open
        return (*self._open, *(tier.rates for tier in self._open_above if bound.input > tier.above))


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount as posted, and what rounding took from or added to the exact one (pico-USD)."""

    nano: int
    residue_pico: int


def charge_for(used: Usage, card: PriceCard) -> Charge:
    pico = card.rates_for(used).cost(used)
    nano, residue = divmod(pico, PICO_PER_NANO)
    half = PICO_PER_NANO // 2
    if residue > half or (residue == half and nano % 2):
        nano, residue = nano + 1, residue - PICO_PER_NANO
    return Charge(nano, residue)


def worst_case(bound: Bound, card: PriceCard) -> int:
    """Nano-USD that no usage within `bound` exceeds, at the dearest rates within its reach; rounded up."""
    return -(-max([rates.most(bound) for rates in card.within_reach(bound)]) // PICO_PER_NANO)


def worst_case_of(bound: Bound, card: PriceCard, output: int) -> int:
    """`worst_case` of the same call with another number of output tokens."""
    less = bound.output - output
    amounts = [rates.most(bound) - less * rates.output_rate(bound) for rates in card.within_reach(bound)]
    return -(-max(amounts) // PICO_PER_NANO)


def most_affordable(bound: Bound, headroom_nano: int, card: PriceCard) -> int | None:
    """Output tokens in all that fit into the headroom beside everything else; `bound.output` does not count.

    None if output is free, negative if the rest alone does not fit.
    """
    caps = []
    for rates in card.within_reach(bound):
        rate = rates.output_rate(bound)
        left = headroom_nano * PICO_PER_NANO - (rates.most(bound) - bound.output * rate)
        if left < 0:
            return -1
        if rate:
            caps.append(left // rate)
    return min(caps, default=None)


def _dearest(all_rates: list[Rates]) -> tuple[Rates, ...]:
    """Those that are not below another one in everything a hold is made of."""
    kept: list[Rates] = []
    for rates in all_rates:
        if not any(other.covers(rates) for other in kept):
            kept = [other for other in kept if not rates.covers(other)]
            kept.append(rates)
    return tuple(kept)


def rates_from(values: Mapping[str, Decimal | None]) -> Rates:
    """Rates from USD per token or piece by class; a class without a price costs what its like does, fees nothing."""
    stated = {name: pico_from_usd(value) for name, value in values.items() if value is not None}
    rates = dict(stated)
    for name in CLASSES:
        rates.setdefault(name, rates.get(_LIKE.get(name, ""), 0))
    return Rates(**rates, stated=frozenset(stated))


def pico_from_usd(usd: Decimal) -> int:
    """Exact conversion; finer than a pico-USD is refused with ValueError."""
    pico = usd.scaleb(12)
    if not pico.is_finite() or pico != pico.to_integral_value():
        raise ValueError("a price has at most twelve decimals")
    return int(pico)


def usd_from_pico(pico: int) -> Decimal:
    return Decimal(pico).scaleb(-12)
