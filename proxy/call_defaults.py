"""What a deployment goes by that says neither how long a call may take nor how often it is tried again. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from proxy.gate_rules import BadRule

LITELLM_NAMES = frozenset({"num_retries", "request_timeout"})
ROUTER_NAMES = frozenset({"num_retries", "timeout"})
MOST_RETRIES = 10
#: What the column holds.
_MOST_SECONDS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class CallDefaults:
    timeout_seconds: int = 600
    max_retries: int = 2


def read_call_defaults(litellm: Mapping[str, Any], router: Mapping[str, Any]) -> CallDefaults:
    """From `litellm_settings` and `router_settings`, which win. Raises BadRule."""
    usual = CallDefaults()
    timeouts = (
        _seconds("router_settings.timeout", router.get("timeout")),
        _seconds("litellm_settings.request_timeout", litellm.get("request_timeout")),
    )
    retries = (
        _retries("router_settings.num_retries", router.get("num_retries")),
        _retries("litellm_settings.num_retries", litellm.get("num_retries")),
    )
    return CallDefaults(_first(*timeouts, usual.timeout_seconds), _first(*retries, usual.max_retries))


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _seconds(place: str, value: Any) -> int | None:
    """Rounded up: nobody waits for less than was asked for."""
    number = _number(value)
    if value is not None and (number is None or not 0 < number <= _MOST_SECONDS):
        raise BadRule(f"{place}: write a number of seconds above 0")
    return None if number is None else int(number.to_integral_value(ROUND_CEILING))


def _retries(place: str, value: Any) -> int | None:
    number = _number(value)
    if value is not None and (number is None or number < 0 or number != number.to_integral_value()):
        raise BadRule(f"{place}: write a whole number, 0 or more")
    return None if number is None else min(int(number), MOST_RETRIES)


def _number(value: Any) -> Decimal | None:
    """None for whatever is no number. Variables are texts, so a text may be one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
