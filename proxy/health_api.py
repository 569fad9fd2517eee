"""Management endpoints that ask providers whether they answer, and tell what they answered before."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Max
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy import health, services
from proxy.from_litellm import read_model
from proxy.models import Deployment, HealthCheck
from proxy.serializers import ModelSerializer
from spend.models import Hold
from teams.api_base import ApiError, ManagementView, required_text, whole_number
from teams.api_types import Misshapen

Row = dict[str, Any]


class HealthOfModels(ManagementView):
    """GET /health: asks the provider of every model, or of `?model=` or `?model_id=`."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        deployments = Deployment.objects.with_owners().filter(blocked=False)
        query = request.query_params
        if query.get("model"):
            deployments = deployments.filter(model__name=query["model"])
        if query.get("model_id"):
            deployments = deployments.filter(public_id=query["model_id"])
        checked = health.check_all(deployments)
        health.note(checked, actor=self.caller.actor, now=timezone.now())
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


class HealthBacklog(ManagementView):
    """GET /health/backlog: calls on all workers that were sent, or are about to be, and are not over."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"in_flight_requests": Hold.objects.in_flight(timezone.now()).count()})


class HealthHistory(ManagementView):
    """GET /health/history: what earlier checks found, the newest first."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        limit, offset = whole_number(query, "limit", 100, top=1000), _offset(query.get("offset") or "0")
        checks = HealthCheck.objects.all()
        if query.get("model"):
            checks = checks.filter(model_name=query["model"])
        if query.get("model_id"):
            checks = checks.filter(deployment_id=query["model_id"])
        status = query.get("status_filter")
        if status not in (None, "", "healthy", "unhealthy"):
            raise ApiError(400, "status_filter: write healthy or unhealthy", param="status_filter")
        if status:
            checks = checks.filter(problem="") if status == "healthy" else checks.exclude(problem="")
        shown = [_check_row(check) for check in checks[offset : offset + limit]]
        return Response({"health_checks": shown, "total_records": checks.count(), "limit": limit, "offset": offset})


class HealthLatest(ManagementView):
    """GET /health/latest: the last check of each model, by its id."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        newest = HealthCheck.objects.order_by().values("deployment_id").annotate(newest=Max("pk")).values("newest")
        found = {check.deployment_id: _check_row(check) for check in HealthCheck.objects.filter(pk__in=newest)}
        return Response({"latest_health_checks": found, "total_models": len(found)})


class HealthServices(ManagementView):
    """GET /health/services?service=: sends a test alert, for which no service is configured here."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        service = required_text(request.query_params, "service")
        raise ApiError(
            400, f'"{service[:64]}" not in proxy config: general_settings. Unable to test this.', param="service"
        )


class TestConnection(ManagementView):
    """POST /health/test_connection: whether a model that is not stored yet would be reachable; stores nothing."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        body = ModelSerializer(data={"model_name": "connection test", **self.body})
        body.is_valid(raise_exception=True)
        params, info = body.validated_data["litellm_params"], body.validated_data.get("model_info") or {}
        mode = {"mode": self.body["mode"]} if self.body.get("mode") else {}
        name = "*" * str(params.get("model", "")).count("*") or "connection test"
        new = read_model(name, params, {**info, **mode}, Deployment.Source.API)
        services.complete(new.deployment)
        problem = health.try_out(new.deployment, new.secret or self._stored(new.deployment))
        if problem:
            return Response({"status": "error", "result": {"error": problem}})
        return Response({"status": "success", "result": {"api_base": new.deployment.base_url}})

    @staticmethod
    def _stored(deployment: Deployment) -> str:
        """The secret of the named credential, for its own host alone."""
        credential = deployment.credential
        if credential is None:
            return ""
        if credential.host != services.host_of(deployment.base_url):
            raise ValidationError({"credential": f"it is bound to {credential.host}, not to the host of api_base"})
        return services.reveal(credential)


def _offset(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Misshapen("offset", "write a whole number that is not negative")
    return int(text)


def _row(one: health.Health) -> Row:
    return {
        "model_id": one.deployment.public_id,
        "model_name": one.deployment.model.name,
        "model": one.deployment.shown_model,
        "api_base": one.deployment.base_url,
    }


def _check_row(check: HealthCheck) -> Row:
    healthy = not check.problem
    return {
        "health_check_id": str(check.pk),
        "model_name": check.model_name,
        "model_id": check.deployment_id,
        "status": "healthy" if healthy else "unhealthy",
        "healthy_count": int(healthy),
        "unhealthy_count": int(not healthy),
        "error_message": check.problem or None,
        "response_time_ms": check.milliseconds,
        "details": None,
        "checked_by": check.checked_by or None,
        "checked_at": check.checked_at,
        "created_at": check.checked_at,
    }
