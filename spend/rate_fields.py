"""The shape of the price book's JSON columns: rates by class as decimal text, in USD per token or piece."""

import re
from typing import Any

from django.core.exceptions import ValidationError

from spend.pricing import CLASSES

#: Classes that are columns of their own.
COLUMNS = ("input", "output", "cached", "cache_write")
EXTRAS = tuple(name for name in CLASSES if name not in COLUMNS)
_AMOUNT = re.compile(r"^[0-9]{1,3}(\.[0-9]{1,12})?$")
_SERVICE = re.compile(r"^[a-z][a-z0-9_-]{0,31}$")
_MOST_TIERS = 20


def validate_extras(value: Any) -> None:
    """`{"audio_input": "0.000032", ...}`: classes that are no column."""
    _check_rates(value, EXTRAS)


def validate_tiers(value: Any) -> None:
    """`[{"above": 200000, "rates": {"input": "0.0000025", ...}}, ...]`: what a longer input changes."""
    if not isinstance(value, list) or len(value) > _MOST_TIERS:
        raise ValidationError(f"write a list of at most {_MOST_TIERS} tiers")
    for tier in value:
        if not isinstance(tier, dict) or tier.keys() != {"above", "rates"}:
            raise ValidationError('a tier has "above" (input tokens) and "rates"')
        above = tier["above"]
        if isinstance(above, bool) or not isinstance(above, int) or not 0 < above < 2**40:
            raise ValidationError('"above" is a number of input tokens')
        _check_rates(tier["rates"], CLASSES)
    if len({tier["above"] for tier in value}) < len(value):
        raise ValidationError('no two tiers have the same "above"')


def validate_services(value: Any) -> None:
    """`{"priority": {"rates": {...}, "tiers": [...]}, ...}`: what a service tier changes."""
    if not isinstance(value, dict) or len(value) > _MOST_TIERS:
        raise ValidationError("write an object of service tiers by name")
    for name, schedule in value.items():
        if not _SERVICE.match(name) or name == "auto":
            raise ValidationError(f"'{name}' is not the name of a service tier, such as flex or priority")
        if not isinstance(schedule, dict) or not schedule.keys() <= {"rates", "tiers"} or "rates" not in schedule:
            raise ValidationError('a service tier has "rates", and may have "tiers"')
        _check_rates(schedule["rates"], CLASSES)
        validate_tiers(schedule.get("tiers", []))


def _check_rates(value: Any, known: tuple[str, ...]) -> None:
    if not isinstance(value, dict):
        raise ValidationError("write an object of prices by class")
    for name, amount in value.items():
        if name not in known:
            raise ValidationError(f"'{name}' is not one of {', '.join(known)}")
        if not isinstance(amount, str) or not _AMOUNT.match(amount):
            raise ValidationError(f"{name}: write USD below 1000 with at most twelve decimals, as text")
