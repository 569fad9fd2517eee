"""What a counter store says about itself when a worker meets it."""

import asyncio

import pytest
from django.conf import settings

from proxy.runtime.counters import CounterStore, StoreUnavailable
from proxy.runtime.store_protocol import StoreFacts
from teams import store


async def _met() -> StoreFacts:
    met: asyncio.Future[StoreFacts] = asyncio.get_running_loop().create_future()

    async def meet(facts: StoreFacts) -> None:
        met.set_result(facts)

    gate = CounterStore(f"unix://{settings.VALKEY_SOCKET}", meet)
    gate.start()
    try:
        return await asyncio.wait_for(met, 5)
    finally:
        await gate.stop()


def test_a_server_that_drops_entries_when_it_is_full_is_known_as_such() -> None:
    client = store.client()
    assert not asyncio.run(_met()).evicts
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        facts = asyncio.run(_met())
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "0")
    assert facts.evicts
    assert facts.run_id == client.info("server")["run_id"]


def test_a_server_without_an_append_only_file_is_known_as_such() -> None:
    client = store.client()
    before = client.config_get("appendonly")["appendonly"]
    try:
        for told in ("yes", "no"):
            client.config_set("appendonly", told)
            assert asyncio.run(_met()).keeps_file == (told == "yes")
    finally:
        client.config_set("appendonly", before)


def test_a_server_that_hides_its_run_id_is_not_trusted() -> None:
    with pytest.raises(ConnectionError):
        StoreFacts.read("# Server\r\nredis_version:7.4.0\r\n")


async def _refused() -> None:
    async def meet(facts: StoreFacts) -> None:
        """Nothing to note."""

    gate = CounterStore(f"unix://{settings.VALKEY_SOCKET}", meet)
    gate.start()
    try:
        await gate.wait_until_available(5)
        await gate.command("ZADD", "leases", "no number", "hold")
    finally:
        await gate.stop()


def test_a_command_that_the_server_refuses_counts_as_a_store_that_is_away() -> None:
    """Who renews leases goes on after it: the next one may pass."""
    with pytest.raises(StoreUnavailable, match="not a valid float"):
        asyncio.run(_refused())
