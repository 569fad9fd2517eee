"""Management endpoints of teams alone; those that show keys are in `keys.teams_api`."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from teams import departures, services
from teams.access_groups import assign_sent
from teams.api_base import ApiError, ManagementView, ScopeView, once_more, required_names, required_text
from teams.api_types import MISSING, Misshapen
from teams.callers import MEMBER_ROUTES
from teams.field_rights import never_raised, refuse_wider, unless_above
from teams.finding import available_teams, managed_team, owned_team, person_of, refuse_joining, refuse_twice, shown_team
from teams.models import Membership, Organization, SharedBudget, Team, User
from teams.promises import refuse_promises
from teams.rows import Row, team_row
from teams.scope_serializers import TeamPatchSerializer, TeamUpdateSerializer, patched
from teams.serializers import SAID_OF_MEMBERS, PermissionsField, TeamSerializer, find_team, member_budget
from teams.spend_field import OpeningView, SpendView


class TeamView(ScopeView):
    """An endpoint that shows one team."""

    def shown(self, team: Team) -> Row:
        return team_row(team, self.spent([team]), timezone.now())


class TeamNew(TeamView, OpeningView):
    blank_is_absent = frozenset(
        {
            "team_id", "team_alias", "organization_id", "budget_id", "budget_duration", "team_member_budget_duration",
            "team_member_key_duration",
        }
    )  # fmt: skip

    @extend_schema(request=TeamSerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        refuse_promises(self.body, but=TeamSerializer.keeps)
        opening, body = self.opening(self.body), TeamSerializer(data=self.body, context={"caller": self.caller})
        body.is_valid(raise_exception=True)
        self._refuse_foreign(body.validated_data.get("organization_id"))
        actor, team = self.caller.actor, body.team()
        self._refuse_wider(team)
        with transaction.atomic():
            services.create_team(team, actor=actor)
            self.open_with(team, opening)
            shared = member_budget(team, self.body)
            if shared is not None:
                services.share_member_budget(team, shared, actor=actor)
            self._fill(team, body.validated_data.get("members_with_roles") or [])
            assign_sent(team, self.body, self.caller)
        return Response(self.shown(find_team(team.public_id)))

    def _fill(self, team: Team, entries: list[dict[str, Any]]) -> None:
        """The named people, and whoever makes the team as its first admin."""
        actor = self.caller.actor
        for entry in entries:
            user = person_of(entry.get("user_id"), entry.get("user_email"), team.organization, actor)
            refuse_joining(user, team, self.caller)
            refuse_twice(user, team)
            services.add_member(Membership(team=team, user=user, role=entry["role"]), actor=actor)
        kept_out = self.caller.is_admin and settings.LITELLM_SETTINGS.get("disable_auto_add_proxy_admin_to_teams")
        maker = None if kept_out else self._maker()
        if maker is not None and not team.memberships.filter(user=maker).exists():
            services.add_member(Membership(team=team, user=maker, role=Membership.Role.ADMIN), actor=actor)

    def _maker(self) -> User | None:
        if self.caller.is_admin and self.caller.key_pk is None:
            return services.master_person()
        return User.objects.filter(pk=self.caller.user_pk).first() if self.caller.user_pk else None

    def _refuse_foreign(self, named: str | None) -> None:
        """Organization admins make teams in their own; any other one looks foreign, be it there or not."""
        managed = Organization.objects.live().managed_by(self.caller)
        if self.caller.is_admin or managed.filter(public_id=named or "").exists():
            return
        raise ApiError(
            403,
            "You do not have a role within the selected organization that lets you make teams. "
            f"Passed organization_id: {named or None}. Ask its admin, or name one that you administer",
            param="organization_id",
        )

    def _refuse_wider(self, team: Team) -> None:
        """ApiError 400 for more than the organization has, or than an organization admin who makes it."""
        if not team.organization_id:
            team.organization = services.default_organization()
        refuse_wider(team, team.organization, Team())
        if not self.caller.is_admin:
            maker = User.objects.get(public_id=self.caller.user_id, deleted_at=None)
            refuse_wider(team, maker, Team(), below=False)


class TeamUpdate(TeamView, SpendView):
    """A merge patch: an omitted field keeps its value, null clears it. Team admins cannot raise what limits them."""

    form: ClassVar[type[TeamUpdateSerializer]] = TeamUpdateSerializer

    @extend_schema(request=TeamUpdateSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        return self.saved(required_text(self.body, "team_id"))

    patch = post

    def saved(self, named: str) -> Response:
        actor, team = self.caller.actor, managed_team(named, self.caller, "/team/update")
        above = self.caller.manages_organization(team.organization_id)
        with transaction.atomic():
            team = patched(team, self.form, self.body, self.caller, check=unless_above(above))
            shared = member_budget(team, self.body)
            if shared is not None:
                if not above:
                    self._refuse_own_raise(team, shared)
                services.share_member_budget(team, shared, actor=actor)
            self.waits_for_workers |= assign_sent(team, self.body, self.caller)
            self.set_spend(team, self.body, timezone.now())
        return Response({"team_id": team.public_id, "data": self.shown(find_team(named))})

    def _refuse_own_raise(self, team: Team, changed: SharedBudget) -> None:
        """Whom the members' budget holds does not raise it for everybody either."""
        budget = team.member_budget_id
        if budget and team.memberships.filter(user__in=self.caller.actor.hearers, shared_budget=budget).exists():
            never_raised(SharedBudget.objects.get(pk=budget), changed, SAID_OF_MEMBERS)


