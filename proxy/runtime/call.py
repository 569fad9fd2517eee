"""What a request asks for: the body, checked, with everything the gate needs to know about it. Pure."""

from dataclasses import dataclass, replace
from typing import Any

from proxy.gate_rules import GateRules
from proxy.runtime import errors, foreign_fields, strict_json, wishes
from proxy.runtime.routes import CHAT, Route

_NO_RULES = GateRules()
#: What a fallback cannot change: who pays, and the form of the answer, belong to the call as a whole.
_WHOLE = frozenset({"model", "user", "metadata", "tags", "stream", "stream_options", "timeout", "num_retries"})
MOST_TOKENS = 10**8


@dataclass(slots=True)
class Call:
    route: Route
    model: str
    body: dict[str, Any]
    stream: bool
    wants_usage: bool
    output_cap: int | None
    """Output tokens per choice that the client allowed, the largest of the fields for it; None = no cap."""
    choices: int
    """Answers in all: for each prompt of a batch as many as were asked for."""
    prompts: int
    customer: str
    tags: tuple[str, ...]
    session_id: str = ""
    """What the client counts the call to in its spend log."""
    log_metadata: dict[str, Any] | None = None
    """Its notes for the spend log."""
    timeout: float | None = None
    """Seconds that the client is ready to wait, if it says so."""
    retries: int | None = None
    falls_back: bool = True
    """Whether another model may answer, where one is configured."""
    fallbacks: tuple["Call", ...] = ()
    """The same call as it goes to the models that the client names for when this one fails."""


def read_call(route: Route, raw: bytes, path_model: str, headers: dict[str, str], rules: GateRules = _NO_RULES) -> Call:
    """Raises 400 naming the field."""
    try:
        body = strict_json.loads(raw)
    except strict_json.NotStrictJSON as error:
        raise errors.invalid(str(error)) from error
    falls_back = not _boolean(body, "disable_fallbacks")
    fallbacks = wishes.fallbacks(body, path_model)
    foreign_fields.refuse_checks(body)
    session_id = wishes.session(body, headers)
    foreign_fields.drop(body)
    stream = _boolean(body, "stream") and route.streams
    call = Call(
        route=route,
        model=path_model or _model(body, route.usual_model),
        body=body,
        stream=stream,
        wants_usage=_wants_usage(body),
        **_sizes(route, body),
        customer=wishes.customer(body, headers, rules),
        tags=wishes.tags(body, headers, rules),
        session_id=session_id,
        log_metadata=wishes.log_metadata(body, headers),
        timeout=wishes.timeout(body, headers, stream=stream),
        retries=wishes.retries(body, headers),
        falls_back=falls_back,
    )
    call.fallbacks = tuple(_fallback(call, changes) for changes in fallbacks)
    return call


def _fallback(call: Call, changes: dict[str, Any]) -> Call:
    """The call to another model, with what the client wants to be different about it."""
    changes = dict(changes)
    foreign_fields.refuse_checks(changes)
    own = {name: value for name, value in changes.items() if name not in _WHOLE and not foreign_fields.dropped(name)}
    body = {**call.body, **own}
    return replace(call, model=_model(changes), body=body, **_sizes(call.route, body))


def _sizes(route: Route, body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a Call that say how much may be made of it."""
    if body.get(route.prompt[0]) is None and not route.may_lack_prompt:
        # What is paid for is in there: a provider that takes its absence for something bills what nobody held.
        raise errors.invalid(f"{route.prompt[0]} is missing", route.prompt[0])
    if route is CHAT and not isinstance(body["messages"], list):
        raise errors.invalid("messages must be a list of messages", "messages")
    # Some servers take 0 for "no cap", so it is none.
    caps = [cap for name in route.caps if (cap := _tokens(body, name))]
    prompts = _prompts(body.get(route.prompt[0])) if route.batches else 1
    choices = max(_count(body, "n"), _count(body, "best_of")) * prompts
    return {"output_cap": max(caps) if caps else None, "choices": choices, "prompts": prompts}


def _model(body: dict[str, Any], usual: str = "") -> str:
    model = body.get("model", usual)
    if not isinstance(model, str) or not model:
        raise errors.invalid("model is missing: name one of the models that GET /v1/models lists", "model")
    return wishes.text(model, "model")


def _boolean(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise errors.invalid(f"{name} must be true or false", name)
    return bool(value)


def _tokens(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        raise errors.invalid(f"{name} must be a whole number from 0 to {MOST_TOKENS}", name)
    return value


def _prompts(value: Any) -> int:
    """How many prompts are sent as one: a list of texts, or of lists of token ids."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return len(value)
    return 1


def _count(body: dict[str, Any], name: str) -> int:
    value = body.get(name)
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 128:
        raise errors.invalid(f"{name} must be a whole number from 1 to 128", name)
    return value


def _wants_usage(body: dict[str, Any]) -> bool:
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise errors.invalid("stream_options must be an object", "stream_options")
    return bool(options and options.get("include_usage"))
