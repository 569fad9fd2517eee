"""Management endpoints of teams and people alone; those that show or make keys are in `keys.owners_api`."""

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import services
from teams.actors import Actor
from teams.api_base import ApiError, ScopeView, required_text
from teams.models import Membership, Team, User
from teams.rows import team_ids, team_row, user_row
from teams.scope_serializers import TeamUpdateSerializer, UserUpdateSerializer, patched
from teams.serializers import TeamSerializer, find_person, find_team, new_person


class TeamNew(ScopeView):
    @extend_schema(request=TeamSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        body = TeamSerializer(data=self.body)
        body.is_valid(raise_exception=True)
        actor = self.caller.actor
        with transaction.atomic():
            team = services.create_team(body.team(), actor=actor)
            for entry in body.validated_data.get("members_with_roles", []):
                user = person_of(entry.get("user_id"), entry.get("user_email"), team, actor)
                services.add_member(Membership(team=team, user=user, role=entry["role"]), actor=actor)
        return Response(team_row(team, self.spent([team]), timezone.now()))


class TeamUpdate(ScopeView):
    """A merge patch: an omitted field keeps its value, null clears it."""

    @extend_schema(request=TeamUpdateSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        team = find_team(required_text(self.body, "team_id"), status=404)
        team = patched(team, TeamUpdateSerializer, self.body, self.caller.actor)
        row = team_row(team, self.spent([team]), timezone.now())
        return Response({"team_id": team.public_id, "data": row})


class TeamBlocking(ScopeView):
    """POST /team/block and /team/unblock: every key of a blocked team is refused at its next call."""

    blocked = True
    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        team = find_team(required_text(self.body, "team_id"), status=404)
        services.set_blocked(team, self.blocked, actor=self.caller.actor)
        team.refresh_from_db()
        return Response(team_row(team, self.spent([team]), timezone.now()))


class UserUpdate(ScopeView):
    """A merge patch of the person that `user_id` names, or `user_email` where there is no id."""

    @extend_schema(request=UserUpdateSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        if self.body.get("password") is not None:
            raise ApiError(422, "password is not accepted here; set it in the admin", param="password")
        field = "user_id" if self.body.get("user_id") is not None else "user_email"
        named = required_text(self.body, field)
        user = find_person(**{"user_id": named} if field == "user_id" else {"user_id": None, "email": named})
        if user is None:
            raise ApiError(404, f"User {named} not found", param=field)
        user = patched(user, UserUpdateSerializer, self.body, self.caller.actor)
        row = user_row(user, team_ids(user), self.spent([user]), timezone.now())
        return Response({"user_id": user.public_id, "data": row})


def person_of(user_id: str | None, email: str | None, team: Team, actor: Actor) -> User:
    """The named person; one that nobody knows yet joins the team's organization."""
    known = find_person(user_id, email)
    if known is not None:
        return known
    user = new_person(user_id, email)
    user.organization = team.organization
    return services.create_user(user, actor=actor)
