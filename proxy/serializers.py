"""Models in LiteLLM's shape, both ways. A provider's secret goes in and never comes out."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from proxy.from_litellm import NewModel, refuse_secrets
from proxy.merging import follow_the_book, plain, read_new
from proxy.models import Deployment
from proxy.param_types import wrong_types
from teams.api_fields import ObjectField, TextField, refuse_control
from teams.api_types import WRONG_TYPE, ApiError


class _ExactObjectField(ObjectField):
    """An object whose decimals stay decimals: prices are exact."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        super().to_internal_value(data)
        exact: dict[str, Any] = data
        return exact


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    """The values, if each of them is of its type. ValidationError naming those that are not."""
    if wrong := wrong_types(values):
        raise serializers.ValidationError(wrong)
    return values


class ModelSerializer(serializers.Serializer[Any]):
    """POST /model/new."""

    model_name = TextField(max_length=255)
    litellm_params = _ExactObjectField()
    model_info = _ExactObjectField(required=False, allow_null=True)

    def validate_litellm_params(self, value: dict[str, Any] | None) -> dict[str, Any]:
        value = value or {}
        model = value.get("model")
        if not isinstance(model, str) and not (self.partial and model is None):
            raise serializers.ValidationError(
                {"model": "name the upstream model, e.g. 'openai/gpt-4o-mini'"}, code=WRONG_TYPE
            )
        refuse_secrets(value, allowed="api_key")
        refuse_control(model or "")
        return _typed(value)

    def validate_model_info(self, value: dict[str, Any] | None) -> dict[str, Any]:
        value = value or {}
        refuse_secrets(value)
        public_id = value.get("id")
        if public_id is not None and (not isinstance(public_id, str) or not 0 < len(public_id) <= 128):
            raise serializers.ValidationError({"id": "write a string of at most 128 characters"})
        refuse_control(public_id or "")
        return _typed(value)

    def new_model(self, *, now: datetime) -> NewModel:
        """An unsaved deployment and what belongs beside it. Raises ValidationError naming the field."""
        values = self.validated_data
        info = values.get("model_info") or {}
        if info.get("id") and Deployment.objects.filter(public_id=info["id"]).exists():
            raise ApiError(400, f"model_info.id: a model with id '{info['id']}' already exists", param="model_info.id")
        name, params = values["model_name"], values["litellm_params"]
        model = read_new(name, params, info, Deployment.Source.API, now=now, may_wait=True)
        return plain(follow_the_book(model, params, info, now=now))


class ModelPatchSerializer(ModelSerializer):
    """POST /model/update and PATCH /model/{id}/update: what is not named keeps its value."""

    model_name = TextField(max_length=255, required=False, allow_null=True)
    litellm_params = _ExactObjectField(required=False, allow_null=True)
