"""One shape for every refusal of the management API; nothing internal ever gets out."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import redis
import structlog
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DataError, IntegrityError
from django.db.models import ProtectedError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import is_valid_path
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.views.defaults import page_not_found
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView, set_rollback

from keys.secrets import shown_path
from teams.api_base import ApiError, ManagementView
from teams.api_types import CONTRADICTS, MISSING, WRONG_TYPE, Misshapen, kind_of
from teams.columns import BESIDE, TERMS
from teams.database import is_away

log = structlog.get_logger()

#: What clients call the columns that services complain about.
_API_NAMES = {
    "alias": "key_alias",
    "allowed_models": "models",
    "expires_at": "expires",
    **TERMS,
    **BESIDE,
    "shared_budget": "budget_id",
    "organization": "organization_id",
    "project": "project_id",
    "email": "user_email",
    "username": "user_id",
    "role": "user_role",
    "api_base": "litellm_params.api_base",
    "base_url": "litellm_params.api_base",
    "host": "litellm_params.api_base",
    "upstream_model": "litellm_params.model",
    "secret": "litellm_params.api_key",
}
_NO_FIELD = {NON_FIELD_ERRORS, "non_field_errors", "detail"}
#: Codes of what is wrong with a request's shape, Django REST framework's own among them, and what clients call each.
_SHAPE = {
    "required": MISSING,
    MISSING: MISSING,
    "null": WRONG_TYPE,
    WRONG_TYPE: WRONG_TYPE,
    "not_a_list": WRONG_TYPE,
    "invalid_choice": "enum",
}
#: Where in a request something is: names of fields, and numbers of entries of a list.
Place = tuple[str | int, ...]
#: Statuses that some handlers answer as details.
_DETAILED = (400, 401, 403, 404, 409)
_RETRY_SECONDS = "5"
#: Characters of a value in a message, and of a whole message.
_MOST_ECHOED, _MOST_TOLD = 100, 2000
_BOUNDED = (
    ". This key does only what everybody may who was given its secret; use one that nobody else was given, or ask an"
    " admin who leads you to renew this one (/key/regenerate)"
)
_QUOTED = re.compile(r"""(?<!\w)(?:"[^"]*"|'[^']*')""")


