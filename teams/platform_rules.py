"""Limits of all organizations together: a part of the configuration file's `litellm_settings` and `general_settings`.

Pure: no Django, no I/O.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from teams.money import limit_from_usd
from teams.scopes import MAX_BUDGET_NANO
from teams.windows import BadDuration, parse_budget_duration

NAMES = frozenset({"max_budget", "budget_duration"})
GENERAL_NAMES = frozenset({"max_parallel_requests", "global_max_parallel_requests"})


class BadPlatformRule(ValueError):
    """A setting cannot be used; the message names it and the remedy."""


def read_platform(litellm: Mapping[str, Any], general: Mapping[str, Any]) -> dict[str, Any]:
    """The platform's columns that the file sets. Raises BadPlatformRule."""
    budget, duration = litellm.get("max_budget"), litellm.get("budget_duration")
    if duration is not None and budget is None:
        raise BadPlatformRule("litellm_settings.budget_duration: set max_budget as well, it is the budget's period")
    limits = [_whole(general, name) for name in sorted(GENERAL_NAMES)]
    found = {
        "max_budget_nano": None if budget is None else nano_of("litellm_settings.max_budget", budget, least=1),
        "budget_duration": None if duration is None else duration_of("litellm_settings.budget_duration", duration),
        "max_parallel_requests": min((limit for limit in limits if limit is not None), default=None),
    }
    return {name: value for name, value in found.items() if value is not None}


def nano_of(place: str, value: Any, *, least: int = 0) -> int:
    """A budget in the file; what is finer than a nano-USD is rounded down. Raises BadPlatformRule."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    nano = limit_from_usd(Decimal(str(value))) if is_number and 0 <= value <= MAX_BUDGET_NANO // 10**9 else -1
    if nano < least:
        raise BadPlatformRule(f"{place}: write an amount in USD up to 9,000,000, or leave it out")
    return nano


def duration_of(place: str, value: Any) -> str:
    """A budget's period in the file. Raises BadPlatformRule."""
    text = value if isinstance(value, str) else ""
    try:
        parse_budget_duration(text)
    except BadDuration as error:
        raise BadPlatformRule(f"{place}: {error}") from error
    return text


def _whole(general: Mapping[str, Any], name: str) -> int | None:
    value = general.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**53):
        raise BadPlatformRule(f"general_settings.{name}: write a whole number above 0, or leave it out")
    return value
