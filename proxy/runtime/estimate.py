"""The worst case of a call before it is made. Pure.

Text is bounded by bytes: no tokenizer makes more tokens than a text has UTF-8 bytes. Images and recordings are
bounded by what is published about them, everything else by the model's context window. Output is bounded by the
client's cap for every choice, else by the model's own maximum. docs/pricing.md has the table.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.providers import REGISTRY
from proxy.runtime import drawing, errors, media, tools
from proxy.runtime.call import Call
from proxy.runtime.catalog import Target
from proxy.runtime.routes import IMAGE
from spend.pricing import Bound

_PER_MESSAGE = 8
"""Tokens that a chat template adds around one message, generously."""
_PER_TOOLS = 512
"""Tokens of the instructions that some templates add where there are tools."""
#: Settings that never become input tokens.
_SETTINGS = frozenset({
    "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "best_of", "temperature",
    "top_p", "user", "seed", "stop", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs",
    "logit_bias", "echo", "encoding_format", "dimensions", "metadata", "store", "service_tier", "parallel_tool_calls",
    "tool_choice", "reasoning_effort", "verbosity", "modalities", "safety_identifier", "prompt_cache_key",
})  # fmt: skip
#: Fields that make a call more than text in and text out.
_SPECIAL = frozenset({"tools", "modalities", "audio", "prediction", "service_tier", *tools.FIELDS})
_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal"})
_SERVICE = re.compile(r"^[a-z][a-z0-9_-]{0,31}$")
#: Service tiers that never cost more than the standard one, priced or not.
_MODEST = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand", "flex", "batch"})


@dataclass(slots=True, kw_only=True)
class Estimate(Bound):
    """The most a call can use. `capped` tells whether the client set the cap on its output itself."""

    capped: bool
    beyond_cap: int = 0
    """Output tokens that no cap holds back: a prediction that is rejected is billed as output."""

    @property
    def least_tokens(self) -> int:
        """What the call may use at any rate: without a cap of its own it may be given the lowest."""
        return self.input + (self.output if self.capped else 1)


@dataclass(slots=True)
class _Prompt:
    """What was found in a prompt: tokens of text, and parts that bytes do not bound."""

    target: Target
    field: str
    text: int = 0
    images: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0
    open_images: bool = False
    open_audio: bool = False
    opaque: bool = False

    @property
    def has_media(self) -> bool:
        return bool(self.images or self.audio_tokens or self.open_audio or self.opaque)


def estimate(call: Call, target: Target, default_output: int) -> Estimate:
    """Raises 400 naming the field that cannot be bounded or priced."""
    prompt = _read_prompt(call, target)
    if call.route is IMAGE:
        output, variant = drawing.output_of(call, target, default_output), drawing.variant_of(call.body, target)
        return Estimate(prompt.text, output, pictures=call.choices, service=variant, capped=True)
    drawing.refuse_painters(call.model, target)
    capped, output = True, 0
    if call.route.has_output:
        capped = call.output_cap is not None
        usual = target.usual_output_tokens or target.max_output_tokens or default_output
        output = call.output_cap if call.output_cap is not None else usual
        output *= call.choices
    window = target.max_input_tokens
    if prompt.has_media or not _SPECIAL.isdisjoint(call.body) or tools.searches_always(target):
        return _special(call, prompt, output, capped)
    text = prompt.text if window is None else min(prompt.text, window * call.prompts)
    return Estimate(text, output, capped=capped)


def _read_prompt(call: Call, target: Target) -> _Prompt:
    prompt = _Prompt(target, call.route.prompt[0], REGISTRY[target.provider].template_tokens)
    fields = call.route.prompt
    for name, value in call.body.items():
        if name == "messages" and isinstance(value, list):
            _read_messages(prompt, value)
        elif name in fields:
            _read_field(prompt, value)
        elif name not in _SETTINGS:
            prompt.text += len(orjson.dumps(value))
    return prompt


def _read_messages(prompt: _Prompt, messages: list[Any]) -> None:
    total = _PER_MESSAGE
    for message in messages:
        total += _PER_MESSAGE
        if not isinstance(message, dict):
            total += len(orjson.dumps(message))
            continue
        for name, value in message.items():
            if isinstance(value, str):
                total += len(value) if value.isascii() else len(value.encode())
            elif value is not None:
                total += _read_structure(prompt, name, value)
    prompt.text += total


def _read_structure(prompt: _Prompt, name: str, value: Any) -> int:
    """A field of a message that is not plain text; returns the tokens of it that bytes bound."""
    if name == "content":
        for part in value if isinstance(value, list) else [value]:
            _read_part(prompt, part)
        return 0
    if name == "audio":
        # What the model said in an earlier answer, by its id.
        prompt.open_audio = True
        return 0
    return len(orjson.dumps(value))


def _read_field(prompt: _Prompt, value: Any) -> None:
    """A prompt: a text or a list of texts, of token ids, or of lists of these."""
    prompt.text += _PER_MESSAGE
    if isinstance(value, list):
        for item in value:
            _read_item(prompt, item)
    else:
        _read_item(prompt, value)


def _read_item(prompt: _Prompt, item: Any) -> None:
    if isinstance(item, str):
        prompt.text += _bytes(item) + _PER_MESSAGE
    elif isinstance(item, list):
        for part in item:
            _read_item(prompt, part)
    elif isinstance(item, dict):
        _read_part(prompt, item)
    elif item is not None:
        prompt.text += 1


def _read_part(prompt: _Prompt, part: Any) -> None:
    """A content part: text by its bytes, pictures and sound by their own rules, the rest by the window alone."""
    if isinstance(part, str):
        prompt.text += _bytes(part) + _PER_MESSAGE
        return
    kind = part.get("type") if isinstance(part, dict) else None
    if kind is not None and not isinstance(kind, str):
        raise errors.invalid(f"{prompt.field}: the type of a part must be a string", prompt.field)
    if kind in _TEXT_PARTS:
        text = part.get("refusal" if kind == "refusal" else "text")
        prompt.text += (_bytes(text) if isinstance(text, str) else len(orjson.dumps(part))) + _PER_MESSAGE
    elif kind in ("image_url", "input_image"):
        _read_image(prompt, part)
    elif kind == "input_audio":
        tokens = media.audio_bound(part.get("input_audio"))
        prompt.open_audio = prompt.open_audio or tokens is None
        prompt.audio_tokens += tokens or 0
    else:
        prompt.opaque = True


def _read_image(prompt: _Prompt, part: dict[str, Any]) -> None:
    picture = part.get("image_url")
    detail = picture.get("detail") if isinstance(picture, dict) else part.get("detail")
    tokens = media.image_bound(prompt.target.provider, prompt.target.upstream_model, detail)
    prompt.images += 1
    prompt.image_tokens += tokens or 0
    prompt.open_images = prompt.open_images or tokens is None


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _special(call: Call, prompt: _Prompt, output: int, capped: bool) -> Estimate:
    """A call with media, tools, a prediction, a voice or a service tier."""
    body, target = call.body, prompt.target
    uses = tools.uses_of(body, target, call.choices)
    searches = uses.web_search + tools.unasked_searches(target, call.choices)
    service, speaks = _service(body, target), _speaks(body, target)
    predicted = _prediction(body) * call.choices
    if body.get("tools") and REGISTRY[target.provider].template_tokens:
        prompt.text += _PER_TOOLS
    _check_audio(call, prompt)
    total, audio, images = _input(call, prompt, open_ended=bool(searches or uses.turns))
    return Estimate(
        input=total * (uses.turns + 1),
        output=output + predicted,
        audio_input=audio * (uses.turns + 1),
        image_input=images * (uses.turns + 1),
        speaks=speaks,
        images=prompt.images,
        web_searches=searches,
        code_sessions=uses.code_session,
        file_searches=uses.file_search,
        service=service,
        capped=capped,
        beyond_cap=predicted,
    )


def _input(call: Call, prompt: _Prompt, *, open_ended: bool) -> tuple[int, int, int]:
    """Input tokens in all, and at most so many of them audio and images. Raises 400."""
    window = prompt.target.max_input_tokens
    total = prompt.text + prompt.audio_tokens + prompt.image_tokens
    if not (prompt.opaque or prompt.open_images or prompt.open_audio or open_ended):
        bounded = total if window is None else min(total, window * call.prompts)
        return bounded, prompt.audio_tokens, prompt.image_tokens
    if window is None and prompt.target.is_free:
        return total, 0, 0
    if window is None:
        raise errors.invalid(
            f"images, audio, files and the provider's tools cannot be priced for '{call.model}': "
            "its deployment needs max_input_tokens",
            call.route.prompt[0],
        )
    unknown = prompt.opaque or open_ended
    return (
        window,
        window if prompt.open_audio else prompt.audio_tokens,
        window if prompt.open_images or unknown else prompt.image_tokens,
    )


def _check_audio(call: Call, prompt: _Prompt) -> None:
    """Sound costs many times what text does, so a price for text says nothing about it. Raises 400."""
    if (prompt.audio_tokens or prompt.open_audio) and not _has_price(prompt.target, "audio_input"):
        raise errors.invalid(f"audio cannot be priced for '{call.model}': its price has none", call.route.prompt[0])


def _speaks(body: dict[str, Any], target: Target) -> bool:
    modalities = body.get("modalities") or []
    if not isinstance(modalities, list):
        raise errors.invalid("modalities must be a list", "modalities")
    field = "modalities" if "audio" in modalities else "audio" if body.get("audio") else ""
    if field and not _has_price(target, "audio_output"):
        raise errors.invalid(f"spoken output cannot be priced for '{target.model}': its price has none", field)
    return bool(field)


def _has_price(target: Target, name: str) -> bool:
    return target.is_free or (target.price is not None and name in target.price.base.stated)


def _service(body: dict[str, Any], target: Target) -> str:
    service = body.get("service_tier") or ""
    if not isinstance(service, str) or (service and not _SERVICE.match(service)):
        raise errors.invalid("service_tier must be the name of a service tier", "service_tier")
    priced = target.is_free or target.price is None or service in target.price.services
    if not priced and service not in _MODEST:
        raise errors.invalid(f"service_tier: '{target.model}' has no price for '{service}'", "service_tier")
    return service


def _prediction(body: dict[str, Any]) -> int:
    """What of a prediction the model rejects is billed as output."""
    prediction = body.get("prediction")
    return 0 if prediction is None else len(orjson.dumps(prediction))
