"""A TCP proxy that can misbehave, one listener for each thing that Latchkey depends on.

`python -m tests.scenarios.rig.faults` is a process of its own, so that the load driver does not slow it down. It reads
one command per line, `{"name", "mode", "seconds"}`, and answers each with a line. Modes:

pass      moves bytes as they come
refuse    as if the server were gone: existing connections are cut, new ones refused
freeze    as if it hung: connections are accepted and stay open, but no byte moves; `pass` lets them flow again
delay     every byte arrives `seconds` later
cut       existing connections are cut now, new ones are served as before
"""

import asyncio
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import uvloop

from tests.scenarios.rig.processes import Program, free_port

_HIGH_WATER = 2**22


class _End(asyncio.Protocol):
    """One side of a relayed connection; what it receives goes to its peer."""

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self.peer: _End | None = None
        self.transport: asyncio.Transport | None = None
        self._kept: list[bytes] = []
        """Came before the peer was there, or while nothing may move."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(_HIGH_WATER)
        self._listener.ends.add(self)

    def joined(self, peer: "_End") -> None:
        self.peer = peer
        self.flow()

    def flow(self) -> None:
        """Hand on what was kept."""
        kept, self._kept = self._kept, []
        for data in kept:
            self.data_received(data)

    def data_received(self, data: bytes) -> None:
        if self.peer is None or self._listener.mode == "freeze":
            self._kept.append(data)
        elif self._listener.delay:
            asyncio.get_running_loop().call_later(self._listener.delay, self.peer.write, data)
        else:
            self.peer.write(data)

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.ends.discard(self)
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Listener:
    def __init__(self, port: int, host: str, target: int) -> None:
        self._port, self._host, self._target = port, host, target
        self.mode, self.delay = "pass", 0.0
        self.ends: set[_End] = set()
        self._server: asyncio.Server | None = None
        self._joining: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", self._port, backlog=4096)

    def _accept(self) -> _End:
        near = _End(self)
        task = asyncio.get_running_loop().create_task(self._join(near))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)
        return near

    async def _join(self, near: _End) -> None:
        try:
            _, far = await asyncio.get_running_loop().create_connection(partial(_End, self), self._host, self._target)
        except OSError:
            near.abort()
            return
        far.joined(near)
        near.joined(far)

    async def change(self, mode: str, seconds: float) -> None:
        if mode == "cut":
            self._abort_all()
            return
        self.mode, self.delay = mode, seconds if mode == "delay" else 0.0
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
            self._abort_all()
        elif mode != "refuse" and self._server is None:
            await self.open()
        for end in list(self.ends):
            end.flow()

    def _abort_all(self) -> None:
        for end in list(self.ends):
            end.abort()


class FaultProxy:
    """Steers the proxy's process. `targets` are (host, port) by name."""

    def __init__(self, targets: dict[str, tuple[str, int]], start: Callable[[list[str]], Program]) -> None:
        self.ports = {name: free_port() for name in targets}
        asked = {name: [self.ports[name], *target] for name, target in targets.items()}
        self._program = start([sys.executable, "-m", "tests.scenarios.rig.faults", json.dumps(asked)])
        self._program.start()
        self._answer()

    def set(self, name: str, mode: str, seconds: float = 0.0) -> None:
        """Change the mode of one listener; in force when this returns."""
        self._program.stdin.write(json.dumps({"name": name, "mode": mode, "seconds": seconds}).encode() + b"\n")
        self._program.stdin.flush()
        self._answer()

    def pass_everything(self) -> None:
        for name in self.ports:
            self.set(name, "pass")

    def end(self) -> None:
        self._program.end(10)

    def _answer(self) -> None:
        line = self._program.stdout.readline()
        assert line == b"done\n", f"the fault proxy says {line!r}:\n{self._program.tail()}"


async def _main(asked: dict[str, Any]) -> None:
    listeners = {name: Listener(*place) for name, place in asked.items()}
    for listener in listeners.values():
        await listener.open()
    while True:
        print("done", flush=True)
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            return
        command = json.loads(line)
        await listeners[command["name"]].change(command["mode"], command["seconds"])


if __name__ == "__main__":
    uvloop.run(_main(json.loads(sys.argv[1])))
