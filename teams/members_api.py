"""Management endpoints of team members; the one that removes a member with its keys is in `keys.owners_api`."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import services
from teams.api import person_of
from teams.api_base import ApiError, ScopeView, required_text
from teams.callers import Caller
from teams.models import Membership, Team
from teams.rows import limits_row, membership_row, team_ids, team_row, user_row
from teams.scope_serializers import MembershipSerializer, MembersSerializer, MemberUpdateSerializer, patched
from teams.serializers import find_person, find_team


class MemberAdd(ScopeView):
    """People join a team, with limits of their own in it; who is not known yet is made."""

    detail_errors = True

    @extend_schema(request=MembersSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        members, limits = MembersSerializer(data=self.body), MembershipSerializer(data=self.body)
        with transaction.atomic():
            team = find_team(required_text(self.body, "team_id"), status=404)
            members.is_valid(raise_exception=True)
            limits.is_valid(raise_exception=True)
            added = [_add(team, entry, limits, self.caller) for entry in members.validated_data["member"]]
        spent, now = self.spent([team, *added, *(member.user for member in added)]), timezone.now()
        return Response(
            {
                **team_row(team, spent, now),
                "updated_users": [user_row(one.user, team_ids(one.user), spent, now) for one in added],
                "updated_team_memberships": [membership_row(one, spent, now) for one in added],
            }
        )


class MemberUpdate(ScopeView):
    """A merge patch of one person's role and limits in a team."""

    detail_errors = True

    @extend_schema(request=MemberUpdateSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        member = patched(find_member(self.body), MemberUpdateSerializer, self.body, self.caller.actor)
        row = limits_row(member, self.spent([member])[member.scope], timezone.now())
        return Response(
            {
                "team_id": member.team.public_id,
                "user_id": member.user.public_id,
                "user_email": member.user.email or None,
                "role": member.role,
                **row,
                "max_budget_in_team": row["max_budget"],
                "allowed_models": row["models"],
            }
        )


def find_member(body: Mapping[str, Any]) -> Membership:
    """The member that `team_id` and `user_id` or `user_email` name. ApiError 404 or 400."""
    team = find_team(required_text(body, "team_id"), status=404)
    field = "user_id" if body.get("user_id") is not None else "user_email"
    named = required_text(body, field)
    lookup = {"user__public_id": named} if field == "user_id" else {"user__email": named}
    members = Membership.objects.select_related("user", "team__organization", "shared_budget")
    member = members.filter(team=team, **lookup).first()
    if member is None:
        raise ApiError(400, f"{field}: User {named} is not in team {team.public_id}", param=field)
    return member


def _add(team: Team, entry: Mapping[str, Any], limits: MembershipSerializer, caller: Caller) -> Membership:
    user_id, email = entry.get("user_id"), entry.get("user_email")
    known = find_person(user_id, email)
    if known is not None and team.memberships.filter(user=known).exists():
        message = f"User {known.public_id} is already in team {team.public_id}; change it with /team/member_update"
        raise ApiError(400, message, kind="team_member_already_in_team", param="member")
    user = known or person_of(user_id, email, team, caller.actor)
    member: Membership = limits.apply(Membership(team=team, user=user, role=entry["role"]))
    member.full_clean()
    return services.add_member(member, actor=caller.actor)
