"""The demo provider as an ASGI application: `uvicorn proxy.demo.app:app`.

Bearer tokens are checked against `LATCHKEY_DEMO_PROVIDER_KEY` if it is set, so that a gateway which sends
the wrong credential, or a client's key, is found out.
"""

import hmac
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import orjson

from proxy.demo import answers
from proxy.demo.answers import Stamp
from proxy.demo.asks import BadAsk, TextAsk, read_body, read_chat, read_completion, read_embedding

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Json = dict[str, Any]
Result = Json | Iterator[Json]
_MAX_BODY = 20 * 1024 * 1024


class DemoProvider:
    """Answers like an OpenAI-compatible provider; `key` is the bearer token it accepts, '' accepts any."""

    def __init__(self, key: str = "") -> None:
        self._key = key.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            self._authenticate(scope)
            result = _answer(scope["method"], scope["path"], await _read(receive))
        except BadAsk as refusal:
            await _send_json(send, refusal.status, refusal.body)
        else:
            if isinstance(result, dict):
                await _send_json(send, 200, result)
            else:
                await _send_stream(send, result)

    def _authenticate(self, scope: Message) -> None:
        sent = dict(scope["headers"]).get(b"authorization", b"")
        if self._key and not hmac.compare_digest(sent, b"Bearer " + self._key):
            raise BadAsk("Incorrect API key provided to the demo provider", status=401, code="invalid_api_key")


def _answer(method: str, path: str, raw: bytes) -> Result:
    if (method, path) == ("GET", "/v1/models"):
        return answers.model_list()
    make = _ROUTES.get(path)
    if make is None:
        raise BadAsk(f"Invalid URL ({method} {path})", status=404)
    if method != "POST":
        raise BadAsk(f"Not allowed to {method} {path}", status=405, code="method_not_supported")
    return make(read_body(raw))


def _chat(body: Json) -> Result:
    ask, stamp = read_chat(body), _stamp()
    return answers.chat_chunks(ask, stamp) if ask.stream else answers.chat(ask, stamp)


def _completion(body: Json) -> Result:
    ask: TextAsk = read_completion(body)
    stamp = _stamp()
    return answers.completion_chunks(ask, stamp) if ask.stream else answers.completion(ask, stamp)


def _embeddings(body: Json) -> Result:
    return answers.embeddings(read_embedding(body))


_ROUTES: dict[str, Callable[[Json], Result]] = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _completion,
    "/v1/embeddings": _embeddings,
}


def _stamp() -> Stamp:
    return Stamp(secrets.token_hex(12), int(time.time()))


async def _read(receive: Receive) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadAsk("the client went away")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _MAX_BODY:
            raise BadAsk("the body is larger than 20 MB", status=413)
    return bytes(body)


async def _send_json(send: Send, status: int, body: Json) -> None:
    content = orjson.dumps(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _send_stream(send: Send, chunks: Iterator[Json]) -> None:
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for chunk in chunks:
        await send({"type": "http.response.body", "body": b"data: " + orjson.dumps(chunk) + b"\n\n", "more_body": True})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


app = DemoProvider(os.environ.get("LATCHKEY_DEMO_PROVIDER_KEY", ""))
