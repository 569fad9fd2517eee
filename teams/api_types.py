"""Who calls the management API, and how it refuses. Free of views, so DRF's settings may name what imports it."""

from dataclasses import dataclass

from rest_framework.exceptions import APIException

from teams.actors import Actor

_KINDS = {
    400: "bad_request_error",
    401: "auth_error",
    403: "auth_error",
    404: "not_found_error",
    405: "bad_request_error",
    409: "bad_request_error",
    413: "bad_request_error",
    415: "bad_request_error",
    422: "validation_error",
    503: "no_db_connection",
}


class ApiError(APIException):
    """An answer that refuses. `param` names the field at fault, `kind` is the contract's `error.type`."""

    def __init__(self, status: int, message: str, *, kind: str = "", param: str | None = None) -> None:
        self.status_code = status
        self.kind = kind or kind_of(status)
        self.param = param
        super().__init__(message)

    @property
    def message(self) -> str:
        return str(self.detail)


def kind_of(status: int) -> str:
    return _KINDS.get(status, "internal_server_error" if status >= 500 else "bad_request_error")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is behind a request: the holder of the master key, or a virtual key known by its row and token."""

    actor: Actor
    is_admin: bool
    key_pk: int | None = None
    token: str = ""

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def pk(self) -> int | None:
        return self.actor.user_id
