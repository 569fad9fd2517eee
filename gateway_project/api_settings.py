"""Management endpoints about this server itself: what it runs with, and the price list it can read again."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from gateway_project.api_health import states
from proxy.config_api import refused
from proxy.config_file import GENERAL
from proxy.router_api import router_values
from proxy.version import TOLD, VERSION
from teams.api_base import ApiError, ManagementView, required_text

Row = dict[str, Any]
METRICS = "prometheus"
"""The one thing that hears of every call: `/metrics`, as the clients of LiteLLM name it."""


class ReadinessDetails(ManagementView):
    """GET /health/readiness/details: the probe, and what this server runs."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        found = states()
        healthy = set(found.values()) == {"connected"}
        details: Row = {
            "status": "healthy" if healthy else "unhealthy",
            **found,
            "cache": None,
            "litellm_version": TOLD,
            "version": VERSION,
            "durability": settings.DURABILITY,
            "log_level": settings.LOG_LEVEL,
            "success_callbacks": [METRICS],
        }
        return Response(details, status=200 if healthy else 503)


class License(ManagementView):
    """GET /health/license: everything is free, so nothing is licensed or limited."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        limits = {"max_users": None, "max_teams": None}
        return Response(
            {
                "has_license": False,
                "license_type": None,
                "expiration_date": None,
                "allowed_features": [],
                "limits": limits,
            }
        )


class ConfigCallbacks(ManagementView):
    """GET /get/config/callbacks: no callbacks, and what the router goes by."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        nothing: Row = {"callbacks": [], "alerts": [], "available_callbacks": {}}
        return Response({"status": "success", **nothing, "router_settings": router_values()})


class ActiveCallbacks(ManagementView):
    """GET /active/callbacks: every call is counted for Prometheus, and told to nobody else."""

    answer: ClassVar[Row] = {
        "alerting": None,
        "litellm.callbacks": [METRICS],
        "litellm.input_callback": [],
        "litellm.failure_callback": [],
        "litellm.success_callback": [],
        "litellm._async_success_callback": [],
        "litellm._async_failure_callback": [],
        "litellm._async_input_callback": [],
        "all_litellm_callbacks": [METRICS],
        "num_callbacks": 1,
        "num_alerting": 0,
    }

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response(self.answer)


class CallbackList(ManagementView):
    """GET /callbacks/list: by when they would be called."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"success": [], "failure": [], "success_and_failure": [METRICS]})


class NoneOfThem(ManagementView):
    """GET /callbacks/configs and /alerting/settings: nothing of the kind can be set yet."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response([])


class NoGuardrails(ManagementView):
    """GET /guardrails/list and /v2/guardrails/list: none, for clients that look before they do something else."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"guardrails": []})


class NoPolicies(ManagementView):
    """GET /policies/list: none, for the same clients."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"policies": [], "total_count": 0})


class NoCache(ManagementView):
    """/cache/...: answers are not cached, so there is no cache to ask or to empty."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        raise ApiError(400, "Cache not initialized. Latchkey keeps no answers of models", kind="cache_ping_error")

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        return self.get(request)


class ConfigList(ManagementView):
    """GET /config/list: the general settings that mean something here, as the configuration file sets them."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        wanted = request.query_params.get("config_type") or "general_settings"
        if wanted != "general_settings":
            raise ApiError(400, "config_type: write general_settings", param="config_type")
        return Response([_field(name) for name in sorted(GENERAL - {"master_key"})])


class InternalUserSettings(ManagementView):
    """GET /get/internal_user_settings: what people get who are made without it. PATCH /update/...: the file says it."""

    _types: ClassVar[dict[str, str]] = {
        "user_role": "string", "max_budget": "number", "budget_duration": "string", "models": "array",
        "available_teams": "array",
    }  # fmt: skip

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        values = settings.LITELLM_SETTINGS.get("default_internal_user_params") or {}
        told = "litellm_settings.default_internal_user_params, see docs/configuration.md"
        return Response(_described({name: values.get(name) for name in self._types}, self._types, told))

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request) -> Response:
        raise refused("litellm_settings.default_internal_user_params")


class DefaultTeamSettings(ManagementView):
    """GET /get/default_team_settings: all empty. A team has what it is made with, and no defaults beyond that."""

    _types: ClassVar[dict[str, str]] = {
        "max_budget": "number", "budget_duration": "string", "tpm_limit": "integer", "rpm_limit": "integer",
        "team_member_permissions": "array", "models": "array",
    }  # fmt: skip

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        empty: Row = {**dict.fromkeys(self._types), "models": []}
        return Response(_described(empty, self._types, "teams have no defaults here: say it in /team/new"))


class ConfigField(ManagementView):
    """GET /config/field/info?field_name=."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        name = required_text(request.query_params, "field_name")
        if name not in GENERAL - {"master_key"}:
            raise ApiError(400, f"Invalid field={name[:128]} passed in", param="field_name")
        if name not in settings.GENERAL_SETTINGS:
            raise ApiError(400, f"Field name={name} not set in general_settings", param="field_name")
        return Response({"field_name": name, "field_value": settings.GENERAL_SETTINGS[name]})


def _described(values: Row, types: Mapping[str, str], told: str) -> Row:
    """Settings with the JSON type of each, as forms are made of them."""
    properties = {name: {"type": kind, "description": told} for name, kind in types.items()}
    return {"values": values, "field_schema": {"description": told, "properties": properties}}


def _field(name: str) -> Row:
    value = settings.GENERAL_SETTINGS.get(name)
    return {
        "field_name": name,
        "field_type": type(value).__name__ if value is not None else None,
        "field_description": "see the section on the file's settings in docs/configuration.md",
        "field_value": value,
        "stored_in_db": None if value is None else False,
        "field_default_value": None,
        "premium_field": False,
        "nested_fields": None,
    }
