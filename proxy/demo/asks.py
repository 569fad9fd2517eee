"""Reading request bodies: what was asked, or a refusal that names the field. Pure: no I/O."""

from dataclasses import dataclass
from typing import Any

import orjson

#: Models that exist here. Any name that starts so is one, so that several can be told apart in a demo.
MODEL = "latchkey-demo"
_MAX_CHOICES = 16
_MAX_DIMENSIONS = 3072


class BadAsk(Exception):
    """An error in OpenAI's shape: `param` is the field at fault, if it is one."""

    def __init__(self, message: str, *, param: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class TextAsk:
    """A chat or legacy completion. `prompt_text` is everything that counts as input."""

    model: str
    prompt_text: str
    question: str
    choices: int
    max_tokens: int | None
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool


@dataclass(frozen=True, slots=True)
class EmbeddingAsk:
    model: str
    inputs: tuple[str, ...]
    dimensions: int
    base64: bool


def read_body(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadAsk("the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadAsk("the body must be a JSON object")
    return body


def read_chat(body: dict[str, Any]) -> TextAsk:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadAsk("messages must be a list with at least one message", param="messages")
    texts = [_message_text(message, f"messages[{i}]") for i, message in enumerate(messages)]
    asked = [text for message, text in zip(messages, texts, strict=True) if message["role"] == "user"]
    return _text_ask(body, "\n".join(texts), asked[-1] if asked else texts[-1])


def read_completion(body: dict[str, Any]) -> TextAsk:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise BadAsk("prompt must be one text", param="prompt")
    return _text_ask(body, prompt, prompt)


def read_embedding(body: dict[str, Any]) -> EmbeddingAsk:
    given = body.get("input")
    inputs: list[Any] = given if isinstance(given, list) else [given]
    if not inputs or not all(isinstance(item, str) and item for item in inputs):
        raise BadAsk("input must be a text or a list of texts, none of them empty", param="input")
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise BadAsk("encoding_format must be 'float' or 'base64'", param="encoding_format")
    dimensions = _whole(body, "dimensions", most=_MAX_DIMENSIONS) or 256
    return EmbeddingAsk(_model(body), tuple(inputs), dimensions, encoding == "base64")


def _text_ask(body: dict[str, Any], prompt_text: str, question: str) -> TextAsk:
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise BadAsk("stream_options must be an object", param="stream_options")
    return TextAsk(
        model=_model(body),
        prompt_text=prompt_text,
        question=question,
        choices=_whole(body, "n", most=_MAX_CHOICES) or 1,
        max_tokens=_whole(body, "max_completion_tokens") or _whole(body, "max_tokens"),
        stop=_stop(body.get("stop")),
        stream=bool(body.get("stream")),
        include_usage=bool(options.get("include_usage")),
    )


def _message_text(message: Any, place: str) -> str:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise BadAsk(f"{place} must be an object with a role", param="messages")
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise BadAsk(f"{place}.content must be a text or a list of parts", param="messages")
    return "\n".join(_part_text(part, place) for part in content)


def _part_text(part: Any, place: str) -> str:
    if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise BadAsk(f"{place}.content: the demo provider reads parts of type 'text' only", param="messages")
    return str(part["text"])


def _model(body: dict[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadAsk("name a model", param="model")
    if not model.startswith(MODEL):
        raise BadAsk(f"The model '{model}' does not exist", param="model", status=404, code="model_not_found")
    return model


def _whole(body: dict[str, Any], name: str, *, most: int = 2**31) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise BadAsk(f"{name} must be a whole number from 1 to {most}", param=name)
    return value


def _stop(value: Any) -> tuple[str, ...]:
    marks = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(mark, str) and mark for mark in marks):
        raise BadAsk("stop must be a text or a list of texts", param="stop")
    return tuple(marks)
