"""Fields of request bodies about keys beyond limits: what is kept and shown, and what is refused by name.

Nothing is accepted that promises a limit which no call would meet.
"""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from teams.api_fields import InsteadField, NamesField, ObjectField, SwitchField, ValidityField
from teams.promises import BEST_EFFORT

GUARANTEED = "guaranteed_throughput"
#: What each `key_type` narrows a key to.
ROUTES_OF_TYPE = {
    "default": [],
    "llm_api": ["llm_api_routes"],
    "management": ["management_routes"],
    "read_only": ["info_routes"],
}
_USE_TAGS = "use project_id, or a tag with a budget"
_NO_ESTIMATES = "what a call may cost is bounded by its own cap; see output_cap_policy"
#: Field, why it is refused if it says anything, and what to use.
_REFUSED = {
    "agent_id": f"there are no agents here; {_USE_TAGS}",
    "tpd_limit": "tokens per day are not limited here; use tpm_limit or a budget_duration of 1d",
    "tag_rpm_limit": "rates per tag are set with /tag/new",
    "mcp_rpm_limit": "there are no MCP servers here",
    "default_estimated_output_tokens": _NO_ESTIMATES,
    "default_estimated_output_tokens_per_model": _NO_ESTIMATES,
    "allowed_vector_store_indexes": "there are no vector stores here",
    "throttle_on_budget_exceeded": "a spent budget refuses calls; set rpm_limit to slow them down",
}
KEY_REFUSED = tuple(_REFUSED)
#: Fields that live inside `metadata`, where clients read them, and are echoed beside it.
INSIDE = (
    "guardrails", "policies", "prompts", "enforced_params", "tpm_limit_type", "rpm_limit_type",
    "allowed_passthrough_routes", "denied_passthrough_routes", "disable_global_guardrails", "enable_prompt_caching",
)  # fmt: skip
#: Of these what limits the key.
_LIMITS = ("enforced_params", "tpm_limit_type", "rpm_limit_type")
#: Fields that are kept as they are, with their empty values.
KEPT: dict[str, Any] = {
    "config": {}, "permissions": {}, "allowed_cache_controls": [], "router_settings": {}, "object_permission": None,
    "budget_fallbacks": None,
}  # fmt: skip


class ThroughputField(serializers.ChoiceField):
    """How a rate is meant. All rates are enforced; a guaranteed one is also not sold twice."""

    def __init__(self) -> None:
        super().__init__(choices=[BEST_EFFORT, GUARANTEED], required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        if data == "dynamic":
            raise serializers.ValidationError("a limit always holds here; write best_effort_throughput")
        return super().to_internal_value(data)


class ExtrasSerializer(serializers.Serializer[Any]):
    """To be mixed in: further fields of keys. Of those inside `metadata` null keeps the stored value."""

    guardrails = NamesField(required=False, allow_null=True)
    policies = NamesField(required=False, allow_null=True)
    prompts = NamesField(required=False, allow_null=True)
    enforced_params = NamesField(required=False, allow_null=True)
    tpm_limit_type = ThroughputField()
    rpm_limit_type = ThroughputField()
    allowed_passthrough_routes = NamesField(required=False, allow_null=True)
    denied_passthrough_routes = NamesField(required=False, allow_null=True)
    disable_global_guardrails = SwitchField(required=False, allow_null=True)
    enable_prompt_caching = SwitchField(required=False, allow_null=True)
    budget_fallbacks = InsteadField(required=False, allow_null=True)
    config = ObjectField(required=False, allow_null=True)
    permissions = ObjectField(required=False, allow_null=True)
    allowed_cache_controls = NamesField(required=False, allow_null=True)
    router_settings = ObjectField(required=False, allow_null=True)
    object_permission = ObjectField(required=False, allow_null=True)
    auto_rotate = SwitchField(required=False, allow_null=True)
    rotation_interval = ValidityField(required=False, allow_null=True)

    def validate_object_permission(self, value: dict[str, Any] | None) -> dict[str, Any] | None:
        named = sorted(name for name, inner in (value or {}).items() if inner)
        if named:
            raise serializers.ValidationError(f"{named[0]} cannot be limited here; leave it out, or use models")
        return None

    def fill_extras(self, key: Any, before: Mapping[str, Any]) -> None:
        """Set what was sent of the fields above on an unsaved key, whose metadata was `before`.

        Other metadata takes nothing off that limits the key.
        """
        values = self.validated_data
        inside = {name: values[name] for name in INSIDE if values.get(name) is not None}
        limits = {name: before[name] for name in _LIMITS if name in before}
        key.metadata = {**limits, **key.metadata, **inside}
        kept = {name: values[name] for name in KEPT if name in values}
        key.extras = {name: value for name, value in {**key.extras, **kept}.items() if value}


def refuse_promises(body: Mapping[str, Any]) -> None:
    """Refuse fields that say something no call would keep to; empty ones are ignored, as unknown fields are."""
    for name, why in _REFUSED.items():
        if body.get(name):
            raise serializers.ValidationError({name: f"cannot be set: {why}"})


def extras_row(metadata: Mapping[str, Any], extras: Mapping[str, Any]) -> dict[str, Any]:
    """How these fields look in answers; those without a meaning here are empty."""
    absent: dict[str, Any] = {
        "agent_id": None, "tpd_limit": None, "tag_rpm_limit": None,
        "mcp_rpm_limit": None, "allowed_vector_store_indexes": None,
        "throttle_on_budget_exceeded": False, "object_permission_id": None,
        "default_estimated_output_tokens": None, "default_estimated_output_tokens_per_model": None,
        "soft_budget_cooldown": False, "model_spend": {}, "user": None,
    }  # fmt: skip
    inside = {name: metadata.get(name) for name in INSIDE}
    return {**absent, **inside, **{name: extras.get(name, empty) for name, empty in KEPT.items()}}
