"""Management endpoints that show models: to each caller those that its key may call."""

from collections.abc import Callable
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy.models import Deployment
from proxy.rows import Row, group_rows, model_rows
from proxy.wildcards import spelled_out
from teams.api_base import ApiError, Caller, ManagementView, flag, whole_number
from teams.finding import shown_team

_SORTS: dict[str, Callable[[Row], Any]] = {
    "model_name": lambda row: row["model_name"],
    "created_at": lambda row: row["created_at"],
    "updated_at": lambda row: row["updated_at"],
    "costs": lambda row: row["model_info"]["input_cost_per_token"] or 0,
    "status": lambda row: row["model_info"]["db_model"],
}
#: Parameters of the paged list that an example does not show.
_SEARCHED = ("model", "modelId", "sortBy", "sortOrder", "debug")
_TEAM = OpenApiParameter("teamId", description="Only what this team may call; `team_id` means the same.")


class ModelInfo(ManagementView):
    """GET /model/info and /v1/model/info."""

    detail_errors = True

    @extend_schema(
        request=None, responses=OpenApiTypes.OBJECT, parameters=[OpenApiParameter("litellm_model_id"), _TEAM]
    )
    def get(self, request: Request) -> Response:
        deployments = _shown(self.caller, request)
        wanted = request.query_params.get("litellm_model_id")
        if wanted:
            deployments = deployments.filter(public_id=wanted)
            if not deployments:
                raise ApiError(400, f"Model id = {wanted} not found on litellm proxy", param="litellm_model_id")
        return Response({"data": model_rows(deployments, timezone.now())})


class ModelInfoPaged(ManagementView):
    """GET /v2/model/info: a page of what a search finds."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT, parameters=[*map(OpenApiParameter, _SEARCHED), _TEAM])
    def get(self, request: Request) -> Response:
        query = request.query_params
        page, size = whole_number(query, "page", 1, top=10**6), whole_number(query, "size", 50, top=1000)
        rows = model_rows(self._found(request), timezone.now())
        sort = query.get("sortBy") or query.get("sort_by") or query.get("sort") or "model_name"
        if sort not in _SORTS:
            raise ApiError(400, f"sortBy: choose one of {', '.join(_SORTS)}", param="sortBy")
        order = query.get("sortOrder") or query.get("sort_order") or "asc"
        if order not in ("asc", "desc"):
            raise ApiError(400, "sortOrder: write asc or desc", param="sortOrder")
        rows.sort(key=_SORTS[sort], reverse=order == "desc")
        if flag(query, "debug"):
            rows = [row | {"openai_client": "one for all models of a worker"} for row in rows]
        return Response(
            {
                "data": rows[(page - 1) * size : page * size],
                "total_count": len(rows),
                "current_page": page,
                "total_pages": -(-len(rows) // size),
                "size": size,
            }
        )

    def _found(self, request: Request) -> QuerySet[Deployment]:
        query = request.query_params
        deployments = _shown(self.caller, request)
        if query.get("model"):
            deployments = deployments.filter(model__name=query["model"])
        if query.get("modelId"):
            deployments = deployments.filter(public_id=query["modelId"])
        if query.get("search"):
            text = query["search"]
            deployments = deployments.filter(Q(model__name__icontains=text) | Q(upstream_model__icontains=text))
        return deployments


class ModelGroupInfo(ManagementView):
    """GET /model_group/info: one row per public name, or the one of `?model_group=`; a wildcard's models by name."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        now, wanted = timezone.now(), request.query_params.get("model_group")
        rows = Deployment.objects.with_owners().visible_to(self.caller).filter(blocked=False)
        deployments = [row for row in spelled_out(rows, now) if not wanted or row.model.name == wanted]
        return Response({"data": group_rows(model_rows(deployments, now))})


def _shown(caller: Caller, request: Request) -> QuerySet[Deployment]:
    """What the caller sees; of the team that the request names, what that one may call, as /v1/models tells it.

    ApiError 404 for a team that does not exist, 403 for a foreign one.
    """
    rows = Deployment.objects.with_owners()
    seen, named = rows.visible_to(caller), request.query_params.get("teamId") or request.query_params.get("team_id")
    if not named:
        return seen
    team = shown_team(named, caller)
    if team.pk == caller.key_team:
        return seen.of_team(team)
    # A key of another team, or of none, asks for its owner: what it may call itself is not the question.
    return rows.of_team(team).filter(Q(blocked=False) | Q(pk__in=seen.values("pk")))
