"""Management endpoints of the people of organizations."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import services
from teams.api_base import ApiError, ScopeView, required_text
from teams.finding import managed_organization, person_of
from teams.models import Organization, OrganizationMembership
from teams.rows import place_row, team_ids_of, user_row
from teams.scope_serializers import PlacesSerializer
from teams.serializers import find_person


class PlaceView(ScopeView):
    detail_errors = True

    def organization(self) -> Organization:
        """The organization, if the caller leads it. A budget per person in it is refused, since nobody counts that."""
        if self.body.get("max_budget_in_organization") is not None:
            raise ApiError(
                400,
                "max_budget_in_organization: is not enforced here and therefore not accepted; give the person a budget "
                "with /user/update, or one in each team with max_budget_in_team",
                param="max_budget_in_organization",
            )
        return managed_organization(required_text(self.body, "organization_id"), self.caller)

    def place(self) -> OrganizationMembership:
        organization = self.organization()
        field = "user_id" if self.body.get("user_id") is not None else "user_email"
        named = required_text(self.body, field)
        lookup = {"user__public_id": named} if field == "user_id" else {"user__email__iexact": named}
        place = organization.memberships.select_related("user", "organization").filter(**lookup).first()
        if place is None:
            raise ApiError(
                404,
                f"Organization membership not found for organization_id={organization.public_id} and {field}={named}",
                param=field,
            )
        return place


class PlaceAdd(PlaceView):
    """People get a role in an organization; who is not known yet is made."""

    @extend_schema(request=PlacesSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        organization, members = self.organization(), PlacesSerializer(data=self.body)
        members.is_valid(raise_exception=True)
        with transaction.atomic():
            places = [self._add(organization, entry) for entry in members.validated_data["member"]]
        users = [place.user for place in places]
        spent, teams, now = self.spent(users), team_ids_of(users), timezone.now()
        return Response(
            {
                "organization_id": organization.public_id,
                "updated_users": [user_row(user, teams[user.pk], spent, now) for user in users],
                "updated_organization_memberships": [place_row(place) for place in places],
            }
        )

    def _add(self, organization: Organization, entry: Mapping[str, Any]) -> OrganizationMembership:
        actor = self.caller.actor
        known = find_person(entry.get("user_id"), entry.get("user_email"))
        if known is None:
            user = person_of(entry.get("user_id"), entry.get("user_email"), organization, actor)
            place = organization.memberships.filter(user=user).first()
            if place is not None:
                place.role = entry["role"]
                return services.update_organization_member(place, actor=actor)
            known = user
        elif organization.memberships.filter(user=known).exists():
            message = (
                f"User {known.public_id} is already in the organization; change it with /organization/member_update"
            )
            raise ApiError(400, message, param="member")
        place = OrganizationMembership(organization=organization, user=known, role=entry["role"])
        return services.join_organization(place, actor=actor)


class PlaceUpdate(PlaceView):
    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request) -> Response:
        place, role = self.place(), self.body.get("role")
        if role is not None:
            if role not in OrganizationMembership.Role.values:
                raise ApiError(400, f"role: write one of {', '.join(OrganizationMembership.Role.values)}", param="role")
            place.role = role
            place = services.update_organization_member(place, actor=self.caller.actor)
        return Response(place_row(place))

    post = patch


class PlaceDelete(PlaceView):
    """A person loses the role there. Teams and keys stay: /team/member_delete and /user/delete take them away."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request) -> Response:
        place = self.place()
        row = place_row(place)
        services.leave_organization(place, actor=self.caller.actor)
        return Response(row)

    post = delete
