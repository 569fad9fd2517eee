"""Prices under the names that LiteLLM's `litellm_params` and `model_info` have for them, both ways."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError

from spend.models import Price
from spend.pricing import PriceCard, Rates, Schedule, usd_from_pico
from spend.rate_fields import COLUMNS
from teams.money import readings

_NAMES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "cache_read_input_audio_token_cost": "audio_cached",
    "output_cost_per_audio_token": "audio_output",
    "input_cost_per_image_token": "image_input",
    "cache_read_input_image_token_cost": "image_cached",
    "output_cost_per_image_token": "image_output",
    "input_cost_per_request": "request",
    "input_cost_per_image": "image",
    "output_cost_per_image": "picture",
    "code_interpreter_cost_per_session": "code_session",
}
_CLASSES = {name: field for field, name in _NAMES.items()}
_SEARCH, _FILE_SEARCH = "search_context_cost_per_query", "file_search_cost_per_1k_calls"
_SEARCH_SIZES = ("search_context_size_low", "search_context_size_medium", "search_context_size_high")
_SUFFIXES = re.compile(r"^(?P<name>.+?)(_above_(?P<above>[0-9]{1,6})k_tokens)?(_(?P<service>priority|flex|batches))?$")
_SERVICES = {"priority": "priority", "flex": "flex", "batches": "batch"}
_PICO_USD = Decimal(10) ** -12
_COST = re.compile(r"cost_per|token_cost|^tiered_pricing$")
#: Another unit for what the prices per token cover already.
_SAME_AGAIN = re.compile(r"_per_character|_per_gb_per_day|^(in|out)put_cost_per_million_tokens$")
_BOTH = "give both prices, per token of input and of output (0: free)"
_MILLIONS = ("input_cost_per_million_tokens", "output_cost_per_million_tokens")


class UnsupportedPrice(ValidationError):
    """A price in a unit that the price book does not have, as per second."""


def is_price(field: str) -> bool:
    """Whether a field says what something costs."""
    return bool(_COST.search(field))


def by_the_million(info: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Decimal]:
    """USD per token, by LiteLLM's name, of what `model_info` or `litellm_params` price by the million tokens and
    `litellm_params` do not price by the token. Raises ValidationError naming the field."""
    given = {field: part[field] for part in (info, params) for field in _MILLIONS if part.get(field) is not None}
    found = {field.replace("_million_tokens", "_token"): field for field in given}
    return {name: _usd(field, given[field], per=10**6) for name, field in found.items() if params.get(name) is None}


def read_price(values: Mapping[str, Any], *, has_output: bool) -> Price | None:
    """The prices among `values` as an unsaved row; None without one per token or picture.

    Raises ValidationError naming a field that is no price, or that the price book cannot express.
    """
    base: dict[str, Decimal] = {}
    tiers: dict[tuple[str, int], dict[str, Decimal]] = {}
    for field in filter(is_price, values):
        for name, usd in _read(field, values[field]).items():
            service, above = _place(field)
            rates = base if not service and not above else tiers.setdefault((service, above), {})
            rates[name] = usd
    if not {"input", "output", "picture"} & base.keys():
        return None
    if has_output and "output" not in base and "picture" not in base:
        raise ValidationError({"output_cost_per_token": _BOTH})
    if not {"input", "picture"} & base.keys():
        raise ValidationError({"input_cost_per_token": _BOTH})
    return Price(
        input=base.pop("input", Decimal(0)),
        output=base.pop("output", Decimal(0)),
        cached=base.pop("cached", None),
        cache_write=base.pop("cache_write", None),
        extras=_texts(base),
        tiers=_tiers(tiers, ""),
        services={name: _service(tiers, name) for name in sorted({service for service, _ in tiers if service})},
    )


def show_prices(card: PriceCard | None) -> dict[str, Any]:
    """LiteLLM's fields for a price (exact USD); the four common ones always, the rest where they have a price."""
    if card is None:
        return dict.fromkeys((_CLASSES[name] for name in COLUMNS), None)
    return {_CLASSES[name]: usd_from_pico(getattr(card.base, name)) for name in COLUMNS} | stated_prices(card)


