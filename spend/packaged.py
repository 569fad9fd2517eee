"""The price list that comes with the package genai-prices, as unsaved rows of the price book."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.core.exceptions import ValidationError
from genai_prices.data import providers
from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint

from spend import unlisted
from spend.models import PACKAGED as SOURCE
from spend.models import Price
from spend.rate_fields import COLUMNS

_Prices = dict[str, Decimal | TieredPrices]
_Rates = dict[str, Decimal]
_Tiers = list[dict[str, object]]

_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
_PLACES = Decimal(10) ** -12
_MTOK, _KCOUNT = Decimal(10) ** 6, Decimal(10) ** 3
#: The list's price keys that the book has a class for, with the number of pieces a price is for.
_CLASSES = {
    "input_mtok": ("input", _MTOK),
    "output_mtok": ("output", _MTOK),
    "cache_read_mtok": ("cached", _MTOK),
    "cache_write_mtok": ("cache_write", _MTOK),
    "cache_write_1h_mtok": ("cache_write_1h", _MTOK),
    "output_reasoning_mtok": ("reasoning", _MTOK),
    "input_audio_mtok": ("audio_input", _MTOK),
    "cache_audio_read_mtok": ("audio_cached", _MTOK),
    "output_audio_mtok": ("audio_output", _MTOK),
    "input_image_mtok": ("image_input", _MTOK),
    "cache_image_read_mtok": ("image_cached", _MTOK),
    "output_image_mtok": ("image_output", _MTOK),
    "requests_kcount": ("request", _KCOUNT),
    "web_searches_kcount": ("web_search", _KCOUNT),
    "storage_searches_kcount": ("file_search", _KCOUNT),
}
#: Prices of what no route of ours can be asked for: audio is only taken where it is priced per token.
_ELSEWHERE = {"audio_hours", "input_audio_hours"}
#: OpenAI's search models charge a fee for every call, which the list does not know.
_HIDDEN_FEES = ("-search-preview", "-search-api")


def prices_by_item() -> dict[str, list[Price]]:
    """Unsaved rows by item, oldest first. A model priced in ways the book has no class for is left out."""
    found: dict[str, list[Price]] = {}
    for provider in providers:
        for model in provider.models:
            item = f"{provider.id}/{model.id}"
            if rows := list(_rows(item, model)):
                found[item] = rows
    for item, fields in unlisted.rows():
        found.setdefault(item, [unlisted.price_of(item, fields, valid_from=_BEGINNING)])
    return found


def from_now(row: Price, now: datetime) -> Price:
    """The same prices, in force from `now` on."""
    return Price(
        item=row.item, valid_from=now, input=row.input, output=row.output, cached=row.cached,
        cache_write=row.cache_write, extras=row.extras, tiers=row.tiers, services=row.services, source=row.source,
    )  # fmt: skip


def _rows(item: str, model: ModelInfo) -> Iterator[Price]:
    for start in _starts(model):
        try:
            row = _row(item, model, start)
        except ValidationError:
            continue
        if row is not None:
            yield row


def _starts(model: ModelInfo) -> list[datetime]:
    """Instants from which another price holds."""
    dated = [] if isinstance(model.prices, ModelPrice) else model.prices
    constraints = [entry.constraint for entry in (*dated, *(model.price_variants or ()))]
    days = {entry.start_date for entry in constraints if isinstance(entry, StartDateConstraint)}
    return [_BEGINNING, *(datetime.combine(day, time(), UTC) for day in sorted(days))]


def _row(item: str, model: ModelInfo, start: datetime) -> Price | None:
    """A row for prices per token; None for models that are priced another way."""
    prices = _dearest(model, start, {})
    if "input" not in prices or _unknown(model, start) or _has_hidden_fee(item, prices):
        return None
    base, tiers = _schedule(prices)
    row = Price(
        item=item,
        valid_from=start,
        **{name: base.pop(name, None) for name in COLUMNS if name != "output"},
        output=base.pop("output", Decimal(0)),
        extras=_texts(base),
        tiers=tiers,
        services=_services(model, start, prices),
        source=SOURCE,
    )
    row.clean_fields()
    return row


def _services(model: ModelInfo, start: datetime, standard: _Prices) -> dict[str, object]:
    """Service tiers whose prices differ; a batch is one more of them."""
    contexts = {"batch": {"processing": "batch"}}
    for variant in model.price_variants or ():
        if variant.when.keys() == {"service_tier"}:
            contexts[variant.when["service_tier"]] = variant.when
    found: dict[str, object] = {}
    for name, context in contexts.items():
        prices = _dearest(model, start, context)
        if prices != standard:
            base, tiers = _schedule(prices)
            found[name] = {"rates": _texts(base), "tiers": tiers}
    return found


def _dearest(model: ModelInfo, start: datetime, context: dict[str, str]) -> _Prices:
    """Prices by class; where they change during the day, the dearest of the day holds all day."""
    found: _Prices = {}
    for moment in _moments(model, start.date()):
        for key, price in vars(model.get_prices(moment, context)).items():
            if price is not None and key in _CLASSES:
                name, _ = _CLASSES[key]
                found[name] = max(found.get(name, price), price, key=_base)
    return found


def _moments(model: ModelInfo, day: date) -> list[datetime]:
    """An instant of the day within every stretch of one price."""
    if isinstance(model.prices, ModelPrice):
        return [datetime.combine(day, time(), UTC)]
    turns = [
        turn.replace(tzinfo=None)
        for constraint in (entry.constraint for entry in model.prices)
        if isinstance(constraint, TimeOfDateConstraint)
        for turn in (constraint.start_time, constraint.end_time)
    ]
    return [datetime.combine(day, turn, UTC) + timedelta(seconds=1) for turn in (time(), *turns)]


def _unknown(model: ModelInfo, start: datetime) -> bool:
    """Whether anything of the model costs something that no class of ours covers."""
    keys = {key for key, price in vars(model.get_prices(start)).items() if price is not None}
    return bool(keys - _CLASSES.keys() - _ELSEWHERE)


def _has_hidden_fee(item: str, prices: _Prices) -> bool:
    return any(mark in item for mark in _HIDDEN_FEES) and not {"web_search", "request"} & prices.keys()


def _schedule(prices: _Prices) -> tuple[_Rates, _Tiers]:
    tiered = [price for price in prices.values() if isinstance(price, TieredPrices)]
    starts = sorted({tier.start for price in tiered for tier in price.tiers})
    tiers: _Tiers = [{"above": start, "rates": _texts(_each(prices, start))} for start in starts]
    return _each(prices, 0), tiers


def _each(prices: _Prices, above: int) -> _Rates:
    """USD per token or piece of every class, for an input of more than `above` tokens."""
    pieces = dict(_CLASSES.values())
    return {name: (_at(price, above) / pieces[name]).quantize(_PLACES) for name, price in prices.items()}


def _at(price: Decimal | TieredPrices, above: int) -> Decimal:
    if not isinstance(price, TieredPrices):
        return price
    reached = [tier for tier in price.tiers if tier.start <= above]
    return max(reached, key=lambda tier: tier.start).price if reached else price.base


def _base(price: Decimal | TieredPrices) -> Decimal:
    return price.base if isinstance(price, TieredPrices) else price


def _texts(rates: _Rates) -> dict[str, str]:
    return {name: f"{rate.normalize():f}" for name, rate in rates.items()}


def find_item(provider: str, model: str) -> tuple[str, int | None] | None:
    """Item and context window (tokens) of a provider's model under any of its names; None if not listed."""
    if item := unlisted.item_of(provider, model):
        return item, None
    listed = next((entry for entry in providers if entry.id == provider), None)
    info = listed.find_model(model) if listed else None
    return (f"{provider}/{info.id}", info.context_window) if info else None
