"""Management endpoints of organizations."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Prefetch
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import departures, services
from teams.api_base import ApiError, ScopeView, once_more, required_names, required_text
from teams.callers import Caller
from teams.columns import TERMS
from teams.field_rights import never_raised, never_widened
from teams.finding import managed_organization, shown_organization
from teams.limit_serializers import TermsSerializer
from teams.models import Organization, OrganizationMembership, OrganizationQuerySet, SharedBudget, Team, User
from teams.paging import MOST, telling
from teams.promises import refuse_promises
from teams.rows import Row, limits_row, organization_row, place_row, zone_of
from teams.scope_serializers import OrganizationSerializer, patched
from teams.sent_back import is_sent_back

#: What a row tells besides what is set here; whoever sends a row back sends it, too.
_TOLD = {
    "spend", "created_at", "created_by", "updated_at", "updated_by", "litellm_budget_table", "model_spend",
    "object_permission", "object_permission_id", "members", "users", "teams",
}  # fmt: skip
#: Of these null means "leave it", and an empty object none.
_RATES = {"model_rpm_limit", "model_tpm_limit"}


class OrganizationView(ScopeView):
    """An endpoint that shows organizations with their people and teams."""

    detail_errors = True

    def full(self, organizations: Iterable[Organization]) -> list[Row]:
        """Rows with people and teams, in the order given."""
        return self._full(organizations)[0]

    def answer(self, organizations: Iterable[Organization]) -> Response:
        rows, cut = self._full(organizations)
        return telling(Response(rows), **cut)

    def _full(self, organizations: Iterable[Organization]) -> tuple[list[Row], dict[str, bool]]:
        """Also which kinds of rows are not complete: many organizations share what one of them alone may show."""
        wanted = [row.pk for row in organizations]
        most = max(1, MOST // max(1, len(wanted)))
        found = _full(self.caller, most + 1).filter(pk__in=wanted)
        rows: list[Any] = sorted(found, key=lambda row: wanted.index(row.pk))
        cut = {
            "members": any(len(row.shown_places) > most for row in rows),
            "teams": any(len(row.shown_teams) > most for row in rows),
        }
        for row in rows:
            row.shown_places, row.shown_teams = row.shown_places[:most], row.shown_teams[:most]
        return self._rows(rows), cut

    def _rows(self, rows: list[Any]) -> list[Row]:
        now = timezone.now()
        spent = self.spent([one for row in rows for one in (row, *row.shown_teams, *row.shown_places)])
        return [
            organization_row(row, spent, now)
            | {
                "members": (members := [place_row(place, spent, now) for place in row.shown_places]),
                "users": [member["user"] for member in members],
                "teams": [_team(team, row, spent[team.scope], now) for team in row.shown_teams],
            }
            for row in rows
        ]


class OrganizationNew(OrganizationView):
    blank_is_absent = frozenset({"organization_id", "budget_id", "budget_duration"})

    @extend_schema(request=OrganizationSerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        refuse_promises(self.body)
        body = OrganizationSerializer(data=self.body, context={"caller": self.caller})
        body.is_valid(raise_exception=True)
        organization, actor = body.organization(), self.caller.actor
        if organization.shared_budget is None:
            services.create_organization_with_budget(organization, actor=actor)
        else:
            services.create_organization(organization, actor=actor)
        return Response(organization_row(organization, self.spent([organization]), timezone.now()))


class OrganizationUpdate(OrganizationView):
    """A merge patch: an omitted field keeps its value, null clears it. Its own admins cannot raise its limits."""

    @extend_schema(request=OrganizationSerializer, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request) -> Response:
        return self.saved(required_text(self.body, "organization_id"))

    post = patch

    def saved(self, public_id: str) -> Response:
        organization = managed_organization(public_id, self.caller)
        check = None if self.caller.is_admin else never_widened
        with transaction.atomic():
            rest = self._own_budget(organization)
            organization = patched(organization, OrganizationSerializer, rest, self.caller, check=check)
        return Response(self.full([organization])[0])

    def _own_budget(self, organization: Organization) -> dict[str, Any]:
        """Change the budget that nobody shares with the organization; the rest of the body is about itself.

        Who sends a row back names that budget too, and what it says: none of that becomes the organization's own, which
        would win over the budget from then on. What it has of its own beside the budget goes as it is named.
        """
        budget, terms = organization.shared_budget, TermsSerializer().fields.keys() & self.body.keys()
        if budget is None or not terms or self.body.get("budget_id", budget.public_id) != budget.public_id:
            return self.body
        stored = SharedBudget.objects.select_for_update(no_key=True).get(pk=budget.pk)
        form = TermsSerializer(stored, data={name: self.body[name] for name in terms}, partial=True)
        form.is_valid(raise_exception=True)
        changed = form.apply(SharedBudget.objects.get(pk=budget.pk))
        rest = self.body | dict.fromkeys(terms) | {name: {} for name in terms & _RATES}
        if services.is_shared(budget):
            same = all(getattr(changed, name) == getattr(stored, name) for name in TERMS)
            return rest if same else self.body
        if not is_sent_back(self.body, organization):
            form.refuse_other_reset(changed, zone_of(organization))
        changed.full_clean()
        if not self.caller.is_admin:
            never_raised(stored, changed)
        services.update_budget(changed, actor=self.caller.actor)
        return rest


class OrganizationPatch(OrganizationUpdate):
    """PATCH /v2/organization/{id}: the same, but a field that no row has is refused, and null clears every field."""

    @property
    def body(self) -> dict[str, Any]:
        rates = ("model_rpm_limit", "model_tpm_limit")
        return {name: {} if value is None and name in rates else value for name, value in super().body.items()}

    @extend_schema(request=OrganizationSerializer, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, organization_id: str) -> Response:  # type: ignore[override]
        unknown = sorted(self.body.keys() - OrganizationSerializer().fields.keys() - _TOLD)
        if unknown:
            raise ApiError(422, f"{unknown[0]}: there is no such field", param=unknown[0])
        return self.saved(organization_id)


class OrganizationDelete(OrganizationView):
    """Its teams and keys go with it, its people move to the default organization; the ledger keeps it."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request) -> Response:
        names = list(dict.fromkeys(required_names(self.body, "organization_ids")))
        organizations = [managed_organization(name, self.caller) for name in names]
        rows = self.full(organizations)
        with transaction.atomic():
            for organization in organizations:
                departures.delete_organization(organization, actor=self.caller.actor)
        return Response(rows)

    post = delete


