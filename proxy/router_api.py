"""Management endpoints about routing: which models take over from others, and what the router goes by."""

from typing import Any

from django.conf import settings
from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from proxy import fallback_services
from proxy.call_defaults import CallDefaults
from proxy.fallback_rules import GENERAL, KIND_OF, KINDS
from proxy.models import Fallback
from teams.api_base import ApiError, ManagementView, required_text
from teams.api_fields import NamesField, TextField

Row = dict[str, Any]
_SHUFFLE = "simple-shuffle"
"""As LiteLLM calls a choice that heeds neither load nor price."""
_STRATEGIES = {_SHUFFLE: "Deployments of a model take their turns."}
_USUAL = CallDefaults()
#: What the router goes by: the kind of value of each setting, what it means, and what it is if nobody sets it.
_FIELDS: dict[str, tuple[str, str, Any]] = {
    "fallbacks": ("List", "Models that take over when every try at a model failed.", []),
    "context_window_fallbacks": ("List", "Models that take over a call which is too long for a model.", []),
    "content_policy_fallbacks": ("List", "Models that take over a call which a provider's policy refuses.", []),
    "max_fallbacks": ("Integer", "How many other models may be tried for one call.", 5),
    "enable_tag_filtering": ("Boolean", "Whether the tags of a call choose among the deployments of its model.", False),
    "routing_strategy": ("String", "How a call finds one of its model's deployments.", _SHUFFLE),
    "num_retries": ("Integer", "Tries after the first one, at models that state no number.", _USUAL.max_retries),
    "max_retries": ("Integer", "Another name of num_retries.", _USUAL.max_retries),
    "timeout": ("Float", "Seconds a provider may keep silent, of models that state none.", _USUAL.timeout_seconds),
    "retry_after": ("Integer", "Seconds between two tries: there is no wait.", 0),
    "allowed_fails": ("Integer", "There is no limit: a deployment is called however often it failed.", None),
    "cooldown_time": ("Float", "Seconds for which a deployment that failed is left out: none is.", 0),
    "model_group_alias": ("Dictionary", "Further names of models, for everybody, by the configuration file.", {}),
}


class FallbackSerializer(serializers.Serializer[Any]):
    """POST /fallback."""

    model = TextField(max_length=255)
    fallback_models = NamesField()
    fallback_type = serializers.ChoiceField(choices=KINDS, required=False, default=GENERAL)


class FallbackView(ManagementView):
    """/fallback: what takes over from a model. A second POST for the same model and type replaces the first."""

    detail_errors = True

    @extend_schema(request=FallbackSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        body = FallbackSerializer(data=self.body)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        if fallback_services.unserved([given["model"]]) and given["model"] != "*":
            raise ApiError(404, f"Model '{given['model']}' not found in router", param="model")
        with transaction.atomic():
            row = _stored(given["model"], given["fallback_type"], locked=True)
            done = "updated" if row else "created"
            row = row or Fallback(model_name=given["model"], kind=given["fallback_type"])
            row.fallback_models = given["fallback_models"]
            fallback_services.save_fallback(row, actor=self.caller.actor)
        told = f"Fallback configuration {done} successfully"
        return Response(_row(row.model_name, row.kind, row.fallback_models) | {"message": told})

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """All of them, or with `model` that one's."""
        if request.query_params.get("model"):
            return self.one(required_text(request.query_params, "model"))
        found = Fallback.over(settings.FALLBACKS).listed()
        return Response({"fallbacks": [_row(model, kind, models) for model, kind, models in found]})

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request) -> Response:
        named = {**request.query_params.dict(), **(self.body if request.data else {})}
        return self.remove(required_text(named, "model"), named.get("fallback_type") or GENERAL)

    def one(self, model: str) -> Response:
        kind = _kind(self.request.query_params.get("fallback_type") or GENERAL)
        models = Fallback.over(settings.FALLBACKS).of(model, kind)
        if not models:
            raise _unknown(model, kind)
        return Response(_row(model, kind, models))

    def remove(self, model: str, kind: Any) -> Response:
        kind = _kind(kind)
        row = _stored(model, kind)
        if row is None and settings.FALLBACKS.of(model, kind):
            told = f"the fallbacks of '{model[:128]}' are defined in the configuration file; change them there"
            raise ApiError(400, told, param="model")
        if row is None:
            raise _unknown(model, kind)
        fallback_services.delete_fallback(row, actor=self.caller.actor)
        told = "Fallback configuration deleted successfully"
        return Response({"model": model, "fallback_type": kind, "message": told})


class FallbackOfModel(FallbackView):
    """/fallback/{model}: GET and DELETE, with `fallback_type` in the query."""

    http_method_names = ("get", "delete", "options")

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, model: str) -> Response:  # type: ignore[override]
        return self.one(model)

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request, model: str) -> Response:  # type: ignore[override]
        return self.remove(model, request.query_params.get("fallback_type") or GENERAL)


class RouterFields(ManagementView):
    """GET /router/fields: which settings there are. /router/settings says what they are set to, too."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"fields": _fields({}), "routing_strategy_descriptions": _STRATEGIES})


class RouterSettings(ManagementView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        values = router_values()
        return Response(
            {"fields": _fields(values), "current_values": values, "routing_strategy_descriptions": _STRATEGIES}
        )


def router_values() -> Row:
    """What the router goes by now. What there is no such thing as here has the value that says so."""
    known, rules, usual = Fallback.over(settings.FALLBACKS), settings.GATE_RULES, settings.CALL_DEFAULTS
    fixed = ("routing_strategy", "retry_after", "allowed_fails", "cooldown_time")
    return {
        **{name: known.as_setting(kind) for name, kind in KIND_OF.items()},
        "max_fallbacks": rules.max_fallbacks,
        "enable_tag_filtering": rules.tag_filtering,
        "model_group_alias": settings.MODEL_ALIASES.as_setting(),
        "num_retries": usual.max_retries,
        "max_retries": usual.max_retries,
        "timeout": usual.timeout_seconds,
        **{name: _FIELDS[name][2] for name in fixed},
    }


def _fields(values: Row) -> list[Row]:
    return [
        {
            "field_name": name,
            "field_type": kind,
            "field_value": values.get(name),
            "field_description": description,
            "field_default": default,
            "options": list(_STRATEGIES) if name == "routing_strategy" else None,
            "ui_field_name": name.replace("_", " ").capitalize(),
            "link": None,
        }
        for name, (kind, description, default) in _FIELDS.items()
    ]


def _row(model: str, kind: str, models: Any) -> Row:
    return {"model": model, "fallback_models": list(models), "fallback_type": kind}


def _stored(model: str, kind: str, *, locked: bool = False) -> Fallback | None:
    rows = Fallback.objects.select_for_update(no_key=True) if locked else Fallback.objects.all()
    return rows.filter(model_name=model, kind=kind).first()


def _kind(value: Any) -> str:
    if value not in KINDS:
        raise ApiError(400, f"fallback_type: choose one of {', '.join(KINDS)}", param="fallback_type")
    return str(value)


def _unknown(model: str, kind: str) -> ApiError:
    return ApiError(404, f"No {kind} fallbacks configured for model '{model[:128]}'", param="model")
