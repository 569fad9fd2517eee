"""Why an attempt failed, as the books keep it: what its caller was told, without a word of what was asked. Pure."""

from collections.abc import Iterator
from typing import Any

from proxy.runtime.call import Call
from proxy.runtime.errors import GatewayError
from spend.wire import Failure

_MOST_KIND, _MOST_MESSAGE = 64, 500
#: Whoever quotes more of a prompt than two pieces quotes a whole one of these; what is shorter is looked for as it is.
_PIECE, _SHORTEST = 16, 4
_HIDDEN = "***"
#: Characters of a prompt that are looked through; the event loop waits for it.
_MOST_LOOKED_THROUGH = 1_000_000


def of(error: GatewayError, call: Call, secret: str) -> Failure:
    """Below 500 the words are the provider's, which may quote the request, or what it was called with."""
    kind, message = error.type, error.message
    if error.status < 500:
        kind, message = (text.replace(secret, _HIDDEN) if secret else text for text in (kind, message))
        message = _unquoted(message[: _MOST_MESSAGE + 2 * _PIECE], call)
    return Failure(error.status, text_of(kind, _MOST_KIND), text_of(message, _MOST_MESSAGE))


def text_of(value: str, most: int) -> str:
    """PostgreSQL keeps no NUL."""
    return value.replace("\0", "")[:most]


def _unquoted(message: str, call: Call) -> str:
    """A message up to where it begins to quote the prompt; nothing of it where that would take too long to find out."""
    said = [text for name in call.route.prompt for text in _texts(call.body.get(name))]
    whole = "\0".join(said)
    if len(whole) > _MOST_LOOKED_THROUGH:
        return _HIDDEN
    found = [at for text in said if _SHORTEST <= len(text) < 2 * _PIECE and (at := message.find(text)) >= 0]
    pieces = (at for at in range(0, len(message) - _PIECE + 1, _PIECE) if message[at : at + _PIECE] in whole)
    if (first := next(pieces, None)) is not None:
        while first > 0 and message[first - 1 : first + _PIECE] in whole:
            first -= 1
        found.append(first)
    return message[: min(found)] + _HIDDEN if found else message


def _texts(value: Any) -> Iterator[str]:
    """Every text in a prompt but media, and the names that the API gives to parts of it."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            if not item.startswith("data:"):
                yield item
        elif isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, dict):
            todo.extend(inner for name, inner in item.items() if name not in ("role", "type"))
