"""How the management API refuses. Free of views, so DRF's settings may name what imports it."""

from rest_framework.exceptions import APIException

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
