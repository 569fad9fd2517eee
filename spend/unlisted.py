"""Published prices that the packaged list does not have: pictures by the piece, and what costs nothing."""

from collections.abc import Iterator
from decimal import Decimal

from spend.models import PACKAGED, Price

#: USD for each picture, by quality and size; the first is the price of a picture that says neither.
_PICTURES: dict[str, dict[str, str]] = {
    "openai/dall-e-3": {
        "standard-1024x1024": "0.04",
        "standard-1024x1792": "0.08",
        "standard-1792x1024": "0.08",
        "hd-1024x1024": "0.08",
        "hd-1024x1792": "0.12",
        "hd-1792x1024": "0.12",
    },
    "openai/dall-e-2": {
        "standard-1024x1024": "0.02",
        "standard-512x512": "0.018",
        "standard-256x256": "0.016",
    },
}
#: Moderation is free of charge; all of its names are one item.
_MODERATION = "openai/omni-moderation-latest"
_NAMES = {
    "openai/omni-moderation-2024-09-26": _MODERATION,
    "openai/text-moderation-latest": _MODERATION,
    "openai/text-moderation-stable": _MODERATION,
}


def rows() -> Iterator[tuple[str, dict[str, object]]]:
    """Items with the fields of their price."""
    yield _MODERATION, {}
    for item, prices in _PICTURES.items():
        services = {name: {"rates": {"picture": usd}, "tiers": []} for name, usd in prices.items()}
        yield item, {"extras": {"picture": next(iter(prices.values()))}, "services": services}


def price_of(item: str, fields: dict[str, object], **when: object) -> Price:
    """An unsaved row: tokens cost nothing."""
    return Price(item=item, input=Decimal(0), output=Decimal(0), source=PACKAGED, **fields, **when)


def item_of(provider: str, model: str) -> str | None:
    """The item that covers a model under any of its names."""
    name = f"{provider}/{model}"
    item = _NAMES.get(name, name)
    return item if item == _MODERATION or item in _PICTURES else None
