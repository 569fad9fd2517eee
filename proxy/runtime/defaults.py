"""What a deployment sends where the client says nothing: request fields among its `litellm_params`. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from proxy.runtime.call import MOST_TOKENS, Call
from proxy.runtime.catalog import Target
from proxy.runtime.routes import EMBEDDING, IMAGE, Route

#: The output cap of calls without one. Not a field like the others: a budget may lower it further.
CAPS = ("max_tokens", "max_completion_tokens")
_TEXT = frozenset({
    "temperature", "top_p", "top_k", "min_p", "stop", "presence_penalty", "frequency_penalty", "repetition_penalty",
    "seed", "logit_bias", "logprobs", "top_logprobs", "response_format", "reasoning_effort", "verbosity", "thinking",
    "service_tier", "parallel_tool_calls", "tool_choice", "store", "prompt_cache_key", "safety_identifier",
    "web_search_options", "chat_template_kwargs",
})  # fmt: skip
_EMBEDDING = frozenset({"dimensions", "encoding_format"})
_IMAGE = frozenset({"size", "quality", "style", "background", "output_format"})
NAMES = _TEXT | _EMBEDDING | _IMAGE | {*CAPS}


def fields(params: Mapping[str, Any]) -> dict[str, Any]:
    """The request fields among a deployment's parameters, without its output cap."""
    return {name: value for name, value in params.items() if name in NAMES and name not in CAPS and value is not None}


def cap(params: Mapping[str, Any], most: int | None = None) -> int | None:
    """Output tokens of a call that names no cap of its own, at most what the model makes.

    None if its deployment says nothing, or something that is no number of tokens: rows may be older than the check.
    """
    given = [params[name] for name in CAPS if is_cap(params.get(name))]
    return min(max(given), most or MOST_TOKENS) if given else None


def is_cap(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_TOKENS


def applied(call: Call, target: Target) -> Call:
    """The call as this deployment sends it."""
    if not target.defaults:
        return call
    known = _known(call.route)
    fresh = {name: value for name, value in target.defaults.items() if name in known and name not in call.body}
    return replace(call, body=call.body | fresh) if fresh else call


def _known(route: Route) -> frozenset[str]:
    if route.has_output:
        return _TEXT
    return {EMBEDDING: _EMBEDDING, IMAGE: _IMAGE}.get(route, frozenset())
