"""What a request asks of us beside the call itself: for whom it is, how it is labelled, how patient to be. Pure.

All of it is taken out of the body where it has no meaning for a provider.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.gate_rules import GateRules
from proxy.runtime import errors, strict_json

_CUSTOMER_HEADERS = ("x-litellm-customer-id", "x-litellm-end-user-id")
_SESSION_HEADERS = ("x-litellm-session-id", "x-litellm-trace-id")
_SESSION_FIELDS = ("litellm_session_id", "litellm_trace_id")
_NOTES_HEADER = "x-litellm-spend-logs-metadata"
_MOST_TAGS, _MOST_RETRIES, _MOST_NOTES_BYTES = 20, 10, 4096


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
    named += _names(_out_of_metadata(body, "tags"), "metadata.tags")
    if named and rules.reject_client_tags:
        raise errors.invalid(
            "Client-side 'metadata.tags' not allowed in request. 'reject_clientside_metadata_tags'=True. "
            "Tags can only be set on the key or its team",
            "metadata.tags",
        )
    if len(named) > _MOST_TAGS:
        raise errors.invalid(f"at most {_MOST_TAGS} tags are accepted", "metadata.tags")
    return tuple(dict.fromkeys(text(tag, "metadata.tags") for tag in named))


def fallbacks(body: dict[str, Any], path_model: str = "") -> list[dict[str, Any]]:
    """What a client names for when the model that it calls fails: models, each with what then changes in the body.

    Raises 400.
    """
    override = body.pop("router_settings_override", None)
    given = body.get("fallbacks")
    given = _of_override(override, path_model or body.get("model")) if given is None else given
    if given is None:
        return []
    refusal = errors.invalid('fallbacks must be a list of models, each a name or {"model": name, ...}', "fallbacks")
    if not isinstance(given, list):
        raise refusal
    named = [{"model": one} if isinstance(one, str) else one for one in given]
    if not all(isinstance(one, dict) and isinstance(one.get("model"), str) for one in named):
        raise refusal
    return named


def _of_override(override: Any, model: Any) -> Any:
    """`{"fallbacks": [{"gpt-4o": ["gpt-4o-mini"]}]}`, as a configuration file has them: those of the model called."""
    if override is None:
        return None
    lists = override.get("fallbacks") or [] if isinstance(override, dict) else None
    if not isinstance(lists, list) or not all(isinstance(one, dict) for one in lists):
        raise errors.invalid(
            'router_settings_override must be an object such as {"fallbacks": [{"model": ["another"]}]}',
            "router_settings_override",
        )
    return next((one[model] for one in lists if isinstance(model, str) and model in one), None)


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
    name = "x-litellm-num-retries" if headers.get("x-litellm-num-retries") else "num_retries"
    value = headers.get(name) or asked
    if value is None:
        return None
    if isinstance(value, bool) or not str(value).isascii() or not str(value).isdigit():
        raise errors.invalid(f"{name} must be a whole number", name)
    return min(int(str(value)[:9]), _MOST_RETRIES)


def session(body: dict[str, Any], headers: Mapping[str, str]) -> str:
    """What the client counts the call to in its spend log; empty if it names nothing. Raises 400."""
    inside = [body.pop(name, None) for name in _SESSION_FIELDS]
    for name in _SESSION_HEADERS:
        if headers.get(name, "").strip():
            return text(_utf8(headers[name], name).strip(), name)
    for name, value in zip(_SESSION_FIELDS, inside, strict=True):
        if value is not None and not isinstance(value, str):
            raise errors.invalid(f"{name} must be a string", name)
        if value:
            return text(value, name)
    return ""


def log_metadata(body: dict[str, Any], headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Notes of the client for the spend log, which do not travel on. Raises 400."""
    value, field = _out_of_metadata(body, "spend_logs_metadata"), "metadata.spend_logs_metadata"
    if headers.get(_NOTES_HEADER, "").strip():
        field = _NOTES_HEADER
        try:
            value = strict_json.loads(headers[_NOTES_HEADER].encode("latin-1"))
        except strict_json.NotStrictJSON as error:
            raise errors.invalid(f"{field} must be a JSON object", field) from error
    if value is None:
        return None
    if not isinstance(value, dict):
        raise errors.invalid(f"{field} must be a JSON object", field)
    written = orjson.dumps(value)
    # An escaped backslash before it makes it plain text.
    if len(written) > _MOST_NOTES_BYTES or b"\\u0000" in written.replace(rb"\\", b""):
        raise errors.invalid(f"{field} must have at most {_MOST_NOTES_BYTES} bytes and no NUL", field)
    return value


def _utf8(value: str, name: str) -> str:
    """A header's text, which is bytes to the server."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError as error:
        raise errors.invalid(f"{name} is not UTF-8", name) from error


def text(value: str, field: str) -> str:
    if len(value) > 255 or "\x00" in value:
        raise errors.invalid(f"{field} must have at most 255 characters and no NUL", field)
    return value


def _out_of_metadata(body: dict[str, Any], name: str) -> Any:
    """What is for us goes out of it, and with the last of that the whole field."""
    metadata = body.get("metadata")
    if not isinstance(metadata, dict) or name not in metadata:
        return None
    value = metadata.pop(name)
    if not metadata:
        del body["metadata"]
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
