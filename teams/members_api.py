"""Management endpoints of team members."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from teams import departures, services
from teams.api_base import ApiError, ScopeView, SpendReader, listed, required_text, unwired
from teams.api_types import reason_of
from teams.callers import Caller
from teams.field_rights import never_widened
from teams.finding import (
    available_teams,
    find_member,
    known_person,
    managed_team,
    person_of,
    refuse_joining,
    refuse_twice,
    shown_team,
)
from teams.models import Membership, Team, User
from teams.person_rows import person_rows
from teams.rows import Row, limits_row, membership_row, team_row, zone_of
from teams.scope_serializers import MembershipSerializer, MembersSerializer, MemberUpdateSerializer, patched
from teams.serializers import find_team

_MOST = 500


class MembersView(ScopeView):
    """An endpoint that shows members; `ever` tells what they have spent in all."""

    detail_errors = True
    ever: SpendReader = staticmethod(unwired)

    def holds_caller(self, member: Membership) -> bool:
        """Whether it limits who calls, who therefore neither raises it nor leaves it behind."""
        above = self.caller.manages_organization(member.team.organization_id)
        return self.caller.may_be(member.user_id) and not above

    def added(self, team: Team, added: list[Membership]) -> Row:
        """The team, and who has just joined it."""
        users = [one.user for one in added]
        spent, ever, now = self.spent([team, *added]), self.ever(added), timezone.now()
        return {
            **team_row(team, spent, now),
            "updated_users": person_rows(users, self.caller, self.spent, now),
            "updated_team_memberships": [membership_row(one, spent, now, ever) for one in added],
        }


class MemberAdd(MembersView):
    """People join a team, with limits of their own in it; who is not known yet is made."""

    @extend_schema(request=MembersSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        members = MembersSerializer(data=self.body)
        limits = MembershipSerializer(data=self.body, context={"caller": self.caller})
        team = self._team(required_text(self.body, "team_id"))
        members.is_valid(raise_exception=True)
        limits.is_valid(raise_exception=True)
        with transaction.atomic():
            added = [_add(team, entry, limits, self.caller) for entry in members.validated_data["member"]]
        return Response(self.added(team, added))

    def _team(self, named: str) -> Team:
        """The team, if the caller leads it, or joins it alone and everybody may."""
        if named in available_teams() and self._is_own_entry():
            return find_team(named, status=404)
        return managed_team(named, self.caller, "/team/member_add")

    def _is_own_entry(self) -> bool:
        entry = self.body.get("member")
        [one] = entry if isinstance(entry, list) and len(entry) == 1 else [entry]
        limited = MembershipSerializer().fields.keys() & self.body.keys()
        is_self = (
            isinstance(one, dict)
            and one.get("user_id") == self.caller.user_id
            and bool(self.caller.user_id)
            and self.caller.personal
        )
        return is_self and not limited and isinstance(one, dict) and one.get("role", "user") == "user"


class MemberAddMany(MembersView):
    """Many people join; who cannot is named, and the others join nevertheless."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        named = required_text(self.body, "team_id")
        team = managed_team(named, self.caller, "/team/bulk_member_add")
        limits = MembershipSerializer(data=self.body, context={"caller": self.caller})
        limits.is_valid(raise_exception=True)
        results = [self._result(team, entry, limits) for entry in self._entries(team)]
        good = sum(1 for result in results if result["success"])
        return Response(
            {
                "team_id": named,
                "results": results,
                "total_requested": len(results),
                "successful_additions": good,
                "failed_additions": len(results) - good,
                "updated_team": team_row(find_team(named), self.spent([team]), timezone.now()),
            }
        )

    def _entries(self, team: Team) -> list[Any]:
        entries: list[Any]
        if self.body.get("all_users") is True:
            if not self.caller.is_admin:
                raise ApiError(403, "all_users: only a platform admin may add everybody", param="all_users")
            people = User.objects.live().exclude(memberships__team=team).order_by("pk")[: _MOST + 1]
            entries = [{"user_id": user.public_id} for user in people]
        else:
            entries = listed(self.body, "members", f"write a list of 1 to {_MOST} members")
        if not entries or len(entries) > _MOST:
            raise ApiError(400, f"members: write a list of 1 to {_MOST} members", param="members")
        return entries

    def _result(self, team: Team, entry: Any, limits: MembershipSerializer) -> Row:
        entry = entry if isinstance(entry, dict) else {}
        who: Row = {"user_id": entry.get("user_id"), "user_email": entry.get("user_email")}
        form = MembersSerializer(data={"member": [entry]})
        try:
            form.is_valid(raise_exception=True)
            with transaction.atomic():
                member = _add(team, form.validated_data["member"][0], limits, self.caller)
        except (ApiError, ValidationError, ModelValidationError, IntegrityError) as error:
            return who | {
                "success": False,
                "error": reason_of(error),
                "updated_user": None,
                "updated_team_membership": None,
            }
        shown = self.added(team, [member])
        return who | {
            "success": True,
            "error": None,
            "updated_user": shown["updated_users"][0],
            "updated_team_membership": shown["updated_team_memberships"][0],
        }


class MemberUpdate(MembersView):
    """A merge patch of one person's role and limits in a team."""

    @extend_schema(request=MemberUpdateSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        team = managed_team(required_text(self.body, "team_id"), self.caller, "/team/member_update")
        member = find_member(team, self.body)
        check = never_widened if self.holds_caller(member) else None
        member = patched(member, MemberUpdateSerializer, self.body, self.caller, check=check)
        return Response(self._row(member))

    def _row(self, member: Membership) -> Row:
        row = limits_row(member, self.spent([member])[member.scope], timezone.now())
        return {
            "team_id": member.team.public_id,
            "user_id": member.user.public_id,
            "user_email": member.user.email or None,
            "role": member.role,
            **row,
            "max_budget_in_team": row["max_budget"],
            "allowed_models": row["models"],
        }


class MemberDelete(MembersView):
    """A person leaves a team; the person's keys of the team are deleted with it."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        named = required_text(self.body, "team_id")
        team = managed_team(named, self.caller, "/team/member_delete")
        member = find_member(team, self.body)
        is_limited = not (member.sets_nothing and not member.allowed_models)
        if is_limited and named in available_teams() and self.holds_caller(member):
            raise ApiError(403, "you have limits there, and could join anew without: somebody else can take you out")
        departures.remove_member(member, actor=self.caller.actor)
        return Response(team_row(find_team(named), self.spent([team]), timezone.now()))


class MemberMe(MembersView):
    """The caller's own place in a team, and what it may spend there."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, team_id: str) -> Response:
        team = shown_team(team_id, self.caller)
        rows = Membership.objects.select_related("user", "team__organization", "shared_budget")
        member = rows.filter(team=team, user=self.caller.user_pk).first() if self.caller.user_pk else None
        if member is None:
            raise ApiError(404, f"You are not a member of team {team_id}", param="team_id")
        row = membership_row(member, self.spent([member]), timezone.now(), self.ever([member]))
        return Response(row | {"user_email": member.user.email or None})


def _add(team: Team, entry: Mapping[str, Any], limits: MembershipSerializer, caller: Caller) -> Membership:
    known = known_person(entry.get("user_id"), entry.get("user_email"))
    if known is not None:
        refuse_joining(known, team, caller)
        refuse_twice(known, team)
    user = known or person_of(entry.get("user_id"), entry.get("user_email"), team.organization, caller.actor)
    member: Membership = limits.apply(Membership(team=team, user=user, role=entry["role"]))
    limits.refuse_other_reset(member, zone_of(member))
    member.full_clean()
    return services.add_member(member, actor=caller.actor)
