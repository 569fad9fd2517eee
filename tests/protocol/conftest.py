"""Two workers on one counter store, in both durabilities, and the organization that they serve."""

import asyncio
from collections.abc import Iterator

import pytest

from proxy.runtime.config import GatewayConfig
from teams import store
from tests.protocol.house import LEASE, START, House
from tests.protocol.worker import Server, Worker


@pytest.fixture
def house(db: None) -> House:
    return House.furnished()


@pytest.fixture
def server() -> Server:
    return Server(store.client())


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def workers(house: House, server: Server, loop: asyncio.AbstractEventLoop) -> list[Worker]:
    config = GatewayConfig("", "", lease_seconds=LEASE)
    return [Worker(server, config, lambda: START, loop) for _ in range(2)]


@pytest.fixture
def fast_workers(house: House, server: Server, loop: asyncio.AbstractEventLoop) -> list[Worker]:
    config = GatewayConfig("", "", lease_seconds=LEASE, durability="fast")
    return [Worker(server, config, lambda: START, loop) for _ in range(2)]
