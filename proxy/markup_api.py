"""/config/cost_discount_config and /config/cost_margin_config: what is taken off listed prices, and what is added."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy.providers import REGISTRY
from spend import markup_services
from spend.markups import EVERY, BadMarkup, Margin, Markups, read_discounts, read_margins
from spend.models import Markup
from teams.api_base import ApiError, ManagementView

#: What answers say.
_ANSWERED = {"values", "message", "status"}


class CostDiscounts(ManagementView):
    """GET the discounts in force; PATCH stores exactly those of the body, over the configuration file's."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"values": _in_force().discounts})

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request) -> Response:
        try:
            table = read_discounts(_given(self.body), "cost_discount_config")
        except BadMarkup as error:
            raise ApiError(400, str(error), param="cost_discount_config") from error
        _refuse_unknown(table.keys() - REGISTRY.keys(), "cost_discount_config")
        markup_services.set_discounts(table, actor=self.caller.actor)
        told = {"message": "Cost discount configuration updated successfully", "status": "success"}
        return Response({**told, "values": _in_force().discounts})


class CostMargins(ManagementView):
    """GET the margins in force; PATCH stores exactly those of the body, over the configuration file's."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"values": _margin_rows()})

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request) -> Response:
        try:
            table = read_margins(_given(self.body), "cost_margin_config")
        except BadMarkup as error:
            raise ApiError(400, str(error), param="cost_margin_config") from error
        _refuse_unknown(table.keys() - REGISTRY.keys() - {EVERY}, "cost_margin_config")
        markup_services.set_margins(table, actor=self.caller.actor)
        told = {"message": "Cost margin configuration updated successfully", "status": "success"}
        return Response({**told, "values": _margin_rows()})


def _given(body: dict[str, Any]) -> Any:
    """The table that a body is, or has where answers have it; no provider is called `values`."""
    return body["values"] if "values" in body and body.keys() <= _ANSWERED else body


def _in_force() -> Markups:
    return Markup.over(settings.MARKUPS)


def _margin_rows() -> dict[str, Any]:
    return {name: _margin_row(margin) for name, margin in _in_force().margins.items()}


def _margin_row(margin: Margin) -> Decimal | dict[str, Decimal]:
    """As it is written: a bare share, unless there is an amount for each call."""
    if not margin.per_call:
        return margin.share
    return {"percentage": margin.share, "fixed_amount": margin.per_call}


def _refuse_unknown(names: set[str], place: str) -> None:
    if names:
        known = ", ".join(sorted(REGISTRY))
        raise ApiError(400, f"{place}.{min(names)}: no provider has this name; there are {known}", param=place)
