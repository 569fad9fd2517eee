"""What every management endpoint shares."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial, wraps
from typing import Any, ClassVar, ParamSpec

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import IntegrityError
from django.http import QueryDict
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from teams.api_types import MISSING, WRONG_TYPE, ApiError, Misshapen
from teams.callers import Caller
from teams.models import Limits

__all__ = [
    "ApiError", "Caller", "CrossingReader", "ManagementView", "ScopeView", "SpendReader", "WindowReader",
    "flag", "listed", "once_more", "required_names", "required_text", "unwired", "whole_number",
]  # fmt: skip

P = ParamSpec("P")
MOST_NAMES = 500
#: Of one parameter. Databases search for no text of much more.
MOST_CHARACTERS = 24_000
_YES, _NO = ("true", "1", "yes", "y", "on", "t"), ("false", "0", "no", "n", "off", "f")
_WORDS = dict.fromkeys(_YES, True) | dict.fromkeys(_NO, False)

#: Nano-USD spent in the current budget window of each scope, by scope name. Spend is known only above this
#: app, so the router hands the function to the views: policy flows down, facts flow up.
SpendReader = Callable[[Iterable[Limits]], Mapping[str, int]]
#: The same for every budget of each scope, by scope, model and duration.
WindowReader = Callable[[Iterable[Limits]], Mapping[tuple[str, str, str], int]]
#: When each scope crossed the soft budget of its current window; scopes that did not are left out.
CrossingReader = Callable[[Iterable[Limits]], Mapping[str, datetime]]

#: Carries a POST out, or gives the answer that it got before.
Once = Callable[[Request, Callable[[], Response]], Response]


def unwired(*given: Any) -> Any:
    """Stands for a reader that the router forgot; a silent zero would be a wrong amount."""
    raise ImproperlyConfigured("pass `spent=` (and `used=` and `crossed=`, where there are such) to as_view()")


class ManagementView(APIView):
    """Base of all endpoints. Answers may hold a fresh secret, so none of them may be stored on the way."""

    #: Errors of some endpoints are `{"detail": {"error": ...}}` instead of OpenAI's shape (contract, body B).
    detail_errors: ClassVar[bool] = False
    #: Whether a request may come without a body, which then says nothing.
    body_optional: ClassVar[bool] = False
    #: Text fields that forms send empty for "not set". Only where something is made: a change must clear nothing by it.
    blank_is_absent: ClassVar[frozenset[str]] = frozenset()
    #: Who may call; the router sets it and refuses a route that has none.
    access: ClassVar[object] = None
    #: Whether the caller got past the router's table: who did not is refused in the usual shape everywhere.
    admitted = False
    #: Whether what is changed here is in the catalog of the gateway's workers, who look for news of it: whoever is
    #: answered may rely on the change being in force.
    waits_for_workers = False
    #: Answers a POST that names itself (`Idempotency-Key`); the router hands it down.
    once: Once | None = None

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        if self.waits_for_workers and request.method not in SAFE_METHODS and response.status_code < 300:
            time.sleep(settings.CATALOG_SECONDS)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.admitted = True
        for name, value in [*request.query_params.items(), *kwargs.items()]:
            if "\0" in f"{name}{value}":
                raise ApiError(400, "a parameter contains the character NUL", param=name.replace("\0", ""))
            if len(f"{value}") > MOST_CHARACTERS:
                told = f"{name[:100]}: write at most {MOST_CHARACTERS} characters"
                raise ApiError(400, told, param=name[:100])
        if self.once is not None and request.method == "POST" and "Idempotency-Key" in request.headers:
            self._answer_once(self.once, request)

    def _answer_once(self, once: Once, request: Request) -> None:
        """Have the POST of this very request answered by `once`; whom no key identifies has no names of its own."""
        handler = getattr(self, "post", None)
        if handler is not None and isinstance(request.user, Caller):
            setattr(self, "post", lambda *args, **kwargs: once(request, partial(handler, *args, **kwargs)))  # noqa: B010

    @property
    def body(self) -> dict[str, Any]:
        """The request's JSON object; Misshapen if it is something else, or if there is none."""
        if not self.body_optional and self.request.stream is None:
            raise Misshapen("", "the body is missing; write a JSON object", code=MISSING)
        if not isinstance(self.request.data, dict):
            raise Misshapen("", "the body must be a JSON object")
        given: dict[str, Any] = self.request.data
        if not self.blank_is_absent:
            return given
        return {name: value for name, value in given.items() if value != "" or name not in self.blank_is_absent}

    @property
    def caller(self) -> Caller:
        caller: Caller = self.request.user  # type: ignore[assignment]  # set by KeyAuthentication
        return caller


def once_more(handler: Callable[P, Response]) -> Callable[P, Response]:
    """A handler that makes something under a name. Who loses a race for it learns what anybody does who comes later:
    carried out again, the handler finds what the winner made. Its first try has left nothing: services are atomic."""

    @wraps(handler)
    def carried_out(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return handler(*args, **kwargs)
        except (IntegrityError, ValidationError):
            return handler(*args, **kwargs)

    return carried_out


class ScopeView(ManagementView):
    """An endpoint that shows scopes; `spent` tells what they have spent."""

    spent: SpendReader = staticmethod(unwired)


def required_text(values: Mapping[str, Any], name: str) -> str:
    """A non-empty string out of a body or a query; Misshapen, or ApiError 400 if it is empty, naming it."""
    value, remedy = values.get(name), "this field is required and must be a non-empty string"
    if not isinstance(value, str):
        where = "query" if isinstance(values, QueryDict) else "body"
        raise Misshapen(name, remedy, code=MISSING if value is None else WRONG_TYPE, where=where)
    if not value.strip() or "\0" in value:
        raise ApiError(400, f"{name}: {remedy}", param=name)
    return value


def required_names(body: Mapping[str, Any], field: str) -> list[str]:
    """A list of non-empty strings out of a body; Misshapen, or ApiError 400 if it is empty or too long, naming it."""
    value = listed(body, field, "write a list of non-empty strings")
    if not all(isinstance(item, str) for item in value):
        raise Misshapen(field, "write a list of non-empty strings")
    if not value or not all(value):
        raise ApiError(400, f"{field}: write a list of non-empty strings", param=field)
    if len(value) > MOST_NAMES:
        raise ApiError(400, f"{field}: at most {MOST_NAMES} at a time", param=field)
    return value


def listed(body: Mapping[str, Any], field: str, remedy: str) -> list[Any]:
    """A list out of a body; Misshapen naming it."""
    value = body.get(field)
    if not isinstance(value, list):
        raise Misshapen(field, remedy, code=MISSING if value is None else WRONG_TYPE)
    return value


def whole_number(values: Mapping[str, str], name: str, default: int, *, top: int) -> int:
    """A query parameter between 1 and `top`; Misshapen naming it."""
    value = values.get(name, str(default))
    # No number here has more digits, and of thousands none could be made.
    if not value.isascii() or not value.isdigit() or len(value) > 12 or not 1 <= int(value) <= top:
        raise Misshapen(name, f"write a whole number between 1 and {top}", where="query")
    return int(value)


def flag(values: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """A query parameter that says yes or no, in the words that FastAPI takes; Misshapen naming it."""
    value = values.get(name, "").lower()
    if not value:
        return default
    if value not in _WORDS:
        raise Misshapen(name, "write true or false", where="query")
    return _WORDS[value]
