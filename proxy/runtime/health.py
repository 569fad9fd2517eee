"""What probes are told by a gateway worker, from what it knows without asking anybody."""

from typing import TYPE_CHECKING

import orjson

from proxy.runtime import relay
from proxy.runtime.request import Request

if TYPE_CHECKING:
    from proxy.runtime.app import Gateway

_ALIVE = ("/health/liveliness", "/health/liveness")
_READY = "/health/readiness"
PATHS = frozenset({*_ALIVE, _READY})


async def serve(gateway: "Gateway", request: Request) -> None:
    """Alive: this process answers. Ready: database and counter store answered when last asked, within a second."""
    if request.path in _ALIVE:
        await relay.send_whole(request.send, 200, b'"I\'m alive!"', {"content-type": "application/json"})
        return
    states = {"db": _state(gateway.journal.available), "counter_store": _state(gateway.store.available)}
    ready = gateway.journal.available and gateway.store.available
    body = orjson.dumps({"status": "healthy" if ready else "unhealthy", **states})
    headers = {"content-type": "application/json"} | ({} if ready else {"retry-after": "1"})
    await relay.send_whole(request.send, 200 if ready else 503, body, headers)


def _state(available: bool) -> str:
    return "connected" if available else "disconnected"
