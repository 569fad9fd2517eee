"""Why an attempt failed, as the books keep it. Pure.

A provider's own words may quote what was asked, in any spelling, or what it was called with. They are for the caller:
the books keep the status, and what kind of refusal it was where that is one of the usual names.
"""

from proxy.runtime.errors import GatewayError
from spend.wire import Failure

_MOST_KIND, _MOST_MESSAGE = 64, 500
_USUAL = frozenset({
    "invalid_request_error", "not_found_error", "rate_limit_error", "rate_limit_exceeded", "insufficient_quota",
    "requests", "tokens", "permission_error", "authentication_error", "server_error", "overloaded_error", "api_error",
    "content_filter", "content_policy_violation", "context_length_exceeded", "request_too_large", "BadRequestError",
    "NotFoundError", "unprocessable_entity_error",
})  # fmt: skip


def of(error: GatewayError, model: str) -> Failure:
    """From 500 on, and where nothing was asked of a provider, the words are ours."""
    if error.status >= 500:
        return Failure(error.status, text_of(error.type, _MOST_KIND), text_of(error.message, _MOST_MESSAGE))
    kind = error.type if error.type in _USUAL else "upstream_error"
    told = f"the provider of '{model}' refused the call with status {error.status}"
    return Failure(error.status, kind, text_of(told, _MOST_MESSAGE))


def text_of(value: str, most: int) -> str:
    """PostgreSQL keeps no NUL."""
    return value.replace("\0", "")[:most]
