"""Management endpoints of teams alone; those that show or make keys are in `keys.owners_api`."""

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import services
from teams.actors import Actor
from teams.api_base import ManagementView, SpendReader, required_text, unwired
from teams.models import Membership, Team, User
from teams.rows import team_row
from teams.serializers import TeamSerializer, find_person, find_team, new_person


class TeamNew(ManagementView):
    spent: SpendReader = staticmethod(unwired)

    @extend_schema(request=TeamSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        body = TeamSerializer(data=self.body)
        body.is_valid(raise_exception=True)
        actor = self.caller.actor
        with transaction.atomic():
            team = services.create_team(body.team(), actor=actor)
            for entry in body.validated_data.get("members_with_roles", []):
                user = _person(entry.get("user_id"), entry.get("user_email"), team, actor)
                services.add_member(Membership(team=team, user=user, role=entry["role"]), actor=actor)
        return Response(team_row(team, self.spent([team]), timezone.now()))


class TeamBlocking(ManagementView):
    """POST /team/block and /team/unblock: every key of a blocked team is refused at its next call."""

    spent: SpendReader = staticmethod(unwired)
    blocked = True
    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        team = find_team(required_text(self.body, "team_id"), status=404)
        services.set_blocked(team, self.blocked, actor=self.caller.actor)
        team.refresh_from_db()
        return Response(team_row(team, self.spent([team]), timezone.now()))


def _person(user_id: str | None, email: str | None, team: Team, actor: Actor) -> User:
    """The named person; one that nobody knows yet joins the team's organization."""
    known = find_person(user_id, email)
    if known is not None:
        return known
    user = new_person(user_id, email)
    user.organization = team.organization
    return services.create_user(user, actor=actor)
