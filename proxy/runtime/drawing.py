"""Pictures that a model makes: paid by the piece where they have such a price, else by their tokens. Pure."""

from typing import Any

from proxy.runtime import errors, media
from proxy.runtime.call import Call
from proxy.runtime.catalog import Target

_QUALITY, _SIZE = "standard", "1024x1024"
"""What a call asks for that says nothing."""


def is_by_piece(target: Target) -> bool:
    """Whether tokens say nothing about the price."""
    return target.is_free or (target.price is not None and "picture" in target.price.base.stated)


def output_of(call: Call, target: Target, default_output: int) -> int:
    """Output tokens of all pictures at most. Raises 400 for what nobody here can count."""
    if call.body.get("stream"):
        raise errors.invalid("stream: pictures are answered whole; leave it out", "stream")
    if is_by_piece(target):
        return 0
    own = media.drawn_bound(target.provider, target.upstream_model)
    return (own or target.max_output_tokens or default_output) * call.choices


def variant_of(body: dict[str, Any], target: Target) -> str:
    """Quality and size, as the price book names them; empty where they do not matter. Raises 400."""
    if target.is_free or target.price is None or not is_by_piece(target) or not target.price.services:
        return ""
    named = f"{body.get('quality') or _QUALITY}-{body.get('size') or _SIZE}"
    if named not in target.price.services:
        known = ", ".join(sorted(target.price.services))
        raise errors.invalid(f"size: '{target.model}' has no price for {named[:64]}; there is one for {known}", "size")
    return named


def refuse_painters(model: str, target: Target) -> None:
    """What a picture costs says nothing about text. Raises 400."""
    if target.price is None or target.is_free or "picture" not in target.price.base.stated:
        return
    if not (target.price.base.input or target.price.base.output):
        raise errors.invalid(f"'{model}' makes pictures and has no price for text: use /v1/images/generations", "model")