class OrganizationInfo(OrganizationView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        organization = shown_organization(required_text(request.query_params, "organization_id"), self.caller)
        answer = self.answer([organization])
        answer.data = answer.data[0]
        return answer

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """The older form: several at once."""
        names = dict.fromkeys(required_names(self.body, "organizations"))
        return self.answer([shown_organization(name, self.caller) for name in names])


class OrganizationList(OrganizationView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        rows = Organization.objects.live().visible_to(self.caller)
        if query.get("org_id"):
            rows = rows.filter(public_id=query["org_id"])
        if query.get("org_alias"):
            rows = rows.filter(name__icontains=query["org_alias"])
        # The newest first, as on every list; the default organization, which nobody can delete, is the oldest.
        return self.answer(rows.order_by("-pk")[:MOST])


def _full(caller: Caller, most: int) -> OrganizationQuerySet:
    """With the teams and people that the caller may look at: a plain member sees its own, not all of them."""
    seen = Team.objects.live().visible_to(caller)
    teams = seen.select_related("shared_budget").order_by("pk")[:most]
    named = Prefetch("user", User.objects.only("public_id", "email", "alias", "role"))
    people = OrganizationMembership.objects.prefetch_related(named, "shared_budget")
    if not caller.reads_all:
        people = people.filter(user__in=User.objects.visible_to(caller))
    places = people.order_by("pk")[:most]
    return Organization.objects.select_related("shared_budget").prefetch_related(
        Prefetch("teams", queryset=teams, to_attr="shown_teams"),
        Prefetch("memberships", queryset=places, to_attr="shown_places"),
    )


def _team(team: Team, organization: Organization, spent_nano: int, now: datetime) -> dict[str, Any]:
    return {
        "team_id": team.public_id,
        "team_alias": team.name or None,
        "organization_id": organization.public_id,
        **limits_row(team, spent_nano, now),
    }
