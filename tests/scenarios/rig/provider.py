"""A provider that keeps its own books: every call it bills is on its disk before it answers.

`python -m tests.scenarios.rig.provider PORT FILE`. The content of the first message is a JSON object that scripts the
answer. `call` is the caller's nonce, which every answer and every chunk of it repeats. Further:

prompt, completion    tokens it bills (10, 20)
latency               seconds before the first byte
chunks, pause         of a stream: how many, and seconds before each (4, 0)
usage                 "end" (default), "absent", "null", "middle", "cumulative" (in every chunk), "late" (after
                      [DONE]), "twice"
status                answers with this error status and bills nothing, unless `billed` is true
abort                 breaks the connection off after so many chunks; 0 = before the status line
keeps_silent          bills, then never answers
attempts              a list of scripts, one for each time this nonce arrives; the last one stays
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from tests.scenarios.rig.bill import cost_nano

Script = dict[str, Any]


class Books:
    """Appends lines and waits for the disk; callers that come together share one fsync."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self.seen: Counter[str] = Counter()

    async def write(self, row: Script) -> None:
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((json.dumps(row).encode() + b"\n", done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())
        await asyncio.shield(done)

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            self._file.write(b"".join(line for line, _ in batch))
            self._file.flush()
            os.fsync(self._file.fileno())
            for _, done in batch:
                done.set_result(None)
            await asyncio.sleep(0)


BOOKS = web.AppKey("books", Books)


async def chat(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    books = request.app[BOOKS]
    script = _script_of(body, books)
    account, model = request.match_info["account"], str(body["model"])
    prompt, completion = script.get("prompt", 10), script.get("completion", 20)
    number = books.seen[script["call"]]
    row = {"id": f"{script['call']}-{account}{number}", "call": script["call"], "model": model, "account": account}
    row |= {"prompt": prompt, "completion": completion, "nano": cost_nano(model, prompt, completion)}
    if "status" not in script or script.get("billed"):
        await books.write(row)
    await asyncio.sleep(script.get("latency", 0))
    if "status" in script:
        error = {"message": "scripted failure", "type": "server_error"}
        return web.json_response({"error": error}, status=script["status"])
    if script.get("keeps_silent"):
        await asyncio.sleep(3600)
    if script.get("abort") == 0:
        return _abort(request, web.Response())
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if body.get("stream"):
        wanted = bool((body.get("stream_options") or {}).get("include_usage"))
        return await _stream(request, row, script, usage, wanted)
    return web.json_response(_whole(row, script, usage))


def _script_of(body: Script, books: Books) -> Script:
    script: Script = json.loads(body["messages"][0]["content"])
    books.seen[script["call"]] += 1
    attempts = script.get("attempts")
    if attempts:
        script = script | attempts[min(books.seen[script["call"]], len(attempts)) - 1]
    return script


def _whole(row: Script, script: Script, usage: Script) -> Script:
    message = {"role": "assistant", "content": f"{row['call']}:0:{time.monotonic_ns()} "}
    answer = {"id": row["id"], "object": "chat.completion", "created": 1, "model": row["model"]}
    answer |= {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    kind = script.get("usage", "end")
    return answer if kind == "absent" else answer | {"usage": None if kind == "null" else usage}


async def _stream(request: web.Request, row: Script, script: Script, usage: Script, wanted: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    kind, chunks = script.get("usage", "end") if wanted else "absent", script.get("chunks", 4)
    base = {"id": row["id"], "object": "chat.completion.chunk", "created": 1, "model": row["model"]}
    for number in range(chunks):
        await asyncio.sleep(script.get("pause", 0))
        if script.get("abort") == number:
            return _abort(request, response)
        content = {"content": f"{row['call']}:{number}:{time.monotonic_ns()} "}
        chunk = base | {"choices": [{"index": 0, "delta": content, "finish_reason": None}]}
        await response.write(_event(chunk | _usage_within(kind, number, chunks, usage)))
    last = base | {"choices": [], "usage": usage}
    for _ in range({"end": 1, "twice": 2}.get(kind, 0)):
        await response.write(_event(last))
    await response.write(b"data: [DONE]\n\n")
    if kind == "late":
        await response.write(_event(last))
    return response


def _usage_within(kind: str, number: int, chunks: int, usage: Script) -> Script:
    """What a chunk says about usage."""
    if kind == "null":
        return {"usage": None}
    if kind == "middle" and number == chunks // 2:
        return {"usage": usage}
    if kind == "cumulative":
        so_far = usage["completion_tokens"] * (number + 1) // chunks
        return {"usage": usage | {"completion_tokens": so_far, "total_tokens": usage["prompt_tokens"] + so_far}}
    return {}


def _event(chunk: Script) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _abort(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response


async def main(port: int, path: Path) -> None:
    app = web.Application()
    app[BOOKS] = Books(path)
    app.router.add_post("/{account}/v1/chat/completions", chat)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), Path(sys.argv[2])))
