"""The streams that are open on this worker, and what ends one before its provider does.

A stream is given up when its key may no longer call (`revoked`), when its client went away and the deployment's
policy says `cancel`, when a client that went away is read on for too long (`drain`), or when a client takes nothing
for too long. Giving up closes the connection to the provider; what was received until then is charged by estimate.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.runtime import metrics
from proxy.runtime.errors import GatewayError
from proxy.runtime.request import Receive
from proxy.runtime.upstream import Answer

CANCEL = "cancel"


@dataclass(slots=True, eq=False)
class Stream:
    """One open stream. `refusal` is what its client is told if it is cut off."""

    token: str
    customer: str
    tags: tuple[str, ...]
    scopes: frozenset[str]
    answer: Answer
    on_disconnect: str
    refusal: GatewayError | None = None
    client_gone: bool = False
    blocked_since: float | None = None
    """Loop time at which the client stopped taking what it is sent."""
    deadline: asyncio.Timeout | None = field(default=None, repr=False)
    """Of handing it on; none until somebody sets one."""
    gone_since: float | None = None
    watcher: asyncio.Task[None] | None = field(default=None, repr=False)


class Streams:
    def __init__(self, *, stall_seconds: float, drain_seconds: float, most_drained: int) -> None:
        self._stall, self._drain, self._most_drained = stall_seconds, drain_seconds, most_drained
        self._open: set[Stream] = set()

    def opened(self, stream: Stream, receive: Receive) -> None:
        self._open.add(stream)
        stream.watcher = asyncio.create_task(self._watch_client(stream, receive))

    def closed(self, stream: Stream) -> None:
        self._open.discard(stream)
        if stream.watcher is not None:
            stream.watcher.cancel()

    def touching(self, scopes: set[str]) -> list[Stream]:
        return [stream for stream in self._open if stream.scopes & scopes]

    def all(self) -> list[Stream]:
        return list(self._open)

    async def cut(self, stream: Stream, refusal: GatewayError) -> None:
        stream.refusal = refusal
        metrics.CUT.inc()
        await stream.answer.close()

    async def give_up_the_lost(self, now: Callable[[], float]) -> None:
        """Once a second, forever: end streams whose client is gone or stuck for too long.

        To close the provider's answer does not wake a send that waits for the client: its deadline does.
        """
        while True:
            await asyncio.sleep(1)
            for stream in self.all():
                if _older(stream.gone_since, now() - self._drain):
                    await stream.answer.close()
                if (
                    _older(stream.blocked_since, now() - self._stall)
                    and stream.deadline
                    and not stream.deadline.expired()
                ):
                    stream.deadline.reschedule(now())

    async def _watch_client(self, stream: Stream, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        stream.client_gone, stream.gone_since = True, asyncio.get_running_loop().time()
        drained = sum(other.client_gone for other in self._open)
        if stream.on_disconnect == CANCEL or drained > self._most_drained:
            await stream.answer.close()


def _older(instant: float | None, limit: float) -> bool:
    return instant is not None and instant < limit
