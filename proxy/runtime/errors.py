"""Everything a client can be told, in OpenAI's error shape. One function per kind of refusal."""

from dataclasses import dataclass, field

import orjson

BUDGET_EXCEEDED = "budget_exceeded"
NO_RETRY = {"x-should-retry": "false"}


@dataclass(eq=False)
class GatewayError(Exception):
    """A refusal: `{"error": {"message", "type", "param", "code"}}`, `code` being the status as text."""

    status: int
    type: str
    message: str
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    scope: str = ""
    """Whose budget refused the call."""

    def body(self) -> bytes:
        error = {"message": self.message, "type": self.type, "param": self.param, "code": str(self.status)}
        return orjson.dumps({"error": error})


class Unavailable(Exception):
    """A dependency of ours failed, which `what` names to clients."""

    what = ""

    def told(self) -> GatewayError:
        return unavailable(self.what)


def unauthorized(message: str, kind: str = "auth_error", param: str | None = None) -> GatewayError:
    return GatewayError(401, kind, message, param, NO_RETRY)


def forbidden(message: str, kind: str, param: str | None = None) -> GatewayError:
    return GatewayError(403, kind, message, param, NO_RETRY)


def invalid(message: str, param: str | None = None, status: int = 400) -> GatewayError:
    return GatewayError(status, "invalid_request_error", message, param, NO_RETRY)


def over_budget(message: str, status: int, retry_after: int | None, scope: str) -> GatewayError:
    headers = NO_RETRY if retry_after is None else {**NO_RETRY, "retry-after": str(retry_after)}
    return GatewayError(status, BUDGET_EXCEEDED, message, None, headers, scope)


def rate_limited(message: str, kind: str, retry_after: int, reset_at: str, *, again: bool = True) -> GatewayError:
    """`retry_after` in seconds, until the limit is whole again; not `again` if the same call is refused then too."""
    headers = {"retry-after": str(retry_after), "rate_limit_type": kind, "reset_at": reset_at}
    headers |= {} if again else NO_RETRY
    return GatewayError(429, "rate_limit_error", message, None, headers)


def unavailable(what: str) -> GatewayError:
    """A dependency of ours is down: the key is fine, so this is never a 401 or 429."""
    message = f"{what} is not available at the moment; your key is fine, try again shortly"
    return GatewayError(503, "service_unavailable", message, None, {"retry-after": "1"})


def upstream_failed(message: str, status: int = 502, headers: dict[str, str] | None = None) -> GatewayError:
    return GatewayError(status, "upstream_error", message, None, headers or {})
