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
from teams.field_rights import never_widened
from teams.finding import known_person, managed_organization, may_join, person_field, person_of
from teams.models import Organization, OrganizationMembership, User
from teams.person_rows import person_rows
from teams.promises import refuse_promises
from teams.rows import Row, place_row, zone_of
from teams.scope_serializers import PlaceLimitsSerializer, PlacesSerializer, PlaceUpdateSerializer, patched


class PlaceView(ScopeView):
    detail_errors = True

    def organization(self) -> Organization:
        """The organization, if the caller leads it."""
        return managed_organization(required_text(self.body, "organization_id"), self.caller)

    def shown(self, *places: OrganizationMembership) -> list[Row]:
        spent, now = self.spent(places), timezone.now()
        return [place_row(place, spent, now) for place in places]

    def place(self) -> OrganizationMembership:
        organization = self.organization()
        field = person_field(self.body)
        named = required_text(self.body, field)
        lookup = {"user__public_id": named} if field == "user_id" else {"user__email__iexact": named}
        places = organization.memberships.select_related("user", "organization", "shared_budget")
        place = places.filter(**lookup).first()
        if place is None:
            raise ApiError(
                404,
                f"Organization membership not found for organization_id={organization.public_id} and {field}={named}",
                param=field,
            )
        return place

    def holds_caller(self, place: OrganizationMembership) -> bool:
        """Whether it limits the caller itself, who therefore never raises it."""
        return self.caller.may_be(place.user_id) and not self.caller.is_admin


class PlaceAdd(PlaceView):
    """People get a role and limits in an organization; who is not known yet is made."""

    @extend_schema(request=PlacesSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        organization, members = self.organization(), PlacesSerializer(data=self.body)
        limits = PlaceLimitsSerializer(data=self.body, context={"caller": self.caller})
        refuse_promises(self.body)
        members.is_valid(raise_exception=True)
        limits.is_valid(raise_exception=True)
        with transaction.atomic():
            places = [self._add(organization, entry, limits) for entry in members.validated_data["member"]]
        users = [place.user for place in places]
        return Response(
            {
                "organization_id": organization.public_id,
                "updated_users": person_rows(users, self.caller, self.spent, timezone.now()),
                "updated_organization_memberships": self.shown(*places),
            }
        )

    def _add(
        self, organization: Organization, entry: Mapping[str, Any], limits: PlaceLimitsSerializer
    ) -> OrganizationMembership:
        actor = self.caller.actor
        known = known_person(entry.get("user_id"), entry.get("user_email"))
        if known is None:
            user = person_of(entry.get("user_id"), entry.get("user_email"), organization, actor)
            place = organization.memberships.select_for_update(no_key=True).filter(user=user).first()
            if place is not None:
                place.role = entry["role"]
                return services.update_limits(_limited(place, limits), actor=actor)
            known = user
        elif organization.memberships.filter(user=known).exists():
            message = (
                f"User {known.public_id} is already in the organization; change it with /organization/member_update"
            )
            raise ApiError(400, message, param="member")
        self._refuse_by_id(known, organization, entry)
        place = OrganizationMembership(organization=organization, user=known, role=entry["role"])
        return services.join_organization(_limited(place, limits), actor=actor)

    def _refuse_by_id(self, person: User, organization: Organization, entry: Mapping[str, Any]) -> None:
        """ApiError 403: of people elsewhere the caller has to know the address. Ids can be guessed."""
        knows = (entry.get("user_email") or "").casefold() == person.email.casefold() != ""
        if not knows and not may_join(person, organization, self.caller):
            message = (
                f"User {person.public_id} belongs to another organization: add them by e-mail address (user_email), "
                "or ask a platform admin"
            )
            raise ApiError(403, message, param="member")


class PlaceUpdate(PlaceView):
    """A merge patch of one person's role and limits in an organization."""

    @extend_schema(request=PlaceUpdateSerializer, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request) -> Response:
        place = self.place()
        check = never_widened if self.holds_caller(place) else None
        place = patched(place, PlaceUpdateSerializer, self.body, self.caller, check=check)
        return Response(self.shown(place)[0])

    post = patch


class PlaceDelete(PlaceView):
    """A person loses role and limits there. Teams and keys stay: /team/member_delete, /user/delete take them away."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request) -> Response:
        place = self.place()
        if self.holds_caller(place) and not (place.sets_nothing and not place.allowed_models):
            raise ApiError(403, "you have limits there, and would leave them behind: another admin can take you out")
        [row] = self.shown(place)
        services.leave_organization(place, actor=self.caller.actor)
        return Response(row)

    post = delete


def _limited(place: OrganizationMembership, limits: PlaceLimitsSerializer) -> OrganizationMembership:
    limits.apply(place)
    limits.refuse_other_reset(place, zone_of(place))
    place.full_clean()
    return place
