"""Models in LiteLLM's shape, both ways. A provider's secret goes in and never comes out."""

from typing import Any

from rest_framework import serializers

from proxy.from_litellm import NewModel, read_model, refuse_secrets
from proxy.litellm_prices import show_prices
from proxy.models import Deployment
from spend.pricing import PriceCard
from teams.api_fields import ObjectField, TextField, plain_json


class _ExactObjectField(ObjectField):
    """An object whose decimals stay decimals: prices are exact."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        super().to_internal_value(data)
        exact: dict[str, Any] = data
        return exact


class ModelSerializer(serializers.Serializer[Any]):
    """POST /model/new."""

    model_name = TextField(max_length=255)
    litellm_params = _ExactObjectField()
    model_info = _ExactObjectField(required=False, allow_null=True)

    def validate_litellm_params(self, value: dict[str, Any]) -> dict[str, Any]:
        refuse_secrets(value, allowed="api_key")
        if str(value.get("api_key") or "").startswith("os.environ/"):
            raise serializers.ValidationError(
                {"api_key": "send the secret itself; only the configuration file reads environment variables"}
            )
        return value

    def validate_model_info(self, value: dict[str, Any] | None) -> dict[str, Any]:
        value = value or {}
        refuse_secrets(value)
        public_id = value.get("id")
        if public_id is None:
            return value
        if not isinstance(public_id, str) or not 0 < len(public_id) <= 128:
            raise serializers.ValidationError({"id": "write a string of at most 128 characters"})
        if Deployment.objects.filter(public_id=public_id).exists():
            raise serializers.ValidationError({"id": f"a model with id '{public_id}' exists already"})
        return value

    def new_model(self) -> NewModel:
        """An unsaved deployment and what belongs beside it. Raises ValidationError naming the field."""
        values = self.validated_data
        model = read_model(
            values["model_name"], values["litellm_params"], values.get("model_info") or {}, Deployment.Source.API
        )
        # Prices were read exactly; what is merely kept goes into a JSON column.
        model.deployment.params = plain_json(model.deployment.params)
        model.deployment.model_info = plain_json(model.deployment.model_info)
        return model


def model_row(deployment: Deployment, card: PriceCard | None) -> dict[str, Any]:
    """One deployment with the price in force for it (exact USD per token)."""
    return {
        "model_id": deployment.public_id,
        "model_name": deployment.model.name,
        "litellm_params": {
            **deployment.params,
            "model": f"{deployment.provider.slug}/{deployment.upstream_model}",
            "api_base": deployment.base_url,
            "custom_llm_provider": deployment.provider.slug,
            "timeout": deployment.timeout_seconds,
            "max_retries": deployment.max_retries,
        },
        "model_info": {
            **deployment.model_info,
            "id": deployment.public_id,
            "db_model": deployment.source != Deployment.Source.CONFIG,
            "mode": deployment.mode,
            "max_input_tokens": deployment.max_input_tokens,
            "max_output_tokens": deployment.max_output_tokens,
            "litellm_provider": deployment.provider.slug,
            "blocked": deployment.blocked,
            **show_prices(card),
            "created_at": deployment.created_at,
            "updated_at": deployment.updated_at,
        },
    }
