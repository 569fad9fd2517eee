"""Response bodies and stream chunks in OpenAI's shape. Pure: the caller hands in id and time."""

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from proxy.demo.asks import MODEL, EmbeddingAsk, TextAsk
from proxy.demo.tokens import Answer, answer_to, count, embedding_of

_FINGERPRINT = "fp_latchkey_demo"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one answer from another: a random suffix for its id, and when it was made (epoch seconds)."""

    suffix: str
    created: int


def chat(ask: TextAsk, stamp: Stamp) -> dict[str, Any]:
    answer = _answer(ask)
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": answer.text, "refusal": None},
            "logprobs": None,
            "finish_reason": answer.finish_reason,
        }
        for index in range(ask.choices)
    ]
    return _head(ask, stamp, "chat.completion") | {"choices": choices, "usage": usage(ask, answer)}


def chat_chunks(ask: TextAsk, stamp: Stamp) -> Iterator[dict[str, Any]]:
    """The role, then one token per chunk, then the reason to stop; usage last and only when asked for."""
    answer = _answer(ask)
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": token}, None) for token in answer.tokens]
    deltas.append(({}, answer.finish_reason))
    for index in range(ask.choices):
        for delta, reason in deltas:
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
            yield _chunk(ask, stamp, "chat.completion.chunk", [choice])
    yield from _usage_chunk(ask, stamp, "chat.completion.chunk", answer)


def completion(ask: TextAsk, stamp: Stamp) -> dict[str, Any]:
    answer = _answer(ask)
    choices = [_text_choice(index, answer.text, answer.finish_reason) for index in range(ask.choices)]
    return _head(ask, stamp, "text_completion") | {"choices": choices, "usage": usage(ask, answer)}


def completion_chunks(ask: TextAsk, stamp: Stamp) -> Iterator[dict[str, Any]]:
    answer = _answer(ask)
    for index in range(ask.choices):
        for token in answer.tokens:
            yield _chunk(ask, stamp, "text_completion", [_text_choice(index, token, None)])
        yield _chunk(ask, stamp, "text_completion", [_text_choice(index, "", answer.finish_reason)])
    yield from _usage_chunk(ask, stamp, "text_completion", answer)


def embeddings(ask: EmbeddingAsk) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(text, ask)}
        for index, text in enumerate(ask.inputs)
    ]
    tokens = sum(map(count, ask.inputs))
    return {
        "object": "list",
        "data": data,
        "model": ask.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def model_list() -> dict[str, Any]:
    names = (MODEL, f"{MODEL}-embedding")
    data = [{"id": name, "object": "model", "created": 1735689600, "owned_by": "latchkey"} for name in names]
    return {"object": "list", "data": data}


def usage(ask: TextAsk, answer: Answer) -> dict[str, int]:
    """One token per word or punctuation mark: of the prompt once, of every choice."""
    prompt, made = count(ask.prompt_text), len(answer.tokens) * ask.choices
    return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}


def _answer(ask: TextAsk) -> Answer:
    return answer_to(ask.question, max_tokens=ask.max_tokens, stop=ask.stop)


def _head(ask: TextAsk, stamp: Stamp, kind: str) -> dict[str, Any]:
    prefix = "cmpl" if kind == "text_completion" else "chatcmpl"
    return {
        "id": f"{prefix}-demo-{stamp.suffix}",
        "object": kind,
        "created": stamp.created,
        "model": ask.model,
        "system_fingerprint": _FINGERPRINT,
    }


def _chunk(ask: TextAsk, stamp: Stamp, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    chunk = _head(ask, stamp, kind) | {"choices": choices}
    return chunk | {"usage": None} if ask.include_usage else chunk


def _usage_chunk(ask: TextAsk, stamp: Stamp, kind: str, answer: Answer) -> Iterator[dict[str, Any]]:
    if ask.include_usage:
        yield _head(ask, stamp, kind) | {"choices": [], "usage": usage(ask, answer)}


def _text_choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}


def _vector(text: str, ask: EmbeddingAsk) -> list[float] | str:
    values = embedding_of(text, ask.dimensions)
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode() if ask.base64 else values
