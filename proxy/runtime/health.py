"""What probes are told by a gateway worker, from what it knows without asking anybody."""

from typing import TYPE_CHECKING

import orjson

from proxy.runtime import relay
from proxy.runtime.request import Request
from proxy.version import TOLD

if TYPE_CHECKING:
    from proxy.runtime.app import Gateway

_ALIVE = ("/health/liveliness", "/health/liveness")
_READY = "/health/readiness"
PATHS = frozenset({*_ALIVE, _READY})


async def serve(gateway: "Gateway", request: Request) -> None:
    """Alive: this process answers. Ready: there are calls that it serves, by what answered within the last second.

    With a part of ours away that is so where policy lets some calls go on; the status then is `degraded`.
    """
    if request.path in _ALIVE:
        await relay.send_whole(request.send, 200, b'"I\'m alive!"', {"content-type": "application/json"})
        return
    states = {"db": _state(gateway.journal.available), "counter_store": _state(gateway.store.available)}
    status = _status(gateway)
    ready = status != "unhealthy"
    body = orjson.dumps({"status": status, **states, "litellm_version": TOLD})
    headers = {"content-type": "application/json"} | ({} if ready else {"retry-after": "1"})
    await relay.send_whole(request.send, 200 if ready else 503, body, headers)


def _status(gateway: "Gateway") -> str:
    books, counters = gateway.journal.available, gateway.store.available
    if books and counters:
        return "healthy"
    serves = gateway.config.serves_without_store if books else gateway.spooling.is_open
    return "degraded" if serves else "unhealthy"


def _state(available: bool) -> str:
    return "connected" if available else "disconnected"
