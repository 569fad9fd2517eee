"""Budgets of what serves calls: of providers, and of the access groups that models are put under."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from proxy import group_services, pool_services
from proxy.models import Pool
from teams.api_base import ApiError, ManagementView
from teams.api_fields import DurationField, MoneyField
from teams.api_types import Misshapen
from teams.money import usd_from_nano
from teams.rows import usd

Row = dict[str, Any]
_NO_BUDGET: Row = {"spend": usd_from_nano(0), "budget": None}
_FIELDS = {"max_budget": "max_budget_nano", "soft_budget": "soft_budget_nano", "budget_duration": "budget_duration"}


class PoolSerializer(serializers.Serializer[Any]):
    """The whole budget of a group: what is not named is not limited."""

    max_budget = MoneyField(required=False, allow_null=True)
    soft_budget = MoneyField(required=False, allow_null=True)
    budget_duration = DurationField(required=False, allow_null=True)

    def validate(self, attrs: Row) -> Row:
        if all(value is None for value in attrs.values()):
            told = "one of max_budget, soft_budget and budget_duration is required; DELETE removes the budget"
            raise serializers.ValidationError({"max_budget": told})
        return attrs

    def apply(self, pool: Pool) -> Pool:
        for field, column in _FIELDS.items():
            value = self.validated_data.get(field)
            setattr(pool, column, "" if value is None and field == "budget_duration" else value)
        return pool


class GroupBudget(ManagementView):
    """/access_group/{group}/budget: what calls to the group's models may spend, whoever makes them."""

    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, group: str) -> Response:
        _pool_of(group)
        return Response(_group_row(group))

    @extend_schema(request=PoolSerializer, responses=OpenApiTypes.OBJECT)
    def put(self, request: Request, group: str) -> Response:
        known = _pool_of(group)
        given = _given(self.body, group, known)
        if known is None and not given and self.body.get("access_group") == group:
            # A group without a budget, as it was shown.
            return Response(_group_row(group))
        body = PoolSerializer(data=given)
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            known = pool_services.find(Pool.Kind.ACCESS_GROUP, group, locked=True)
            pool = body.apply(known or Pool(kind=Pool.Kind.ACCESS_GROUP, name=group))
            pool_services.save_pool(pool, actor=self.caller.actor, now=timezone.now())
        return Response(_group_row(group))

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request, group: str) -> Response:
        pool = _pool_of(group)
        if pool is not None:
            pool_services.delete_pool(pool, actor=self.caller.actor)
        told = (
            f"Access group '{group}' has no budget to delete"
            if pool is None
            else f"Budget for access group '{group}' deleted successfully"
        )
        return Response({"access_group": group, "budget_deleted": pool is not None, "message": told})


class ProviderBudgets(ManagementView):
    """GET /provider/budgets: what calls to each provider may spend, and what they have spent in the present window."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        now = timezone.now()
        pools = list(Pool.objects.visible_to(self.caller).filter(kind=Pool.Kind.PROVIDER))
        spent = pool_services.spending(pools, now)
        return Response({"providers": {pool.name: _provider_row(pool, spent[pool.scope]) for pool in pools}})


def group_budgets(names: Collection[str]) -> dict[str, Row]:
    """`spend` and `budget` of each of these groups."""
    pools = {pool.name: pool for pool in Pool.objects.filter(kind=Pool.Kind.ACCESS_GROUP, name__in=names)}
    spent = pool_services.spending(pools.values(), timezone.now())
    return {name: _budget_rows(pools[name], spent) if name in pools else _NO_BUDGET for name in names}


def _pool_of(group: str) -> Pool | None:
    if not group_services.members(group):
        raise ApiError(404, f"Access group '{group[:128]}' not found", param="access_group")
    return pool_services.find(Pool.Kind.ACCESS_GROUP, group)


def _given(body: Row, group: str, known: Pool | None) -> Row:
    """The limits that a body names, or its `budget`, where answers have them. ApiError 400 naming what is none."""
    inside = body.get("budget") or {}
    if not isinstance(inside, dict):
        raise Misshapen("budget", "write an object with max_budget, soft_budget and budget_duration")
    shown = {"access_group": group, "budget_id": known.scope if known else None}
    for values, echoed in ((body, {"access_group", "spend", "budget"}), (inside, {"budget_id", "budget_reset_at"})):
        for name in sorted(values.keys() - _FIELDS.keys()):
            if name not in echoed or values[name] != shown.get(name, values[name]):
                told = "is no limit of an access group; send max_budget, soft_budget and budget_duration"
                raise ApiError(400, f"{name[:64]}: {told}", param=name[:64])
    return {name: values[name] for values in (inside, body) for name in _FIELDS if name in values}


def _group_row(group: str) -> Row:
    return {"access_group": group, **group_budgets([group])[group]}


def _budget_rows(pool: Pool, spent: Mapping[str, pool_services.Spending]) -> Row:
    nano, until = spent[pool.scope]
    budget = {
        "budget_id": pool.scope,
        "max_budget": usd(pool.max_budget_nano),
        "soft_budget": usd(pool.soft_budget_nano),
        "budget_duration": pool.budget_duration or None,
        "budget_reset_at": until,
    }
    return {"spend": usd_from_nano(nano), "budget": budget}


def _provider_row(pool: Pool, spent: pool_services.Spending) -> Row:
    return {
        "budget_limit": usd(pool.max_budget_nano),
        "time_period": pool.budget_duration or None,
        "spend": usd_from_nano(spent.nano),
        "budget_reset_at": spent.until,
    }
