"""One connection to a real counter store, whatever fails on the way to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from django.conf import settings

from proxy.runtime.counters import CounterStore
from proxy.runtime.store_protocol import StoreFacts
from teams import store

Meet = Callable[[StoreFacts], Awaitable[None]]


@asynccontextmanager
async def running(meet: Meet | None = None) -> AsyncIterator[CounterStore]:
    gate = CounterStore(f"unix://{settings.VALKEY_SOCKET}", meet)
    gate.start()
    try:
        yield gate
    finally:
        await gate.stop()


def connections() -> int:
    return len(store.client().client_list())


async def test_a_server_that_cannot_be_met_yet_is_not_left_with_open_connections() -> None:
    tries, before = 0, connections()

    async def meet(_: StoreFacts) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise ConnectionError("the books are away")

    async with running(meet) as gate:
        await gate.wait_until_available(5)
        await asyncio.sleep(0.1)
        assert (gate.available, tries, connections()) == (True, 4, before + 1)


async def test_what_had_to_wait_is_done_once_the_store_no_longer_refuses_it() -> None:
    """A store without memory to write in stays connected."""
    done: list[bool] = []
    client = store.client()
    async with running() as gate:
        await gate.wait_until_available(5)

        async def write() -> None:
            await gate.command("SET", "owed", 1)
            done.append(True)

        client.config_set("maxmemory", "1")
        try:
            gate.when_back(write)
            await asyncio.sleep(0.7)
            assert (done, gate.available) == ([], True)
        finally:
            client.config_set("maxmemory", "0")
        async with asyncio.timeout(5):
            while not done:
                await asyncio.sleep(0.05)