class TeamPatch(TeamUpdate):
    """PATCH /team/{team_id}: the same, and `metadata` is changed member by member (RFC 7396), not replaced."""

    form = TeamPatchSerializer
    http_method_names = ("patch", "options")

    @extend_schema(request=TeamPatchSerializer, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, team_id: str) -> Response:  # type: ignore[override]
        if self.body.get("team_id") is not None and required_text(self.body, "team_id") != team_id:
            raise ApiError(400, "team_id: is another one than in the path; leave it out", param="team_id")
        return self.saved(team_id)


class TeamDelete(TeamView):
    """Its keys stop working, its members leave it; the ledger and the trail keep it."""

    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        names = list(dict.fromkeys(required_names(self.body, "team_ids")))
        teams = [owned_team(name, self.caller, "/team/delete") for name in names]
        spent, now = self.spent(teams), timezone.now()
        rows = [team_row(team, spent, now) for team in teams]
        with transaction.atomic():
            for team in teams:
                departures.delete_team(team, actor=self.caller.actor, now=now)
        return Response([row | {"deleted_at": now, "deleted_by": self.caller.actor.signature} for row in rows])


class TeamBlocking(TeamView):
    """POST /team/block and /team/unblock: every key of a blocked team is refused at its next call."""

    blocked = True
    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        named = required_text(self.body, "team_id")
        team = owned_team(named, self.caller, "/team/block" if self.blocked else "/team/unblock")
        services.set_blocked(team, self.blocked, actor=self.caller.actor)
        return Response(self.shown(find_team(named)))


class TeamModels(TeamView):
    """POST /team/model/add and /team/model/delete. Adding to a team that may call everything changes nothing."""

    detail_errors = True
    added = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        named, names = required_text(self.body, "team_id"), required_names(self.body, "models")
        team = managed_team(named, self.caller, "/team/model/add" if self.added else "/team/model/delete")
        with transaction.atomic():
            current = Team.objects.select_for_update(no_key=True).get(pk=team.pk).allowed_models
            models = self._changed(current, names)
            patched(team, TeamUpdateSerializer, {"models": models}, self.caller)
        return Response(self.shown(find_team(named)))

    def _changed(self, current: list[str], names: list[str]) -> list[str]:
        if self.added:
            return list(dict.fromkeys([*current, *names]))
        left = [name for name in current if name not in names]
        if current and not left:
            raise ApiError(
                400, "models: the last one cannot be removed, because an empty list means all; block the team instead",
                param="models",
            )  # fmt: skip
        return left


class TeamPermissions(ManagementView):
    """What plain members may do with the team's keys, and what a team could let them do."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response(_permissions(shown_team(required_text(request.query_params, "team_id"), self.caller)))

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        team = managed_team(required_text(self.body, "team_id"), self.caller, "/team/permissions_update")
        # Clients that had none before send null to say so again.
        routes = [] if self.body.get("team_member_permissions", MISSING) is None else _routes(self.body)
        team = services.grant_to_members(team, routes, actor=self.caller.actor)
        return Response(_permissions(team))


class TeamPermissionsBulk(ManagementView):
    """The same permissions added to many teams at once, or to all."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        teams: QuerySet[Team] = Team.objects.live()
        everywhere = self.body.get("apply_to_all_teams") is True
        if not everywhere:
            names = required_names(self.body, "team_ids")
            teams = Team.objects.filter(pk__in=[find_team(name, status=404, param="team_ids").pk for name in names])
        routes = self._sent()
        with transaction.atomic():
            for team in teams:
                added = list(dict.fromkeys([*team.member_permissions, *routes]))
                services.grant_to_members(team, added, actor=self.caller.actor)
        return Response(
            {
                "message": "Team member permissions updated successfully",
                "teams_updated": len(teams),
                "permissions_appended": routes,
            }
        )

    def _sent(self) -> list[str]:
        name = "permissions" if "permissions" in self.body else "team_member_permissions"
        return _routes(self.body, name)


class TeamsAvailable(ManagementView):
    """Teams that everybody may join, without those that the caller is in."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        teams = Team.objects.live().filter(public_id__in=available_teams()).exclude(pk__in=self.caller.teams)
        return Response(
            [
                {
                    "team_id": team.public_id,
                    "team_alias": team.name or None,
                    "description": team.metadata.get("description"),
                    "models": team.allowed_models,
                    "members_with_roles": [],
                }
                for team in teams
            ]
        )


class TeamMetadataSchema(ManagementView):
    """GET /team/metadata_schema: what forms should ask for in a team's metadata, as the configuration file says."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        fields = settings.GENERAL_SETTINGS.get("team_metadata_schema") or []
        return Response({"fields": [{"key": each["key"], "label": each.get("label")} for each in fields]})


def _permissions(team: Team) -> Row:
    """As the team set them, without what every member may do anyway: clients compare it with what they sent."""
    return {
        "team_id": team.public_id,
        "team_member_permissions": team.member_permissions,
        "all_available_permissions": list(MEMBER_ROUTES),
    }


def _routes(body: dict[str, Any], name: str = "team_member_permissions") -> list[str]:
    if body.get(name) is None:
        raise Misshapen(name, "write a list of routes", code=MISSING)
    try:
        return PermissionsField().to_internal_value(body[name])
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from error
