"""Management endpoints of organizations."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import services
from teams.api_base import ApiError, ScopeView, required_names, required_text
from teams.models import Organization, Team, User
from teams.rows import Row, limits_row, organization_row
from teams.scope_serializers import OrganizationSerializer, patched

#: More teams or people than these are listed by their own endpoints.
_MOST = 1000


class OrganizationNew(ScopeView):
    detail_errors = True

    @extend_schema(request=OrganizationSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        body = OrganizationSerializer(data=self.body)
        body.is_valid(raise_exception=True)
        organization = services.create_organization(body.organization(), actor=self.caller.actor)
        return Response(organization_row(organization, self.spent([organization]), timezone.now()))


class OrganizationUpdate(ScopeView):
    """A merge patch: an omitted field keeps its value, null clears it."""

    detail_errors = True

    @extend_schema(request=OrganizationSerializer, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request) -> Response:
        [organization] = _named([required_text(self.body, "organization_id")])
        organization = patched(organization, OrganizationSerializer, self.body, self.caller.actor)
        return Response(organization_row(organization, self.spent([organization]), timezone.now()))

    post = patch


class OrganizationInfo(ScopeView):
    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        public_id = required_text(request.query_params, "organization_id")
        return Response(self.full_rows(_named([public_id]))[0])

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """The older form: several at once."""
        return Response(self.full_rows(_named(required_names(self.body, "organizations"))))

    def full_rows(self, organizations: Iterable[Any]) -> list[Row]:
        """Rows with people and teams."""
        rows, now = list(organizations), timezone.now()
        spent = self.spent([*rows, *(team for row in rows for team in row.shown_teams)])
        return [
            organization_row(row, spent, now)
            | {
                "members": [_member(user, row) for user in row.shown_users],
                "teams": [_team(team, row, spent[team.scope], now) for team in row.shown_teams],
            }
            for row in rows
        ]


class OrganizationList(OrganizationInfo):
    http_method_names = ["get", "options"]

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        rows = _full()
        if query.get("org_id"):
            rows = rows.filter(public_id=query["org_id"])
        if query.get("org_alias"):
            rows = rows.filter(name__icontains=query["org_alias"])
        return Response(self.full_rows(rows[:_MOST]))


def _full() -> QuerySet[Organization]:
    teams = Team.objects.select_related("organization", "shared_budget").order_by("pk")[:_MOST]
    users = User.objects.order_by("pk")[:_MOST]
    return Organization.objects.select_related("shared_budget").prefetch_related(
        Prefetch("teams", queryset=teams, to_attr="shown_teams"),
        Prefetch("users", queryset=users, to_attr="shown_users"),
    )


def _named(public_ids: list[str]) -> list[Organization]:
    """The organizations in the order of their ids. ApiError 404 naming the first that does not exist."""
    found = {row.public_id: row for row in _full().filter(public_id__in=public_ids)}
    for public_id in public_ids:
        if public_id not in found:
            raise ApiError(404, f"Organization not found, passed organization_id={public_id}", param="organization_id")
    return [found[public_id] for public_id in public_ids]


def _member(user: User, organization: Organization) -> Row:
    return {
        "user_id": user.public_id,
        "user_email": user.email or None,
        "organization_id": organization.public_id,
        "user_role": user.role,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


def _team(team: Team, organization: Organization, spent_nano: int, now: datetime) -> dict[str, Any]:
    return {
        "team_id": team.public_id,
        "team_alias": team.name or None,
        "organization_id": organization.public_id,
        **limits_row(team, spent_nano, now),
    }
