"""The bare pass-through: the least that a proxy of the same kind can do, on the same server with the same client.

It reads the body, forwards it and relays the answer. No key, no policy, no books.
"""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_UPSTREAM = os.environ.get("BENCH_UPSTREAM", "")
_HEADERS = {"content-type": "application/json", "accept-encoding": "identity", "authorization": "Bearer sk-upstream"}
_session: aiohttp.ClientSession


async def application(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http":
        await _forward(scope, await _body(receive), send)


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _forward(scope: Message, body: bytes, send: Send) -> None:
    async with _session.post(_UPSTREAM + scope["path"], data=body, headers=_HEADERS, allow_redirects=False) as answer:
        kind = answer.headers["content-type"].encode()
        if kind.startswith(b"text/event-stream"):
            await send({"type": "http.response.start", "status": answer.status, "headers": [(b"content-type", kind)]})
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        whole = await answer.read()
    headers = [(b"content-type", kind), (b"content-length", str(len(whole)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": whole})


async def _lifespan(receive: Receive, send: Send) -> None:
    global _session
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            _session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, keepalive_timeout=15),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent",),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=600),
            )
            await send({"type": "lifespan.startup.complete"})
        else:
            await _session.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
