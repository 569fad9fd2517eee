"""Management endpoints of customers, the end users of apps: /customer/... and /end_user/... alike."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import departures, services
from teams.api_base import ApiError, ManagementView, ScopeView, once_more, required_names, required_text, whole_number
from teams.models import Customer
from teams.paging import MOST
from teams.promises import refuse_promises
from teams.rows import customer_row
from teams.scope_serializers import CustomerSerializer, patched
from teams.scopes import DEFAULT_ORGANIZATION
from teams.serializers import find_organization
from teams.spend_field import OpeningView, SpendView


class CustomerNew(OpeningView):
    """A customer may be made before its first call, which would otherwise make one without limits."""

    blank_is_absent = frozenset({"alias", "budget_id", "budget_duration"})

    @extend_schema(request=CustomerSerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        refuse_promises(self.body, but=CustomerSerializer.keeps)
        opening, body = self.opening(self.body), CustomerSerializer(data=self.body, context={"caller": self.caller})
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            customer = services.create_customer(body.customer(), actor=self.caller.actor)
            self.open_with(customer, opening)
        return Response(customer_row(customer, self.spent([customer]), timezone.now()))


class CustomerUpdate(SpendView):
    """A merge patch: an omitted field keeps its value, null clears it."""

    @extend_schema(request=CustomerSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        customer = _customer(required_text(self.body, "user_id"), self.body, "user_id")
        with transaction.atomic():
            customer = patched(customer, CustomerSerializer, self.body, self.caller)
            self.set_spend(customer, self.body, timezone.now())
        return Response(customer_row(customer, self.spent([customer]), timezone.now()))


class CustomerInfo(ScopeView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        public_id = required_text(request.query_params, "end_user_id")
        customer = _customer(public_id, request.query_params, "end_user_id")
        return Response(customer_row(customer, self.spent([customer]), timezone.now()))


class CustomerDelete(ManagementView):
    """Its limits are gone; what it spent stays in the ledger. A call that names it makes it anew."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        names = list(dict.fromkeys(required_names(self.body, "user_ids")))
        customers = [_customer(name, self.body, "user_ids") for name in names]
        with transaction.atomic():
            for customer in customers:
                departures.delete_customer(customer, actor=self.caller.actor)
        message = f"Successfully deleted customers with ids: {', '.join(names[:50])}"
        return Response({"deleted_customers": len(customers), "message": message})


class CustomerList(ScopeView):
    """Customers page by page; the header X-Total-Count says how many there are in all."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query, now = request.query_params, timezone.now()
        page, size = whole_number(query, "page", 1, top=10**9), whole_number(query, "page_size", MOST, top=MOST)
        rows = Customer.objects.live().visible_to(self.caller).order_by("pk")
        organization = find_organization(query)
        if organization is not None:
            rows = rows.filter(organization=organization)
        if query.get("search"):
            rows = rows.filter(Q(public_id__icontains=query["search"]) | Q(alias__icontains=query["search"]))
        shown = list(rows.select_related("organization", "shared_budget")[(page - 1) * size : page * size])
        spent = self.spent(shown)
        answer = Response([customer_row(row, spent, now) for row in shown])
        answer["X-Total-Count"] = str(rows.count())
        return answer


class CustomerBlocking(ScopeView):
    """POST /customer/block and /customer/unblock. Blocking one that has not called yet keeps it from ever calling."""

    blocked = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        actor, now = self.caller.actor, timezone.now()
        with transaction.atomic():
            found = [self._found(public_id) for public_id in dict.fromkeys(required_names(self.body, "user_ids"))]
            rows = [services.set_blocked(customer, self.blocked, actor=actor) for customer in found]
        spent = self.spent(rows)
        shown = [customer_row(row, spent, now) for row in rows]
        if self.blocked:
            return Response({"blocked_users": shown})
        # Clients of LiteLLM read here who of all is blocked still; nobody of these is.
        return Response({"unblocked_users": shown, "blocked_users": []})

    def _found(self, public_id: str) -> Customer:
        try:
            return _customer(public_id, self.body, "user_ids")
        except ApiError:
            if not self.blocked:
                raise
        sent = {name: self.body[name] for name in ("organization_id",) if name in self.body}
        body = CustomerSerializer(data={"user_id": public_id, **sent}, context={"caller": self.caller})
        body.is_valid(raise_exception=True)
        return services.create_customer(body.customer(), actor=self.caller.actor)


def _customer(public_id: str, values: Mapping[str, Any], field: str) -> Customer:
    """The customer of that id in the named organization, else in the default or the oldest one. ApiError 404."""
    rows = Customer.objects.live().select_related("organization", "shared_budget").filter(public_id=public_id)
    organization = find_organization(values)
    if organization is not None:
        found = rows.filter(organization=organization).first()
    else:
        default = rows.filter(organization__public_id=DEFAULT_ORGANIZATION).first()
        found = default or rows.order_by("pk").first()
    if found is None:
        raise ApiError(404, f"End User Id={public_id} does not exist in db", param=field)
    return found
