"""Health endpoints. The two public ones say nothing that an outsider could use."""

from collections.abc import Callable
from typing import Any, ClassVar

import redis
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy.health import Health, check_all
from proxy.models import Deployment
from teams import store
from teams.api_base import ManagementView


def liveness(request: HttpRequest) -> HttpResponse:
    """The process answers; what it depends on is none of this question's business."""
    return JsonResponse("I'm alive!", safe=False)


def readiness(request: HttpRequest) -> HttpResponse:
    """503 while the database or the counter store does not answer, so that no traffic is sent here."""
    states = {"db": _state(_ask_database), "counter_store": _state(_ask_store)}
    healthy = all(state == "connected" for state in states.values())
    response = JsonResponse({"status": "healthy" if healthy else "unhealthy", **states}, status=200 if healthy else 503)
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


class Probes:
    """Middleware, the first of all: probes ask by a machine's address, which is no host name of ours."""

    _views: ClassVar[dict[str, Callable[[HttpRequest], HttpResponse]]] = {
        "/health/liveliness": liveness,
        "/health/liveness": liveness,
        "/health/readiness": readiness,
    }

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._views.get(request.path, self._get_response)(request)


class HealthOfModels(ManagementView):
    """GET /health: asks the provider of every model, or of `?model=` or `?model_id=`."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        deployments = Deployment.objects.select_related("model", "provider", "credential").filter(blocked=False)
        query = request.query_params
        if query.get("model"):
            deployments = deployments.filter(model__name=query["model"])
        if query.get("model_id"):
            deployments = deployments.filter(public_id=query["model_id"])
        checked = check_all(deployments)
        healthy = [_row(one) for one in checked if not one.problem]
        unhealthy = [_row(one) | {"error": one.problem} for one in checked if one.problem]
        named = query.get("model") or query.get("model_id")
        return Response(
            {
                "healthy_endpoints": healthy,
                "unhealthy_endpoints": unhealthy,
                "healthy_count": len(healthy),
                "unhealthy_count": len(unhealthy),
            },
            status=503 if named and not healthy else 200,
        )


def _row(one: Health) -> dict[str, Any]:
    return {
        "model_id": one.deployment.public_id,
        "model_name": one.deployment.model.name,
        "model": f"{one.deployment.provider.slug}/{one.deployment.upstream_model}",
        "api_base": one.deployment.base_url,
    }
