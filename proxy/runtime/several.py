"""One request to several models, `"model": "a,b"`: a call to each, through the gate by itself; one list of answers."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import replace
from typing import Any

from proxy.runtime import errors, relay
from proxy.runtime.call import Call
from proxy.runtime.catalog import Catalog
from proxy.runtime.request import Request
from proxy.runtime.routes import CHAT

_MOST = 10
_SEPARATOR = ","


def named(call: Call, catalog: Catalog, team: int | None) -> tuple[str, ...]:
    """The models of a call to several; empty for a call to one, also to one with a comma in its name. Raises 400."""
    if _SEPARATOR not in call.model or call.route is not CHAT:
        return ()
    if any(call.model in shelf.models for shelf in catalog.shelves(team)):
        return ()
    names = tuple(name for part in call.model.split(_SEPARATOR) if (name := part.strip()))
    if not 1 < len(names) <= _MOST:
        raise errors.invalid(f"model: name from 2 to {_MOST} models, with commas between them", "model")
    if call.stream:
        raise errors.invalid("stream: several models answer at once only without it", "stream")
    return names


async def serve(
    request: Request, call: Call, names: Sequence[str], attempt: Callable[[Request, Call], Awaitable[None]]
) -> None:
    """An error stands in the place of the model that failed. If all of them did, the first one's is the answer."""
    kept = [_Kept() for _ in names]
    calls = [
        attempt(replace(request, send=each), replace(call, model=name)) for each, name in zip(kept, names, strict=True)
    ]
    ends = await asyncio.gather(*calls, return_exceptions=True)
    failures = [end.told() if isinstance(end, errors.Unavailable) else end for end in ends]
    for failure in failures:
        if failure is not None and not isinstance(failure, errors.GatewayError):
            raise failure
    if failures[0] is not None and all(failures):
        raise failures[0]
    answers = [
        failure.body() if isinstance(failure, errors.GatewayError) else bytes(each.body)
        for failure, each in zip(failures, kept, strict=True)
    ]
    headers = {"content-type": "application/json"}
    await relay.send_whole(request.send, 200, b"[" + b",".join(answers) + b"]", headers)


class _Kept:
    """Takes an answer that becomes a part of another one."""

    def __init__(self) -> None:
        self.body = bytearray()

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        self.body += message.get("body", b"")
