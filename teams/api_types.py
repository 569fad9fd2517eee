"""How the management API refuses. Free of views, so DRF's settings may name what imports it."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from django.db import IntegrityError
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

#: Said of a change that the database refuses.
CONTRADICTS = "this contradicts what is stored already, or another change made at the same time"

#: Codes of validation errors about the shape of a request: a field is missing, or of another JSON type.
MISSING, WRONG_TYPE = "missing", "wrong_type"


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


class Misshapen(ApiError):
    """422: a request lacks a field, or the field is of another JSON type than its readers take (contract, body C)."""

    def __init__(self, param: str, remedy: str, *, code: str = WRONG_TYPE, where: str = "body") -> None:
        super().__init__(422, f"{param}: {remedy}" if param else remedy, param=param or None)
        self.remedy = remedy
        self.code = code
        self.where = where


def reason_of(refusal: Exception) -> str:
    """Why one entry of many was refused, in one line that names the fields at fault."""
    if isinstance(refusal, IntegrityError):
        return CONTRADICTS
    if isinstance(refusal, ModelValidationError):
        return "; ".join(refusal.messages)
    return "; ".join(_told(refusal.detail)) if isinstance(refusal, APIException) else str(refusal)


def _told(detail: Any, field: str = "") -> Iterator[str]:
    """Every message of a refusal, after the name of the field that it is about. Places in a list are left out."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            names = isinstance(name, str) and name != "non_field_errors"
            yield from _told(inner, ".".join(filter(None, (field, name))) if names else field)
    elif isinstance(detail, list | tuple):
        for inner in detail:
            yield from _told(inner, field)
    else:
        yield f"{field}: {detail}" if field else str(detail)


def kind_of(status: int) -> str:
    return _KINDS.get(status, "internal_server_error" if status >= 500 else "bad_request_error")
