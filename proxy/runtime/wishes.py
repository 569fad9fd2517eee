"""What a request asks of us beside the call itself: for whom it is, how it is labelled, how patient to be. Pure.

All of it is taken out of the body where it has no meaning for a provider.
"""

from collections.abc import Mapping
from typing import Any

from proxy.gate_rules import GateRules
from proxy.runtime import errors

_CUSTOMER_HEADERS = ("x-litellm-customer-id", "x-litellm-end-user-id")
_MOST_TAGS, _MOST_RETRIES = 20, 10


def customer(body: Mapping[str, Any], headers: Mapping[str, str], rules: GateRules) -> str:
    """The end user of the app that calls; empty if none is named. Raises 400."""
    metadata = body.get("metadata")
    for name in (*_CUSTOMER_HEADERS, *rules.customer_headers):
        if headers.get(name, "").strip():
            return text(headers[name].strip(), name)
    value = body.get("user") or (metadata.get("user_id") if isinstance(metadata, dict) else None)
    if not value:
        return ""
    if not isinstance(value, str):
        raise errors.invalid("user must be a string", "user")
    return text(value, "user")


def tags(body: dict[str, Any], headers: Mapping[str, str], rules: GateRules) -> tuple[str, ...]:
    """Tags of the request, which do not travel on. Raises 400."""
    named = [tag.strip() for tag in headers.get("x-litellm-tags", "").split(",") if tag.strip()]
    if "tags" in body:
        named += _names(body.pop("tags"), "tags")
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and "tags" in metadata:
        named += _names(metadata.pop("tags"), "metadata.tags")
        if not metadata:
            del body["metadata"]
    if named and rules.reject_client_tags:
        raise errors.invalid(
            "Client-side 'metadata.tags' not allowed in request. 'reject_clientside_metadata_tags'=True. "
            "Tags can only be set on the key or its team",
            "metadata.tags",
        )
    if len(named) > _MOST_TAGS:
        raise errors.invalid(f"at most {_MOST_TAGS} tags are accepted", "metadata.tags")
    return tuple(dict.fromkeys(text(tag, "metadata.tags") for tag in named))


def fallbacks(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a client names for when the model that it calls fails: models, each with what then changes in the body.

    Raises 400.
    """
    given = body.get("fallbacks")
    if given is None:
        return []
    refusal = errors.invalid('fallbacks must be a list of models, each a name or {"model": name, ...}', "fallbacks")
    if not isinstance(given, list):
        raise refusal
    named = [{"model": one} if isinstance(one, str) else one for one in given]
    if not all(isinstance(one, dict) and isinstance(one.get("model"), str) for one in named):
        raise refusal
    return named


def timeout(body: dict[str, Any], headers: Mapping[str, str], *, stream: bool) -> float | None:
    """Seconds that the client is ready to wait for a provider; a deployment's own limit is never exceeded."""
    asked = body.pop("timeout", None)
    named = ("x-litellm-stream-timeout", "x-litellm-timeout") if stream else ("x-litellm-timeout",)
    for name in named:
        if headers.get(name):
            return _seconds(headers[name], name)
    return None if asked is None else _seconds(asked, "timeout")


def retries(body: dict[str, Any], headers: Mapping[str, str]) -> int | None:
    """How often to try again, instead of what the deployment says."""
    asked = body.pop("num_retries", None)
    value = headers.get("x-litellm-num-retries") or asked
    if value is None:
        return None
    if isinstance(value, bool) or not str(value).isascii() or not str(value).isdigit():
        raise errors.invalid("x-litellm-num-retries must be a whole number", "x-litellm-num-retries")
    return min(int(str(value)[:9]), _MOST_RETRIES)


def text(value: str, field: str) -> str:
    if len(value) > 255 or "\x00" in value:
        raise errors.invalid(f"{field} must have at most 255 characters and no NUL", field)
    return value


def _names(value: Any, field: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(tag, str) and tag for tag in value):
        raise errors.invalid(f"{field} must be a list of non-empty strings", field)
    return value


def _seconds(value: Any, name: str) -> float:
    try:
        seconds = float(value) if not isinstance(value, bool | dict | list) else 0.0
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise errors.invalid(f"{name} must be a number of seconds above 0", name)
    return seconds
