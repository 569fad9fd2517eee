"""Fields of a body that no provider gets: they are LiteLLM's own, or would choose where a call goes. Pure.

A provider that is strict refuses a call for a field it does not know, and some of these are credentials of somebody
else. What is dropped has no meaning here, or is read before.
"""

from typing import Any

from proxy.runtime import errors

#: They would choose the upstream, its key, or an answer that costs nothing.
_CHOOSING = {
    "api_key", "api_base", "base_url", "api_version", "custom_llm_provider", "fallbacks", "model_list", "models",
    "route", "litellm_params", "extra_headers", "headers", "provider_specific_header", "user_config", "region_name",
    "context_window_fallbacks", "content_policy_fallbacks", "context_window_fallback_dict", "disable_fallbacks",
    "allowed_model_region", "shared_session", "ssl_verify", "preset", "provider", "extra_body", "extra_query",
    "deployment_id", "model_alias_map", "proxy", "kv_transfer_params", "bootstrap_host", "bootstrap_port",
    "bootstrap_room",
}  # fmt: skip
#: They tell LiteLLM how to go about a call.
_MEANINGLESS = {
    "litellm_metadata", "drop_params", "additional_drop_params", "allowed_openai_params", "cache", "caching",
    "cache_key", "preset_cache_key", "ttl", "no-log", "turn_off_message_logging", "request_timeout", "stream_timeout",
    "max_retries", "retry_strategy", "retry_policy", "cooldown_time", "model_info", "base_model", "prompt_id",
    "prompt_variables", "prompt_version", "prompt_label", "enable_json_schema_validation",
    "merge_reasoning_content_in_choices", "custom_prompt_dict", "initial_prompt_value", "final_prompt_value", "roles",
    "bos_token", "eos_token", "hf_model_name", "supports_system_message", "ensure_alternating_roles",
    "user_continue_message", "assistant_continue_message", "proxy_server_request", "logger_fn", "verbose",
    "text_completion", "rpm", "tpm", "weight", "order", "guardrail_config", "slack_webhook_url", "token",
}  # fmt: skip
_DROPPED = frozenset(_CHOOSING | _MEANINGLESS)
#: Switches of tests, and credentials: of logging destinations, and of providers, which are the deployment's to have.
_PREFIXES = (
    "mock_", "litellm_", "langfuse_", "langsmith_", "arize_", "gcs_", "s3_", "dd_", "wandb_", "posthog_", "newrelic_",
    "humanloop_", "azure_", "aws_", "vertex_", "watsonx_", "helicone_", "lunary_", "braintrust_", "opik_", "lago_",
    "datadog_",
)  # fmt: skip
_ENDS = (
    "_api_key", "_secret", "_secret_key", "_access_key", "_password", "_credentials", "ad_token", "hf_token",
    "oauth_token",
)  # fmt: skip
#: A client that asks for a check must not believe that it was made.
_CHECKS = ("guardrails", "policies")


def dropped(name: str) -> bool:
    return name in _DROPPED or name.startswith(_PREFIXES) or name.endswith(_ENDS)


def drop(body: dict[str, Any]) -> None:
    for name in [name for name in body if dropped(name)]:
        del body[name]


def refuse_checks(body: dict[str, Any]) -> None:
    """Raises 400 for checks that nobody here makes; an empty wish for some is none."""
    for name in _CHECKS:
        metadata = body.get("metadata")
        inside = metadata.pop(name, None) if isinstance(metadata, dict) else None
        if body.pop(name, None) or inside:
            raise errors.invalid(f"{name}: there are none here, so the call would go on unchecked; leave it out", name)
