"""The gateway's one door to the counter store: an actor that pipelines whatever is waiting.

Callers only ever wait on a future; a cancelled caller therefore never leaves half a reply in the
connection for somebody else. A connection that failed or timed out in mid-batch is thrown away.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError, ResponseError

from proxy.runtime.scripts import EVERY, Script

log = structlog.get_logger()
_BATCH = 256
_QUEUE = 20_000


class StoreUnavailable(Exception):
    """The counter store did not answer; whether the command took effect is unknown."""


class CounterStore:
    def __init__(self, url: str, *, timeout_seconds: float = 1.0) -> None:
        self._pool: ConnectionPool = ConnectionPool.from_url(
            url, decode_responses=True, socket_connect_timeout=0.25, socket_timeout=timeout_seconds
        )
        self._timeout = timeout_seconds
        self._waiting: list[tuple[Sequence[Any], asyncio.Future[Any]]] = []
        self._wake = asyncio.Event()
        self._connection: AbstractConnection | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="counter-store")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._drop()

    async def command(self, *command: Any) -> Any:
        """Send one command and wait for its reply. Raises StoreUnavailable."""
        if len(self._waiting) >= _QUEUE:
            raise StoreUnavailable("too many commands are waiting for the counter store")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, future))
        self._wake.set()
        return await future

    async def script(self, script: Script, key: str, *args: Any) -> Any:
        """Run a script by digest; a store that forgot its scripts is given the text again."""
        try:
            return await self.command("EVALSHA", script.digest, 1, key, *args)
        except NoScriptError:
            return await self.command("EVAL", script.text, 1, key, *args)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            if not self._waiting:
                self._wake.clear()
            try:
                async with asyncio.timeout(self._timeout):
                    replies = await self._exchange([command for command, _ in batch])
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("counter store unavailable", error=type(error).__name__)
                await self._drop()
                replies = [StoreUnavailable("the counter store did not answer")] * len(batch)
            for (_, future), reply in zip(batch, replies, strict=True):
                _resolve(future, reply)

    async def _exchange(self, commands: list[Sequence[Any]]) -> list[Any]:
        connection = self._connection or await self._connect()
        await connection.send_packed_command(connection.pack_commands(commands))
        return [await _reply(connection) for _ in commands]

    async def _connect(self) -> AbstractConnection:
        self._connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        await self._connection.connect()
        for script in EVERY:
            await self._connection.send_command("SCRIPT", "LOAD", script.text)
            await _reply(self._connection)
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _reply(connection: AbstractConnection) -> Any:
    """The next reply; an error that the server answered is a reply too, a broken connection is not."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _resolve(future: "asyncio.Future[Any]", reply: Any) -> None:
    if future.done():
        return
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)
