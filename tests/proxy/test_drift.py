"""Counters that no longer mirror the ledger are found and read again; calls in flight are not mistaken for drift."""

from collections.abc import Callable

import pytest

from keys.models import VirtualKey
from proxy import drift
from spend import services
from teams import store
from teams.actors import SYSTEM
from teams.models import Organization
from teams.scopes import store_prefix
from teams.services import create_organization
from tests.factories import NOON, intent_for, issue, posting_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> VirtualKey:
    key, _ = issue(max_budget_nano=10**9)
    intent = intent_for(key)
    services.write_intents([intent])
    services.post([posting_of(intent, 600)], now=NOON)
    return key


def _counter(key: VirtualKey, ident: str, **fields: int | str) -> str:
    prefix, epoch = store_prefix(key.organization_id), Organization.objects.get().epoch
    store.client().set(f"{prefix}:epoch", epoch)
    name = f"{prefix}:{epoch}:w:{key.scope}|{ident}"
    store.client().hset(name, mapping={"g": "1", **fields})
    return name


def _epoch() -> int:
    return Organization.objects.get().epoch


@pytest.mark.parametrize("ident", ["lifetime", "1d@1773100800"])
def test_counters_that_equal_the_ledger_are_left_alone(key: VirtualKey, ident: str) -> None:
    _counter(key, ident, s=600, h=0)
    before = _epoch()
    assert drift.mend(now=NOON, pause=lambda _: None) == 0
    assert _epoch() == before


@pytest.mark.parametrize("fields", [{"s": 599, "h": 0}, {"s": 600, "h": 5}, {"s": 0, "h": 0}, {"s": 700, "h": -100}])
def test_a_counter_that_stays_different_is_read_again(key: VirtualKey, fields: dict[str, int]) -> None:
    _counter(key, "lifetime", **fields)
    before = _epoch()
    assert drift.mend(now=NOON, pause=lambda _: None) == 1
    assert _epoch() == before + 1


def test_a_rolling_counter_is_compared_by_the_slices_that_count(key: VirtualKey) -> None:
    hour = int(NOON.timestamp()) // 3600
    _counter(key, "rolling 24h", **{f"s:{hour}": 600, f"h:{hour}": 0, f"s:{hour - 30}": 77, f"h:{hour - 30}": 0})
    assert drift.mend(now=NOON, pause=lambda _: None) == 0


def test_a_difference_that_goes_away_by_itself_is_a_call_in_flight(key: VirtualKey) -> None:
    name = _counter(key, "lifetime", s=600, h=1000)
    settle: Callable[[float], object] = lambda _: store.client().hset(name, "h", 0)  # noqa: E731
    before = _epoch()
    assert drift.mend(now=NOON, pause=settle) == 0
    assert _epoch() == before


def test_all_organizations_are_looked_at_with_one_pause(key: VirtualKey) -> None:
    other, _ = issue(organization=create_organization(Organization(name="other"), actor=SYSTEM))
    keys, pauses = (key, other), list[float]()
    for one in keys:
        prefix = store_prefix(one.organization_id)
        store.client().set(f"{prefix}:epoch", 7)
        store.client().hset(f"{prefix}:7:w:{one.scope}|lifetime", mapping={"g": "1", "s": 5, "h": 0})
    assert drift.mend(now=NOON, pause=pauses.append) == 2
    assert pauses == [2]