def handle(exc: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler: every exception becomes a refusal in the contract's words."""
    refusal = _with_reason(_refusal(exc), context.get("request"))
    set_rollback()
    response = Response(_body(refusal, context.get("view")), status=refusal.status_code)
    if refusal.status_code == 503:
        response["Retry-After"] = _RETRY_SECONDS
    if refusal.status_code == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A path that does not exist: a page for people, the error body for programs."""
    if request.path.startswith(("/admin", "/portal")):
        return page_not_found(request, exception)
    bare = request.path_info.rstrip("/")
    if bare != request.path_info and ".." not in bare and is_valid_path(bare, "gateway_project.api"):
        return _without_slash(request)
    error = {
        "message": f"there is no {shown_path(request.path)} here",
        "type": "not_found_error",
        "param": None,
        "code": "404",
    }
    return JsonResponse({"error": error}, status=404)


def _without_slash(request: HttpRequest) -> HttpResponse:
    """LiteLLM's server sends whoever ends a path with a slash to the one without it, with method, body and query.

    A path of the management API begins with a word of ours, so that it is never taken for another host.
    """
    path, query = escape_uri_path(request.path.rstrip("/")), iri_to_uri(request.META.get("QUERY_STRING", ""))
    return HttpResponseRedirect(f"{path}?{query}" if query else path, preserve_request=True)


def _refusal(exc: Exception) -> ApiError:
    if isinstance(exc, ApiError):
        return exc
    if is_away(exc) or isinstance(exc, redis.RedisError):
        log.error("a dependency is unavailable", error=type(exc).__name__, cause=type(exc.__cause__).__name__)
        what = "counter store" if isinstance(exc, redis.RedisError) else "database"
        return ApiError(503, f"The {what} is not available, please try again")
    if isinstance(exc, ValidationError | ModelValidationError):
        return _invalid(exc)
    if isinstance(exc, APIException):
        return ApiError(exc.status_code, str(exc.detail))
    if isinstance(exc, Http404):
        return ApiError(404, "not found")
    if isinstance(exc, PermissionDenied):
        return ApiError(403, "not allowed")
    if isinstance(exc, IntegrityError | ProtectedError | DataError):
        log.warning("a change was refused by the database", error=type(exc).__name__)
        return ApiError(400, CONTRADICTS)
    log.exception("management API failed", exc_info=exc)
    return ApiError(500, "Internal server error")


def _with_reason(refusal: ApiError, request: Any) -> ApiError:
    """A right that the key's owner has may be missing because of who else knows the key; nothing else tells."""
    if refusal.status_code not in (401, 403) or not getattr(getattr(request, "user", None), "is_bounded", False):
        return refusal
    return ApiError(refusal.status_code, refusal.message + _BOUNDED, kind=refusal.kind, param=refusal.param)


class _Wrong(Misshapen):
    """Everything that is wrong with a request's shape."""

    def __init__(self, found: list[tuple[Place, ErrorDetail]]) -> None:
        self.found = found
        super().__init__(_dotted(found[0][0]), str(found[0][1]))


def _invalid(exc: ValidationError | ModelValidationError) -> ApiError:
    """422 naming every field of a wrong shape; else 400 naming the first at fault, and all of them in the message."""
    # Serializers call their fields what clients do already; columns may bear names that are fields of their own.
    detail, names = (exc.detail, {}) if isinstance(exc, ValidationError) else (_model_detail(exc), _API_NAMES)
    found = list(_flatten((), detail, names))
    misshapen = [(place, text) for place, text in found if isinstance(text, ErrorDetail) and text.code in _SHAPE]
    if misshapen:
        return _Wrong(misshapen)
    told = [(_dotted(place), text) for place, text in found]
    message = "; ".join(f"{field}: {text}" if field else text for field, text in told)
    return ApiError(400, message or "invalid", param=next((field for field, _ in told if field), None))


def _model_detail(exc: ModelValidationError) -> Any:
    return exc.message_dict if hasattr(exc, "error_dict") else exc.messages


def _flatten(place: Place, detail: Any, names: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    """Every message with its place, of which the first part is called what `names` call it."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flatten(place if name in _NO_FIELD else (*place, names.get(name, name)), inner, {})
    elif isinstance(detail, list):
        for number, inner in enumerate(detail):
            yield from _flatten((*place, number) if isinstance(inner, dict) else place, inner, {})
    else:
        yield place, detail if isinstance(detail, ErrorDetail) else str(detail)


def _dotted(place: Place) -> str:
    return ".".join(part for part in place if isinstance(part, str))


def _shortened(quoted: str) -> str:
    return quoted if len(quoted) <= _MOST_ECHOED + 2 else f"{quoted[: _MOST_ECHOED + 1]}...{quoted[-1]}"


def _cut(text: str) -> str:
    """A message with what it echoes cut: a value of a megabyte is not sent back."""
    text = _QUOTED.sub(lambda found: _shortened(found[0]), text)
    return text if len(text) <= _MOST_TOLD else f"{text[:_MOST_TOLD]}..."


def _misshapen(refusal: ApiError, view: Any) -> dict[str, Any]:
    """Body C of the contract: where it is, and what to write there."""
    is_read = isinstance(view, APIView) and view.request.method == "GET"
    where = "query" if is_read or getattr(refusal, "where", "body") == "query" else "body"
    place: Place = tuple(refusal.param.split(".")) if refusal.param else ()
    if isinstance(refusal, _Wrong):
        entries = [(at, _SHAPE[str(text.code)], str(text)) for at, text in refusal.found]
    elif isinstance(refusal, Misshapen):
        entries = [(place, refusal.code, refusal.remedy)]
    else:
        entries = [(place, "value_error", refusal.message)]
    return {"detail": [{"type": kind, "loc": [where, *at], "msg": _cut(said)} for at, kind, said in entries]}


def _is_detailed(refusal: ApiError, view: Any) -> bool:
    """Body B of the contract: what a handler of such a route refuses, not what the gate before it does.

    A gate that refuses with 403 stands for a handler that looks at the caller itself.
    """
    status = refusal.status_code
    if not isinstance(view, ManagementView) or not view.detail_errors:
        return False
    if status not in _DETAILED or refusal.kind != kind_of(status):
        return False
    return view.admitted or getattr(view.access, "refuses", None) == status == 403


def _body(refusal: ApiError, view: Any) -> dict[str, Any]:
    if refusal.status_code == 422:
        return _misshapen(refusal, view)
    if _is_detailed(refusal, view):
        return {"detail": {"error": _cut(refusal.message)}}
    return {
        "error": {
            "message": _cut(refusal.message),
            "type": refusal.kind,
            "param": refusal.param,
            "code": str(refusal.status_code),
        }
    }
