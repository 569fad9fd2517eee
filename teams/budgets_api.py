"""Management endpoints of shared budgets: limits that keys, teams, people and others use by `budget_id`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import services
from teams.api_base import ApiError, ManagementView, once_more, required_names, required_text
from teams.limit_serializers import BudgetSerializer
from teams.models import SharedBudget
from teams.paging import first, telling
from teams.promises import refuse_promises
from teams.rows import Row, budget_row, terms_row

#: What /budget/settings describes: the field, the kind of its value, and what it means.
_SETTINGS = {
    "max_budget": ("Float", "Hard ceiling in USD per period."),
    "soft_budget": ("Float", "Warns, never refuses. In USD."),
    "budget_duration": ("String", "Period of the budget, e.g. '30d' or 'rolling 24h'."),
    "max_parallel_requests": ("Integer", "Requests at the same time."),
    "tpm_limit": ("Integer", "Tokens per minute."),
    "rpm_limit": ("Integer", "Requests per minute."),
}


class BudgetView(ManagementView):
    detail_errors = True

    def row(self, budget: SharedBudget, now: datetime) -> Row:
        return self.rows([budget], now)[0]

    def rows(self, budgets: Iterable[SharedBudget], now: datetime) -> list[Row]:
        """Windows of whoever shares one end in their own zones; shown are the default organization's."""
        zone = services.default_zone()
        return [budget_row(budget, zone, now) for budget in budgets]


class BudgetNew(BudgetView):
    blank_is_absent = frozenset({"budget_id", "budget_duration"})

    @extend_schema(request=BudgetSerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        refuse_promises(self.body)
        body = BudgetSerializer(data=self.body)
        body.is_valid(raise_exception=True)
        budget = services.create_budget(body.budget(), actor=self.caller.actor)
        return Response(self.row(budget, timezone.now()))


class BudgetUpdate(BudgetView):
    """A merge patch: an omitted field keeps its value, null clears it. In force everywhere at the next call."""

    @extend_schema(request=BudgetSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        refuse_promises(self.body)
        with transaction.atomic():
            budget = _budget(required_text(self.body, "budget_id"), "budget_id", locked=True)
            body = BudgetSerializer(budget, data=self.body, partial=True)
            body.is_valid(raise_exception=True)
            body.apply(budget)
            body.refuse_other_reset(budget, services.default_zone())
            budget.full_clean()
            services.update_budget(budget, actor=self.caller.actor)
        return Response(self.row(budget, timezone.now()))


class BudgetInfo(BudgetView):
    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        names, now = required_names(self.body, "budgets"), timezone.now()
        return Response(self.rows(SharedBudget.objects.filter(public_id__in=names), now))


class BudgetList(BudgetView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        budgets, cut = first(SharedBudget.objects.all())
        return telling(Response(self.rows(budgets, timezone.now())), budgets=cut)


class BudgetSettings(BudgetView):
    """The fields of one budget, described one by one."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        values = terms_row(_budget(required_text(request.query_params, "budget_id"), "budget_id"))
        return Response([_setting(name, values[name]) for name in _SETTINGS])


class BudgetDelete(BudgetView):
    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        budget = _budget(required_text(self.body, "id"), "id")
        row = self.row(budget, timezone.now())
        services.delete_budget(budget, actor=self.caller.actor)
        return Response(row)


def _setting(name: str, value: Any) -> Row:
    kind, description = _SETTINGS[name]
    return {
        "field_name": name,
        "field_type": kind,
        "field_description": description,
        "field_value": value,
        "stored_in_db": True,
        "field_default_value": None,
    }


def _budget(public_id: str, field: str, *, locked: bool = False) -> SharedBudget:
    rows = SharedBudget.objects.select_for_update(no_key=True) if locked else SharedBudget.objects.all()
    budget = rows.filter(public_id=public_id).first()
    if budget is None:
        raise ApiError(404, f"Budget not found, passed {field}={public_id}", param=field)
    return budget
