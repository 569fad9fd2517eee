"""Fields that LiteLLM's clients may send and that would promise a limit nobody enforces here."""

from collections.abc import Collection, Mapping
from typing import Any

from teams.api_types import ApiError

#: How rates of everything here are meant.
BEST_EFFORT = "best_effort_throughput"
_REMEDIES = {
    "tpd_limit": "limit tokens per minute with tpm_limit, or cost per day with budget_limits",
    "guardrails": "there are none here; put them in front of the gateway",
    "policies": "there are none here; put guardrails in front of the gateway",
    "prompts": "prompts are not managed here",
    "object_permission": "there are no vector stores, agents or MCP servers here to permit; limit `models`",
    "access_group_ids": "list the models in `models`, e.g. openai/*",
    "allowed_model_region": "customers have one; list the models of that region in `models`",
    "default_model": "customers have one; use `model_aliases` of a team to rename one",
    "tpd_limit_type": "limit tokens per minute with tpm_limit",
    "tpm_limit_type": "a limit always holds here, and only a key's can be guaranteed",
    "rpm_limit_type": "a limit always holds here, and only a key's can be guaranteed",
    "allowed_passthrough_routes": "there are none here; narrow a key with `allowed_routes`",
    "disable_global_guardrails": "there are none here; put guardrails in front of the gateway",
    "require_trace_id": "name what calls have to bring in `enforced_params` of a key",
    "router_settings": "routing is set for the whole gateway",
    "secret_manager_settings": "provider keys are kept by the gateway, encrypted",
}


def refuse_promises(body: Mapping[str, Any], *, but: Collection[str] = ()) -> None:
    """ApiError 400 naming the first field that asks for what is not enforced here, and what to use instead.

    `but` are those that a scope does keep to.
    """
    for name in _REMEDIES.keys() & body.keys() - set(but):
        if not _is_empty(body[name]):
            raise ApiError(
                400, f"{name}: is not enforced here and therefore not accepted; {_REMEDIES[name]}", param=name
            )


def _is_empty(value: Any) -> bool:
    """Whether a value asks for nothing, or for what holds anyway; an object of empty lists is one such."""
    if isinstance(value, dict):
        return all(_is_empty(inner) for inner in value.values())
    return value is None or value is False or value in ("", [], BEST_EFFORT)
