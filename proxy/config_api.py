"""Changing settings while the server runs: those that are kept in the database. All others belong to the file."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy import fallback_services
from proxy.fallback_rules import EVERY, GENERAL, KIND_OF, read_table
from proxy.gate_rules import BadRule
from proxy.models import Fallback
from proxy.router_api import router_values
from teams.api_base import ApiError, ManagementView, required_text
from teams.api_types import Misshapen

_SECTIONS = ("general_settings", "litellm_settings", "router_settings", "environment_variables")
_TABLES = {*KIND_OF, "default_fallbacks"}


class ConfigUpdate(ManagementView):
    """POST /config/update: fallbacks are stored and in force within a second; what is set in the file stays there."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        given = {name: self._section(name) for name in _SECTIONS if self.body.get(name) is not None}
        unknown = sorted(self.body.keys() - set(_SECTIONS))
        if unknown:
            raise refused(unknown[0])
        for section, values in given.items():
            current = _current(section)
            for name, value in values.items():
                if not _is_stored(section, name) and (name not in current or current[name] != value):
                    raise refused(f"{section}.{name}")
        with transaction.atomic():
            for section, values in given.items():
                self._store(section, values)
        return Response({"message": "Config updated successfully"})

    def _section(self, name: str) -> dict[str, Any]:
        value = self.body[name]
        if not isinstance(value, dict):
            raise Misshapen(name, "write an object of settings")
        return value

    def _store(self, section: str, values: Mapping[str, Any]) -> None:
        tables = {name: _table(values[name], f"{section}.{name}") for name in KIND_OF if values.get(name) is not None}
        if _is_stored(section, "default_fallbacks") and values.get("default_fallbacks") is not None:
            everybody = _table([{EVERY: values["default_fallbacks"]}], f"{section}.default_fallbacks")
            kept = tables.get("fallbacks") or _general()
            tables["fallbacks"] = {**kept, **{name: models for name, models in everybody.items() if models}}
        for name, table in tables.items():
            fallback_services.set_table(KIND_OF[name], table, actor=self.caller.actor)


class ConfigFieldChange(ManagementView):
    """POST /config/field/update and /config/field/delete: general settings are those of the file."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        raise refused(f"general_settings.{required_text(self.body, 'field_name')[:128]}")


def _is_stored(section: str, name: str) -> bool:
    return section in ("litellm_settings", "router_settings") and name in _TABLES


def _current(section: str) -> Mapping[str, Any]:
    """What a section says now: sending it back unchanged is no change."""
    if section == "router_settings":
        return router_values()
    found: Mapping[str, Any] = {
        "general_settings": settings.GENERAL_SETTINGS,
        "litellm_settings": settings.LITELLM_SETTINGS,
    }.get(section, {})
    return found


def _table(value: Any, place: str) -> dict[str, tuple[str, ...]]:
    try:
        return read_table(value, place)
    except BadRule as error:
        raise ApiError(400, str(error), param=place) from error


def _general() -> dict[str, tuple[str, ...]]:
    rows = Fallback.objects.filter(kind=GENERAL).exclude(model_name=EVERY)
    return {row.model_name: tuple(row.fallback_models) for row in rows}


def refused(place: str) -> ApiError:
    told = "is not changed here: set it in the configuration file (LATCHKEY_CONFIG) or the environment, then restart"
    return ApiError(400, f"{place[:200]}: {told}", param=place[:200])
