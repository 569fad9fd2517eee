"""How models look in answers of the management API, in LiteLLM's shape. No secret is ever among it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from proxy import services
from proxy.litellm_prices import show_prices, stated_prices
from proxy.models import Deployment
from spend import book
from spend.pricing import PriceCard

Row = dict[str, Any]


def model_rows(deployments: Iterable[Deployment], now: datetime) -> list[Row]:
    """Each with the price in force for it: its own, else the book's."""
    # Not by primary key: the models behind a wildcard are all one deployment.
    listed = [(deployment, services.price_item(deployment)) for deployment in deployments]
    cards = book.cards_at(now, [name for row, item in listed for name in (item, row.price_item)])
    return [model_row(row, cards.get(row.price_item), cards.get(item)) for row, item in listed]


def model_row(deployment: Deployment, own: PriceCard | None, listed: PriceCard | None) -> Row:
    """One deployment; prices are exact USD per token."""
    return {
        "model_id": deployment.public_id,
        "model_name": deployment.model.name,
        "litellm_params": _params(deployment, own),
        "model_info": _info(deployment, own or listed),
        "created_at": deployment.created_at,
        "created_by": deployment.created_by or None,
        "updated_at": deployment.updated_at,
        "updated_by": deployment.updated_by or None,
    }


def _params(deployment: Deployment, own: PriceCard | None) -> Row:
    named = {"litellm_credential_name": name} if (name := deployment.credential_name) else {}
    return {
        **deployment.params,
        "model": deployment.shown_model,
        "custom_llm_provider": deployment.provider.slug,
        **deployment.stated,
        **named,
        **stated_prices(own),
    }


def _info(deployment: Deployment, card: PriceCard | None) -> Row:
    team = deployment.team
    return {
        **deployment.model_info,
        "id": deployment.public_id,
        "db_model": deployment.source != Deployment.Source.CONFIG,
        "key": f"{deployment.provider.slug}/{deployment.upstream_model}",
        "mode": deployment.mode,
        "max_tokens": deployment.max_output_tokens,
        "max_input_tokens": deployment.max_input_tokens,
        "max_output_tokens": deployment.max_output_tokens,
        "litellm_provider": deployment.provider.slug,
        "team_id": team.public_id if team else None,
        "team_public_model_name": deployment.model.name if team else None,
        "access_groups": deployment.listed_groups,
        "blocked": deployment.blocked,
        **show_prices(card),
        "created_at": deployment.created_at,
        "created_by": deployment.created_by or None,
        "updated_at": deployment.updated_at,
        "updated_by": deployment.updated_by or None,
    }


def group_rows(rows: Iterable[Row]) -> list[Row]:
    """Rows of models put together by public name, each name once, as /model_group/info shows them."""
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row["model_name"], []).append(row)
    return [_group_row(name, found) for name, found in sorted(by_name.items())]


def _group_row(name: str, rows: list[Row]) -> Row:
    """What every deployment of a name does, at least one of them does: the largest of each, the dearest price."""
    infos = [row["model_info"] for row in rows]
    params = [row["litellm_params"] for row in rows]
    flags = {field: any(info.get(field) is True for info in infos) for field in _FLAGS}
    flags |= {field: True for info in infos for field in info if field.startswith("supports_") and info[field] is True}
    return {
        "model_group": name,
        "providers": sorted({info["litellm_provider"] for info in infos}),
        "mode": infos[0]["mode"],
        **{field: _largest(info.get(field) for info in infos) for field in _LARGEST},
        **{field: _total(given.get(field) for given in params) for field in ("tpm", "rpm")},
        **flags,
        "supported_openai_params": infos[0].get("supported_openai_params"),
        "configurable_clientside_auth_params": None,
        "is_public_model_group": False,
        "health_status": None,
        "health_response_time": None,
        "health_checked_at": None,
        "access_groups": sorted({group for info in infos for group in info["access_groups"]}),
    }


_LARGEST = (
    "max_input_tokens", "max_output_tokens", "input_cost_per_token", "output_cost_per_token",
    "cache_read_input_token_cost", "cache_creation_input_token_cost", "input_cost_per_pixel",
)  # fmt: skip
_FLAGS = (
    "supports_parallel_function_calling", "supports_vision", "supports_web_search", "supports_url_context",
    "supports_reasoning", "supports_function_calling",
)  # fmt: skip


def _largest(values: Iterable[Any]) -> Any:
    return max((value for value in values if value is not None), default=None)


def _total(values: Iterable[Any]) -> int | None:
    found = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    return sum(found) if found else None
