"""The worst case of a call before it is made. Pure.

Input is bounded by bytes: no tokenizer makes more tokens than a text has UTF-8 bytes. Parts that are not
text are bounded by the model's context window. Output is bounded by the client's cap times the number of
choices, else by the model's own maximum.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from proxy.runtime import errors
from proxy.runtime.call import Call
from proxy.runtime.catalog import Target

_PER_MESSAGE = 8
"""Tokens that a chat template adds around one message, generously."""
#: Settings that never become input tokens.
_SETTINGS = frozenset({
    "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "best_of", "temperature",
    "top_p", "user", "seed", "stop", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs",
    "logit_bias", "echo", "encoding_format", "dimensions", "metadata", "store", "service_tier", "parallel_tool_calls",
    "tool_choice", "reasoning_effort", "verbosity", "modalities", "safety_identifier", "prompt_cache_key",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens at most. `output` counts all choices; `capped` tells whether the client set the cap itself."""

    input: int
    output: int
    capped: bool


def estimate(call: Call, target: Target, default_output: int) -> Estimate:
    """Raises 400 if the input cannot be bounded."""
    tokens = input_bound(call, target)
    if not call.route.has_output:
        return Estimate(tokens, 0, capped=True)
    if call.output_cap is not None:
        return Estimate(tokens, call.output_cap * call.choices, capped=True)
    return Estimate(tokens, (target.max_output_tokens or default_output) * call.choices, capped=False)


def input_bound(call: Call, target: Target) -> int:
    total, opaque = 0, False
    for name, value in call.body.items():
        if name in call.route.prompt:
            size, strange = _prompt(value)
            total, opaque = total + size, opaque or strange
        elif name not in _SETTINGS:
            total += len(orjson.dumps(value))
    if not opaque:
        return total if target.max_input_tokens is None else min(total, target.max_input_tokens)
    if target.max_input_tokens is None:
        raise errors.invalid(
            f"images, audio and files cannot be priced for '{call.model}': its deployment needs max_input_tokens",
            call.route.prompt[0],
        )
    return target.max_input_tokens


def _prompt(value: Any) -> tuple[int, bool]:
    """Upper bound of the tokens in a prompt field, and whether it has parts that bytes do not bound."""
    if isinstance(value, str):
        return len(value.encode()) + _PER_MESSAGE, False
    if isinstance(value, list):
        sizes = [_item(item) for item in value]
        return sum(size for size, _ in sizes) + _PER_MESSAGE, any(opaque for _, opaque in sizes)
    return len(orjson.dumps(value)), False


def _item(item: Any) -> tuple[int, bool]:
    """One message, one text of a batch, or one token id of a tokenised prompt."""
    if isinstance(item, str):
        return len(item.encode()) + _PER_MESSAGE, False
    if isinstance(item, int):
        return 1, False
    if isinstance(item, list):
        sizes = [_item(part) for part in item]
        return sum(size for size, _ in sizes), any(opaque for _, opaque in sizes)
    if isinstance(item, dict):
        return _message(item)
    return 1, False


def _message(message: dict[str, Any]) -> tuple[int, bool]:
    total, opaque = _PER_MESSAGE, False
    for name, value in message.items():
        if isinstance(value, str):
            total += len(value.encode())
        elif name == "content" and isinstance(value, list):
            for part in value:
                size, strange = _part(part)
                total, opaque = total + size, opaque or strange
        elif value is not None:
            total += len(orjson.dumps(value))
    return total, opaque


def _part(part: Any) -> tuple[int, bool]:
    """A content part: text by its bytes, anything else is bounded only by the context window."""
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return len(part["text"].encode()) + _PER_MESSAGE, False
    if isinstance(part, str):
        return len(part.encode()) + _PER_MESSAGE, False
    return 0, True
