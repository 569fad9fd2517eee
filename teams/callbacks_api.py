"""/team/{id}/callback and /team/{id}/disable_logging: what is called back about a team's calls, which is nothing.

Answers are what clients expect of a team without callbacks. One that is set would promise calls that nobody makes, so
it is refused.
"""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams.api_base import ApiError, ManagementView, required_text
from teams.finding import managed_team, shown_team

Row = dict[str, Any]


class TeamCallbacks(ManagementView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, team_id: str) -> Response:
        team = shown_team(team_id, self.caller)
        nothing: Row = {"success_callback": [], "failure_callback": [], "callback_vars": {}}
        return Response({"status": "success", "data": {"team_id": team.public_id, **nothing}})

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, team_id: str) -> Response:
        managed_team(team_id, self.caller, "/team/callback")
        name = required_text(self.body, "callback_name")
        told = "is not called back by this gateway; read its spend with /spend/logs/v2 instead"
        raise ApiError(400, f"callback_name: '{name[:64]}' {told}", param="callback_name")

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request, team_id: str) -> Response:
        managed_team(team_id, self.caller, "/team/callback")
        raise ApiError(404, f"team {team_id} has no callbacks", param="callback_name")


class TeamLogging(ManagementView):
    """POST /team/{id}/disable_logging: it always is."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, team_id: str) -> Response:
        team = managed_team(team_id, self.caller, "/team/disable_logging")
        nothing: Row = {"success_callback": [], "failure_callback": []}
        told = f"Logging disabled for team {team.public_id}"
        return Response({"status": "success", "message": told, "data": {"team_id": team.public_id, **nothing}})
