"""Which JSON types single values of `litellm_params` and `model_info` have. Pure.

Bodies of the API alone are held to them: what is stored already, or stands in a file that works, goes on as it is.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

_TEXTS = frozenset({"api_key", "api_base", "base_url", "api_version", "organization", "region_name", "base_model"})
_NUMBERS = frozenset({
    "rpm", "tpm", "weight", "order", "stream_timeout", "temperature", "top_p", "top_k", "min_p", "presence_penalty",
    "frequency_penalty", "repetition_penalty", "seed", "top_logprobs", "dimensions",
})  # fmt: skip
#: Names a variable of the environment, whose value anything may be.
_REFERENCE = "os.environ/"


def wrong_types(values: Mapping[str, Any]) -> dict[str, str]:
    """What to write instead, by the name of each value of another type. Null says nothing, in any place."""
    texts = {name: "write a string" for name in values.keys() & _TEXTS if not isinstance(values[name], str | None)}
    numbers = {name: "write a number" for name in values.keys() & _NUMBERS if not _is_number(values[name])}
    return texts | numbers


def _is_number(value: Any) -> bool:
    """Also one that is written as text, as forms do."""
    if isinstance(value, bool):
        return False
    if not isinstance(value, str):
        return value is None or isinstance(value, int | float | Decimal)
    try:
        return value.startswith(_REFERENCE) or Decimal(value).is_finite()
    except InvalidOperation:
        return False
