"""Orders of events that once got past a budget, with two workers, real scripts and a real counter store."""

import asyncio
from collections.abc import Iterator

import pytest

from proxy.runtime.config import GatewayConfig
from spend import services
from spend.models import Hold
from teams import store
from teams.models import Organization
from tests.protocol.books_and_store import StoreView
from tests.protocol.house import LEASE, PER_TOKEN, START, House, change
from tests.protocol.worker import Server, Worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def house(db: None) -> House:
    return House.furnished()


@pytest.fixture
def server() -> Server:
    return Server(store.client())


@pytest.fixture
def workers(house: House, server: Server) -> Iterator[list[Worker]]:
    loop, config = asyncio.new_event_loop(), GatewayConfig("", "", lease_seconds=LEASE)
    yield [Worker(server, config, lambda: START, loop) for _ in range(2)]
    loop.close()


@pytest.fixture
def counters(house: House) -> Iterator[StoreView]:
    view = StoreView(house.scopes[0].pk)
    yield view
    view.close()


def test_a_raiser_publishes_what_it_raised_whatever_stands_a_moment_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = house.scopes[0]
    assert isinstance(organization, Organization)
    seen = services.current_epoch(organization.pk)
    monkeypatch.setattr(services, "current_epoch", lambda pk: seen + 7)
    assert services.raise_epoch(organization.pk, seen=seen) == (seen + 1, True)
    assert services.raise_epoch(organization.pk, seen=seen) == (seen + 7, False)


def test_a_grant_read_before_a_new_window_holds_nothing_in_the_epoch_after_it(
    house: House, server: Server, workers: list[Worker]
) -> None:
    """The store is lost, and with it the scopes' versions; another worker agrees on a new epoch for another key."""
    key, token = house.scopes[-1], house.tokens[-1]
    assert workers[1].hold(token, 1)
    server.client.flushall()
    server.run_id = "run-2"
    change(key, heard=False, now=START, budget_limits=[{"duration": "1h", "max_nano": 5 * PER_TOKEN}])
    assert workers[0].hold(house.tokens[0], 1)
    held = workers[1].hold(token, 1)
    assert held is not None
    assert "1h" in [line.ref.window.duration for line in held.lines]


def test_a_counter_that_vanished_alone_is_not_read_beside_a_hold_whose_intent_is_under_way(
    house: House, workers: list[Worker], counters: StoreView
) -> None:
    """Its intent, if it came through, would be missing in the counter that was read without it."""
    token = house.tokens[0]
    slow = workers[0].hold_slowly(token, 8)
    assert slow is not None
    for name in counters.names():
        counters.delete(name)
    assert workers[1].hold(token, 8) is not None
    assert slow.worker.resume(slow) is not None
    assert Hold.objects.filter(state=Hold.State.PENDING).count() == 2
    assert not Hold.objects.filter(pk=slow.intent.hold_id).exists()
    assert workers[1].hold(token, 8) is None
