"""Probes: public, and silent about everything that an outsider could use."""

from collections.abc import Callable
from typing import ClassVar

import redis
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, get_resolver

from proxy.version import TOLD
from teams import store


def liveness(request: HttpRequest) -> HttpResponse:
    """The process answers; what it depends on is none of this question's business."""
    return JsonResponse("I'm alive!", safe=False)


def readiness(request: HttpRequest) -> HttpResponse:
    """503 while the database or the counter store does not answer, so that no traffic is sent here."""
    found = states()
    healthy = set(found.values()) == {"connected"}
    told = {"status": "healthy" if healthy else "unhealthy", **found, "litellm_version": TOLD}
    response = JsonResponse(told, status=200 if healthy else 503)
    if not healthy:
        response["Retry-After"] = "5"
    return response


def _state(ask: Callable[[], object]) -> str:
    try:
        ask()
    except (Error, redis.RedisError):
        return "disconnected"
    return "connected"


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_store() -> None:
    store.client().ping()


def ping(request: HttpRequest) -> HttpResponse:
    """What clients ask of old, to see that anybody is there."""
    return JsonResponse({"route": request.path})


def routes(request: HttpRequest) -> HttpResponse:
    """Every path of the management API with its methods; the API's document is public as well."""
    found = []
    for pattern in get_resolver("gateway_project.api").url_patterns:
        view = getattr(pattern.callback, "view_class", None) if isinstance(pattern, URLPattern) else None
        if view is not None:
            methods = [name.upper() for name in view.http_method_names if hasattr(view, name) and name != "options"]
            found.append(
                {"path": f"/{pattern.pattern}", "methods": methods, "name": view.__name__, "endpoint": view.__name__}
            )
    return JsonResponse({"routes": found})


def states() -> dict[str, str]:
    return {"db": _state(_ask_database), "counter_store": _state(_ask_store)}


class Probes:
    """Middleware, the first of all: probes ask by a machine's address, which is no host name of ours."""

    _views: ClassVar[dict[str, Callable[[HttpRequest], HttpResponse]]] = {
        "/health/liveliness": liveness,
        "/health/liveness": liveness,
        "/health/readiness": readiness,
        "/test": ping,
        "/routes": routes,
    }

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._views.get(request.path, self._get_response)(request)
