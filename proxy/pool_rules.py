"""Budgets of providers in the configuration file: `router_settings.provider_budget_config`. Pure: no Django, no I/O."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any

from teams.scopes import MAX_BUDGET_NANO
from teams.windows import BadDuration, parse_budget_duration

NAMES = frozenset({"provider_budget_config"})
_PLACE = "router_settings.provider_budget_config"


class BadPool(ValueError):
    """A budget cannot be used; the message names it and the remedy."""


def read_provider_budgets(router: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Columns of the pool of each provider that the file limits, by its name. Raises BadPool."""
    given = router.get("provider_budget_config")
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise BadPool(f"{_PLACE}: write an object of providers, each with budget_limit and time_period")
    return {str(name): _columns(f"{_PLACE}.{name}", terms) for name, terms in given.items()}


def _columns(place: str, terms: Any) -> dict[str, Any]:
    if not isinstance(terms, Mapping):
        raise BadPool(f"{place}: write an object with budget_limit and time_period")
    unknown = sorted(set(map(str, terms)) - {"budget_limit", "time_period", "max_budget", "budget_duration"})
    if unknown:
        raise BadPool(f"{place}.{unknown[0]}: unknown; write budget_limit and time_period")
    limit = terms.get("budget_limit", terms.get("max_budget"))
    period = terms.get("time_period", terms.get("budget_duration"))
    return {"max_budget_nano": _nano(place, limit), "budget_duration": _duration(place, period)}


def _nano(place: str, value: Any) -> int:
    """Below a nano-USD is nothing: a budget is never more than what was written."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_BUDGET_NANO // 10**9:
        raise BadPool(f"{place}.budget_limit: write an amount in USD up to 9,000,000")
    return int((Decimal(str(value)) * 10**9).to_integral_value(ROUND_DOWN))


def _duration(place: str, value: Any) -> str:
    """Without a period it is the budget of a lifetime."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    try:
        parse_budget_duration(text)
    except BadDuration as error:
        raise BadPool(f"{place}.time_period: {error}") from error
    return text
