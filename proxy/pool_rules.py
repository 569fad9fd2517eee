"""Budgets of providers in the configuration file: `router_settings.provider_budget_config`. Pure: no Django, no I/O."""

from collections.abc import Mapping
from typing import Any

from teams.platform_rules import BadPlatformRule, duration_of, nano_of

NAMES = frozenset({"provider_budget_config"})
_PLACE = "router_settings.provider_budget_config"


def read_provider_budgets(router: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Columns of the pool of each provider that the file limits, by its name. Raises BadPlatformRule.

    Without a period it is the budget of a lifetime.
    """
    given = router.get("provider_budget_config")
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise BadPlatformRule(f"{_PLACE}: write an object of providers, each with budget_limit and time_period")
    return {str(name): _columns(f"{_PLACE}.{name}", terms) for name, terms in given.items()}


def _columns(place: str, terms: Any) -> dict[str, Any]:
    if not isinstance(terms, Mapping):
        raise BadPlatformRule(f"{place}: write an object with budget_limit and time_period")
    unknown = sorted(set(map(str, terms)) - {"budget_limit", "time_period"})
    if unknown:
        raise BadPlatformRule(f"{place}.{unknown[0]}: unknown; write budget_limit and time_period")
    limit, period = terms.get("budget_limit"), terms.get("time_period")
    return {
        "max_budget_nano": nano_of(f"{place}.budget_limit", limit),
        "budget_duration": "" if period is None else duration_of(f"{place}.time_period", period),
    }
