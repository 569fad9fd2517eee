"""Text as the demo provider sees it: one token per word or punctuation mark. Pure: no I/O."""

import hashlib
import math
import re
from dataclasses import dataclass

_PIECE = re.compile(r"\s*(?:\w+|[^\w\s])")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one choice says, cut into tokens (each with the white space before it)."""

    tokens: tuple[str, ...]
    finish_reason: str

    @property
    def text(self) -> str:
        return "".join(self.tokens)


def tokens_of(text: str) -> list[str]:
    return _PIECE.findall(text)


def count(text: str) -> int:
    return len(tokens_of(text))


def answer_to(question: str, *, max_tokens: int | None, stop: tuple[str, ...]) -> Answer:
    """Say who is speaking and repeat what was asked, within the caller's limits."""
    text = f"This is Latchkey's demo provider, not a language model. You asked: {question.strip()}"
    ends = [text.find(mark) for mark in stop if mark in text]
    tokens = tokens_of(text[: min(ends)] if ends else text)
    if max_tokens is not None and len(tokens) > max_tokens:
        return Answer(tuple(tokens[:max_tokens]), "length")
    return Answer(tuple(tokens), "stop")


def embedding_of(text: str, dimensions: int) -> list[float]:
    """A vector of length one that depends on the text alone. It carries no meaning."""
    noise = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(2 * dimensions)
    raw = [int.from_bytes(noise[i : i + 2], "big") / 32767.5 - 1 for i in range(0, len(noise), 2)]
    length = math.sqrt(sum(value * value for value in raw)) or 1.0
    return [value / length for value in raw]
