"""Limits of all organizations together: a part of the configuration file's `litellm_settings` and `general_settings`.

Pure: no Django, no I/O.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from teams.money import nano_from_usd
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
        "max_budget_nano": None if budget is None else _nano(budget),
        "budget_duration": None if duration is None else _duration(duration),
        "max_parallel_requests": min((limit for limit in limits if limit is not None), default=None),
    }
    return {name: value for name, value in found.items() if value is not None}


def _nano(value: Any) -> int:
    problem = BadPlatformRule("litellm_settings.max_budget: write an amount in USD up to 9,000,000, or leave it out")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_BUDGET_NANO // 10**9:
        raise problem
    try:
        return nano_from_usd(Decimal(str(value)))
    except ValueError as error:
        raise problem from error


def _duration(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    try:
        parse_budget_duration(text)
    except BadDuration as error:
        raise BadPlatformRule(f"litellm_settings.budget_duration: {error}") from error
    return text


def _whole(general: Mapping[str, Any], name: str) -> int | None:
    value = general.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**53):
        raise BadPlatformRule(f"general_settings.{name}: write a whole number above 0, or leave it out")
    return value
