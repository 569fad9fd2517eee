"""An OpenAI-compatible upstream that keeps its own books: every call it bills, before it answers.

A message of the form `{"say": {...}}` scripts it: prompt, completion (tokens), delay (seconds), status, error and
headers (what a status comes with), bill (how many of the failures are billed all the same), only (the model that the
script is for), usage (false = report none), report (more of it), tier (the service tier it says), zip (compress the
answer, though nobody asked), break (stop in mid-answer), flood (bytes of every word of a stream), early (completion
tokens that each of a stream's first words reports).
"""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiohttp import web

INPUT, OUTPUT = Decimal("0.0000025"), Decimal("0.00001")


@dataclass
class Books:
    """What the upstream saw and billed; the truth that the ledger is compared with."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    billed: list[tuple[int, int]] = field(default_factory=list)

    @property
    def total_nano(self) -> int:
        usd = sum((prompt * INPUT + completion * OUTPUT for prompt, completion in self.billed), Decimal(0))
        return int(usd * 10**9)

    def clear(self) -> None:
        for kept in (self.bodies, self.headers, self.billed):
            kept.clear()


BOOKS = web.AppKey("books", Books)


def say(**script: Any) -> list[dict[str, str]]:
    """Messages that make the upstream behave in a certain way."""
    return [{"role": "user", "content": json.dumps({"say": script})}]


def _script(body: dict[str, Any]) -> dict[str, Any]:
    try:
        script = dict(json.loads(body["messages"][0]["content"])["say"])
    except (KeyError, TypeError, ValueError):
        return {}
    return script if script.get("only", body["model"]) == body["model"] else {}


@contextmanager
def running_upstream() -> Iterator[Books]:
    """Serve on a loopback port from a thread of its own."""
    books, ready, stopped = Books(), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(books, ready, stopped)), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield books
    stopped.set()
    thread.join(10)


async def _serve(books: Books, ready: threading.Event, stopped: threading.Event) -> None:
    app = web.Application()
    app[BOOKS] = books
    app.router.add_post("/v1/chat/completions", _chat)
    app.router.add_post("/v1/completions", _chat)
    app.router.add_post("/v1/embeddings", _embeddings)
    app.router.add_post("/v1/images/generations", _pictures)
    app.router.add_post("/v1/moderations", _moderation)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await web.SockSite(runner, listener).start()
        books.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        ready.set()
        await asyncio.to_thread(stopped.wait)
        await runner.cleanup()


async def _chat(request: web.Request) -> web.StreamResponse:
    books: Books = request.app[BOOKS]
    body = await request.json()
    script = _script(body)
    books.bodies.append(body)
    books.headers.append(dict(request.headers))
    prompt, completion = script.get("prompt", 10), script.get("completion", 20)
    if script.get("status"):
        error = {"error": {"message": "scripted failure", "type": "server_error", **script.get("error", {})}}
        if len(books.billed) < script.get("bill", 0):
            books.billed.append((prompt, completion))
            error["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion}
        return web.json_response(error, status=script["status"], headers=script.get("headers"))
    if script.get("hang"):
        await asyncio.sleep(script["hang"])
        return web.Response(status=500)
    books.billed.append((prompt, completion))
    await asyncio.sleep(script.get("delay", 0))
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    usage |= script.get("report", {})
    if "raw" in script:
        return web.Response(text=script["raw"])
    if body.get("stream"):
        return await _stream(request, body, script, usage)
    message = {
        "index": 0,
        "message": {"role": "assistant", "content": "hello"},
        "text": "hello",
        "finish_reason": "stop",
    }
    answer = {"id": f"cmpl-{len(books.billed)}", "object": "chat.completion", "created": 1, "model": body["model"]}
    answer |= {"service_tier": script["tier"]} if "tier" in script else {}
    answer |= {"choices": [message]} | ({"usage": usage} if script.get("usage", True) else {})
    response = web.json_response(answer)
    if script.get("zip"):
        response.enable_compression(web.ContentCoding.gzip)
    return response


async def _stream(
    request: web.Request, body: dict[str, Any], script: dict[str, Any], usage: dict[str, int]
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    if script.get("zip"):
        response.enable_compression(web.ContentCoding.gzip)
    await response.prepare(request)
    if script.get("nothing"):
        assert request.transport is not None
        request.transport.abort()
        return response
    early = list(script.get("early", []))
    base = {"id": "cmpl-s", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    for word in ("Grüße ", "an ", "alle ", "🦊"):
        word = word.ljust(script.get("flood", 0), "x")
        chunk = base | {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
        if early:
            chunk["usage"] = usage | {"completion_tokens": early.pop(0), "total_tokens": 0}
        line = b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"
        # Cut in the middle of a character, as networks do.
        await response.write(line[:-7])
        await asyncio.sleep(script.get("pause", 0))
        await response.write(line[-7:])
        if script.get("break"):
            assert request.transport is not None
            request.transport.abort()
            return response
    wanted = (body.get("stream_options") or {}).get("include_usage")
    if wanted and script.get("usage", True):
        await response.write(b"data: " + json.dumps(base | {"choices": [], "usage": usage}).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    return response


async def _embeddings(request: web.Request) -> web.Response:
    books: Books = request.app[BOOKS]
    body = await request.json()
    books.bodies.append(body)
    books.billed.append((7, 0))
    data = [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})


async def _pictures(request: web.Request) -> web.Response:
    """As many as were asked for, or as the prompt says came; tokens of those models that count them."""
    body = await request.json()
    request.app[BOOKS].bodies.append(body)
    data = [{"b64_json": "aGVsbG8="}] * int(body["prompt"] if body["prompt"].isdigit() else body.get("n", 1))
    usage = {"input_tokens": 12, "output_tokens": 272 * len(data), "total_tokens": 12 + 272 * len(data)}
    counted = {"usage": usage} if body["model"].startswith("gpt-image") else {}
    return web.json_response({"created": 1, "data": data, **counted})


async def _moderation(request: web.Request) -> web.Response:
    body = await request.json()
    request.app[BOOKS].bodies.append(body)
    return web.json_response({"id": "modr-1", "model": body["model"], "results": [{"flagged": False}]})
