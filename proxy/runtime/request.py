"""A request as the gateway sees it, and its body read whole within bounds of size and time."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from proxy.runtime import errors
from proxy.runtime.config import GatewayConfig
from proxy.runtime.identify import KEY_HEADERS

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    receive: Receive
    send: Send
    client: str = ""
    """Address that it came from, as the server sees it."""
    query: str = ""

    @classmethod
    def from_scope(cls, scope: Message, receive: Receive, send: Send, own_header: str = "") -> "Request":
        """The path is the raw one, decoded once. `own_header` is one more that may carry a key."""
        headers = headers_of(scope, own_header)
        path, client = scope.get("path") or unquote(scope["raw_path"].decode()), scope.get("client")
        query = scope.get("query_string", b"").decode("latin-1")
        return cls(scope["method"], path, headers, receive, send, client[0] if client else "", query)


def headers_of(scope: Message, own_header: str = "") -> dict[str, str]:
    """Headers by lower-case name; of a repeated one the first counts, but all of what may carry a key, as in Django."""
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1")
        if name in headers and (name in KEY_HEADERS or name == own_header):
            headers[name] += f",{value.decode('latin-1')}"
        else:
            headers.setdefault(name, value.decode("latin-1"))
    return headers


async def read_body(request: Request, config: GatewayConfig) -> bytes:
    """The whole body. Raises 413 for one over the limit and 408 for one that does not arrive in time."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise errors.invalid("compressed request bodies are not accepted: send the JSON as it is", status=415)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > config.max_body_bytes:
        raise _too_large(config)
    try:
        async with asyncio.timeout(config.body_deadline_seconds):
            return await _collect(request, config)
    except TimeoutError as error:
        raise errors.invalid("the request body did not arrive in time", status=408) from error


async def _collect(request: Request, config: GatewayConfig) -> bytes:
    chunks, size, more = [], 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise errors.invalid("the client went away before its request was complete", status=499)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > config.max_body_bytes:
            raise _too_large(config)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _too_large(config: GatewayConfig) -> errors.GatewayError:
    return errors.invalid(f"the request body is larger than {config.max_body_bytes} bytes", status=413)
