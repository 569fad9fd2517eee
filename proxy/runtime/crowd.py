"""How many calls run at once, of all keys together, where the configuration sets a limit (`max_parallel_requests`).

Places are kept in the counter store with an end, as parallel slots are, so that a worker that dies frees its own.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import time

from proxy.runtime import errors, ids, scripts
from proxy.runtime.config import GatewayConfig
from proxy.runtime.counters import CounterStore, StoreUnavailable

_KEY = "lk:{all}:p"


class Crowd:
    def __init__(self, store: CounterStore, config: GatewayConfig) -> None:
        self._store, self._limit = store, config.rules.parallel_limit
        self._lease, self._degrades = config.lease_seconds, config.unbudgeted_without_store
        self._share = max(1, (self._limit or 0) // max(1, config.workers))
        self._inside: set[str] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One place for the time of a call. Raises 429 where all are taken, StoreUnavailable."""
        if self._limit is None:
            yield
            return
        name = ids.hold_id()
        await self._enter(name, self._limit)
        self._inside.add(name)
        try:
            yield
        finally:
            self._inside.discard(name)
            # A caller that goes away must not keep its place until the end of the lease.
            task = asyncio.create_task(self._leave(name))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def keep(self) -> None:
        """Renew the places of calls that are still running, forever."""
        while self._limit is not None:
            await asyncio.sleep(self._lease / 3)
            with suppress(StoreUnavailable):
                for name in list(self._inside):
                    await self._store.command("ZADD", _KEY, "XX", self._until(), name)

    async def _enter(self, name: str, limit: int) -> None:
        try:
            taken = await self._store.script(scripts.ENTER, _KEY, name, int(time() * 1000), self._until(), limit)
        except StoreUnavailable:
            if not self._degrades:
                raise
            taken = len(self._inside) < self._share
        if not int(taken):
            raise errors.rate_limited(
                "Rate limit exceeded for proxy: all keys together. Limit type: max_parallel_requests. "
                f"Current limit: {limit}, Remaining: 0. A slot is free when a running call ends",
                "max_parallel_requests",
                1,
                "",
            )

    async def _leave(self, name: str) -> None:
        with suppress(StoreUnavailable):
            await self._store.command("ZREM", _KEY, name)

    def _until(self) -> int:
        return int((time() + self._lease) * 1000)
