"""/reload/model_cost_map and /schedule/model_cost_map_reload: bringing the price book up to date, now or regularly."""

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from spend import reload_services
from spend.models import MOST_HOURS
from teams.api_base import ManagementView, required_text, whole_number


class PricesReload(ManagementView):
    """POST /reload/model_cost_map: bring the price book up to date with the packaged list."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        now = timezone.now()
        added = reload_services.reload_now(actor=self.caller.actor, now=now)
        told = f"Price data reloaded successfully! {added} prices were added."
        return Response({"status": "success", "message": told, "models_count": added, "timestamp": now})


class ReloadSchedule(ManagementView):
    """POST ?hours= does it every so many hours from now on; DELETE ends that."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        required_text(request.query_params, "hours")
        hours, now = whole_number(request.query_params, "hours", 1, top=MOST_HOURS), timezone.now()
        reload_services.plan_reload(hours, actor=self.caller.actor, now=now)
        told = f"Price data reload scheduled for every {hours} hours"
        return Response({"status": "success", "message": told, "interval_hours": hours, "timestamp": now})

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request) -> Response:
        was = reload_services.cancel_reload(actor=self.caller.actor)
        told = "Price data reload schedule cancelled" if was else "No reload was scheduled"
        return Response({"status": "success", "message": told, "timestamp": timezone.now()})


class ReloadStatus(ManagementView):
    """GET: how often, when it was last done, and when it is next."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        row = reload_services.schedule()
        answer: dict[str, Any] = {"scheduled": False, "interval_hours": None, "last_run": None, "next_run": None}
        if row is not None:
            answer = {"scheduled": True, "interval_hours": row.hours, "last_run": row.last_at, "next_run": row.next_at}
        return Response(answer)
