"""The canned provider: an ASGI application that answers like OpenAI's chat completions, as cheaply as possible.

The model's name says what to answer: `canned` at once and whole; `stream-50x20` as a stream of 50 chunks, one
every 20 ms. Each chunk's content is the instant it was sent (CLOCK_MONOTONIC, nanoseconds), which is the same
clock in every process of a machine, so the driver can tell how long a chunk was on its way.
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PROMPT_TOKENS, COMPLETION_TOKENS = 12, 16
_STREAM = re.compile(rb'"stream-(\d+)x(\d+)"')
_USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": COMPLETION_TOKENS,
    "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
}
_MESSAGE = {"role": "assistant", "content": "The quick brown fox jumps over the lazy dog, and then it does so again."}
_ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1767225600,
        "model": "canned",
        "choices": [{"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop"}],
        "usage": _USAGE,
        "system_fingerprint": "fp_bench",
    }
).encode()
_HEAD = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1767225600,"model":"canned","choices":'
)
_CHUNK = _HEAD + b'[{"index":0,"delta":{"content":"%d"},"logprobs":null,"finish_reason":null}]}\n\n'
_LAST = _HEAD + b'[],"usage":' + json.dumps(_USAGE).encode() + b"}\n\ndata: [DONE]\n\n"
_WHOLE_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())],
}
_STREAM_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")],
}


async def application(scope: Message, receive: Receive, send: Send) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    stream = _STREAM.search(body)
    if stream:
        await _stream(send, int(stream[1]), int(stream[2]) / 1000)
    else:
        await send(_WHOLE_START)
        await send({"type": "http.response.body", "body": _ANSWER})


async def _stream(send: Send, chunks: int, pace: float) -> None:
    """Paced by the clock, not by pauses, so that a loaded machine does not stretch the stream."""
    await send(_STREAM_START)
    due = time.monotonic()
    for _ in range(chunks):
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await send({"type": "http.response.body", "body": _CHUNK % time.monotonic_ns(), "more_body": True})
        due += pace
    await send({"type": "http.response.body", "body": _LAST})