def other_prices(info: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """The prices in `info` that are none of these shown: who sends a row back says what holds, and wishes nothing.

    Raises ValidationError naming the field.
    """
    given = {field: value for field, value in info.items() if is_price(field) and value is not None}
    return {field: value for field, value in given.items() if _read(field, value) != _read(field, shown.get(field))}


def stated_prices(card: PriceCard | None) -> dict[str, Any]:
    """The fields that make such a price: what has none of its own follows another, as cached input follows input."""
    if card is None:
        return {}
    shown = _shown(card.base) | _shown_tiers(card.standard, "")
    for field, service in _SERVICES.items():
        if service in card.services:
            schedule = card.services[service]
            shown |= _shown(schedule.base, f"_{field}", than=card.base) | _shown_tiers(schedule, f"_{field}")
    return shown


def _read(field: str, value: Any) -> dict[str, Decimal]:
    """The classes that a field prices, in USD per token or piece."""
    if value is None or _SAME_AGAIN.search(field):
        return {}
    if field == _SEARCH:
        return {"web_search": _dearest_search(value)}
    if field == _FILE_SEARCH:
        return {"file_search": _usd(field, value, per=1000)}
    match = _SUFFIXES.match(field)
    name = _NAMES.get(field) or (_NAMES.get(match["name"]) if match else None)
    usd = _usd(field, value)
    if name is None and usd:
        raise UnsupportedPrice(
            {field: "prices of this kind are not supported: give a price per token, request, image or search"}
        )
    return {name: usd} if name else {}


def _place(field: str) -> tuple[str, int]:
    """The service tier, and the input tokens above which a field's price holds; ("", 0) for the base."""
    match = None if field in _NAMES else _SUFFIXES.match(field)
    if match is None:
        return "", 0
    return _SERVICES.get(match["service"] or "", ""), int(match["above"] or 0) * 1000


def _dearest_search(value: Any) -> Decimal:
    """The client chooses how much context a search brings, so the dearest size is the price."""
    if not isinstance(value, Mapping) or not value.keys() <= set(_SEARCH_SIZES) or not value:
        raise ValidationError({_SEARCH: f"write an object with USD per search for {', '.join(_SEARCH_SIZES)}"})
    return max(_usd(f"{_SEARCH}.{size}", price) for size, price in value.items())


def _usd(field: str, value: Any, per: int = 1) -> Decimal:
    """Exact; only the noise of a float is dropped. Raises ValidationError naming the field."""
    try:
        given = Decimal(str(value))
    except InvalidOperation as error:
        raise ValidationError({field: "write USD as a number"}) from error
    if not given.is_finite() or not 0 <= given < 1000 * per:
        raise ValidationError({field: "a price per token lies between 0 and 1000 USD"})
    for usd in (reading / per for reading in readings(given)):
        if usd == (whole := usd.quantize(_PICO_USD)):
            return whole
    raise ValidationError({field: "a price per token has at most twelve decimals"})


def _service(tiers: dict[tuple[str, int], dict[str, Decimal]], name: str) -> dict[str, Any]:
    return {"rates": _texts(tiers.get((name, 0), {})), "tiers": _tiers(tiers, name)}


def _tiers(tiers: dict[tuple[str, int], dict[str, Decimal]], service: str) -> list[dict[str, Any]]:
    found = sorted((above, rates) for (name, above), rates in tiers.items() if name == service and above)
    return [{"above": above, "rates": _texts(rates)} for above, rates in found]


def _texts(rates: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: f"{usd.normalize():f}" for name, usd in rates.items()}


def _shown_tiers(schedule: Schedule, suffix: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for tier in schedule.tiers:
        shown |= _shown(tier.rates, f"_above_{tier.above // 1000}k_tokens{suffix}", than=schedule.base)
    return shown


def _shown(rates: Rates, suffix: str = "", *, than: Rates | None = None) -> dict[str, Any]:
    """Every class that has a price of its own, and another one `than` those rates give it."""
    usd = {
        name: usd_from_pico(getattr(rates, name))
        for name in rates.stated
        if than is None or getattr(rates, name) != getattr(than, name)
    }
    shown: dict[str, Any] = {f"{_CLASSES[name]}{suffix}": usd[name] for name in usd.keys() & _CLASSES.keys()}
    if "web_search" in usd and not suffix:
        shown[_SEARCH] = dict.fromkeys(_SEARCH_SIZES, usd["web_search"])
    if "file_search" in usd and not suffix:
        shown[_FILE_SEARCH] = usd["file_search"] * 1000
    return shown
