"""The wire of the counter store: Redis' protocol on asyncio, parsed by hiredis."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import hiredis
from redis.asyncio.connection import parse_url

Failure = hiredis.ReplyError
"""An error that the server answered."""


class StoreProtocol(asyncio.Protocol):
    def __init__(self, on_lost: "Callable[[StoreProtocol], None]") -> None:
        self.waiting: deque[asyncio.Future[Any]] = deque()
        self.answered = 0
        self._on_lost = on_lost
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []

    def send(self, command: tuple[Any, ...]) -> "asyncio.Future[Any]":
        """Queue a command for the end of this turn of the loop; the future fails with ConnectionError."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._transport is None:
            future.set_exception(ConnectionError())
            return future
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(hiredis.pack_command(command))
        self.waiting.append(future)
        return future

    async def greet(self, address: "StoreAddress", scripts: list[str]) -> "StoreFacts":
        """Log in, choose the database, load the scripts; returns what the server says about itself."""
        if address.password:
            user = (address.username,) if address.username else ()
            await self.send(("AUTH", *user, address.password))
        if address.database:
            await self.send(("SELECT", address.database))
        for script in scripts:
            await self.send(("SCRIPT", "LOAD", script))
        return StoreFacts.read(str(await self.send(("INFO",))))

    @property
    def alive(self) -> bool:
        return self._transport is not None

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self.answered += 1
            future = self.waiting.popleft()
            if future.done():
                continue
            if isinstance(reply, Failure):
                future.set_exception(reply)
            else:
                future.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self._end()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None:
            self._transport.write(b"".join(out))

    def _end(self) -> None:
        if self._transport is None:
            return
        self._transport = None
        for future in self.waiting:
            if not future.done():
                future.set_exception(ConnectionError())
        self.waiting.clear()
        self._on_lost(self)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What a server says about itself; managed ones keep some of it to themselves."""

    run_id: str
    evicts: bool = False
    """Whether it drops entries when its memory is full."""
    keeps_file: bool = True
    """Whether it writes an append-only file."""

    @classmethod
    def read(cls, info: str) -> "StoreFacts":
        """From the answer to INFO. Raises ConnectionError for a server whose replacement nobody could notice."""
        told = {name: value for name, _, value in (line.strip().partition(":") for line in info.splitlines())}
        limited = told.get("maxmemory", "0") != "0"
        if not told.get("run_id"):
            raise ConnectionError("the server tells no run id")
        return cls(
            run_id=told["run_id"],
            evicts=limited and told.get("maxmemory_policy", "noeviction") != "noeviction",
            keeps_file=told.get("aof_enabled", "1") != "0",
        )


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where a `redis://`, `rediss://` or `unix://` URL points to."""

    host: str = "localhost"
    port: int = 6379
    path: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    tls: bool = False

    @classmethod
    def parse(cls, url: str) -> "StoreAddress":
        found = parse_url(url)
        return cls(
            host=str(found.get("host") or "localhost"),
            port=int(found.get("port") or 6379),
            path=str(found.get("path") or ""),
            username=str(found.get("username") or ""),
            password=str(found.get("password") or ""),
            database=int(found.get("db") or 0),
            tls=url.startswith("rediss://"),
        )

    async def connect(self, on_lost: "Callable[[StoreProtocol], None]") -> StoreProtocol:
        loop = asyncio.get_running_loop()
        if self.path:
            _, protocol = await loop.create_unix_connection(lambda: StoreProtocol(on_lost), self.path)
        else:
            context = ssl.create_default_context() if self.tls else None
            _, protocol = await loop.create_connection(
                lambda: StoreProtocol(on_lost), self.host, self.port, ssl=context
            )
        return protocol
