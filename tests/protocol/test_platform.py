"""The ceiling over all organizations: two halves of a hold and two epochs, with real scripts, services and sweeper."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import TestCase

from keys.secrets import token_of
from proxy import drift
from proxy.runtime.config import GatewayConfig, OutagePolicy
from proxy.runtime.counters import StoreUnavailable
from proxy.runtime.epochs import Epochs
from proxy.runtime.errors import GatewayError
from proxy.runtime.journal import BooksUnavailable
from proxy.sweeper import sweep
from spend import services
from spend.models import Crossing, Hold, LedgerEntry
from teams import platform_services
from teams.actors import MASTER
from teams.models import Organization
from teams.scopes import PLATFORM, PLATFORM_SCOPE, store_prefix
from teams.services import create_organization
from tests.factories import issue, posting_of
from tests.protocol.books_and_store import StoreView
from tests.protocol.house import LEASE, PER_TOKEN, START, House, change
from tests.protocol.worker import Server, Worker

pytestmark = pytest.mark.django_db
LATER = START + timedelta(seconds=2 * LEASE)


@pytest.fixture
def tokens(house: House) -> tuple[str, str]:
    """Keys of two organizations."""
    other = create_organization(Organization(name="other"), actor=MASTER)
    return house.tokens[1], token_of(issue(organization=other)[1])


@pytest.fixture
def counters(house: House) -> Iterator[StoreView]:
    """The platform's."""
    view = StoreView(PLATFORM)
    yield view
    view.close()


def limit(*, heard: bool = True, **limits: Any) -> None:
    """Limit all organizations together, through the service. Unheard, its announcements to the store are lost."""
    row = platform_services.platform()
    for name, value in limits.items():
        setattr(row, name, value)
    with TestCase.captureOnCommitCallbacks(execute=heard):
        platform_services.update_platform(row, actor=MASTER, now=START)


def held_anywhere(house: House, counters: StoreView) -> int:
    prefixes = [store_prefix(PLATFORM), *(store_prefix(pk) for pk in Organization.objects.values_list("pk", flat=True))]
    total = 0
    for prefix in prefixes:
        for key in counters.raw.scan_iter(f"{prefix}:*:w:*"):
            fields = counters.raw.hgetall(key)
            total += sum(int(value) for name, value in fields.items() if name.startswith(b"h"))  # type: ignore[union-attr]
    return total


def test_two_organizations_share_one_ceiling_and_a_refusal_leaves_nothing_held(
    house: House, workers: list[Worker], tokens: tuple[str, str], counters: StoreView
) -> None:
    limit(max_budget_nano=16 * PER_TOKEN)
    assert workers[0].hold(tokens[0], 8)
    assert workers[1].hold(tokens[1], 8)
    before = held_anywhere(house, counters)
    assert all(workers[i].hold(tokens[j], 8) is None for i in (0, 1) for j in (0, 1))
    assert held_anywhere(house, counters) == before
    refusal = workers[1].refusal
    assert isinstance(refusal, GatewayError)
    assert refusal.type == "budget_exceeded"
    assert "platform admin" in refusal.message
    assert "0.000016" not in refusal.message, "an app may not see what everybody spent"
    row = Hold.objects.order_by("pk").first()
    assert row is not None
    assert row.epoch == services.current_epoch(row.organization_id)
    assert row.platform_epoch == services.current_epoch(PLATFORM)


def test_what_was_spent_before_there_was_a_ceiling_counts(
    house: House, workers: list[Worker], tokens: tuple[str, str]
) -> None:
    for token in tokens:
        held = workers[0].hold(token, 8)
        assert held is not None
        workers[0].settle(held, workers[0].post(posting_of(held.intent, 8 * PER_TOKEN))[held.intent.hold_id], 8)
    limit(max_budget_nano=20 * PER_TOKEN)
    assert workers[0].hold(tokens[0], 5) is None
    assert workers[0].hold(tokens[1], 4) is not None


def test_a_call_without_a_cap_gets_what_the_platform_affords(
    house: House, workers: list[Worker], tokens: tuple[str, str]
) -> None:
    limit(max_budget_nano=5 * PER_TOKEN)
    held = workers[0].hold(tokens[1], None)
    assert held is not None
    assert (held.injected_cap, held.intent.amount_nano) == (5, 5 * PER_TOKEN)


def test_a_worker_that_dies_between_the_halves_leaves_nothing(
    house: House, workers: list[Worker], tokens: tuple[str, str], counters: StoreView, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(max_budget_nano=8 * PER_TOKEN)

    def die(point: str) -> None:
        if point == "after_half":
            raise asyncio.CancelledError

    async def nothing(held: Any) -> None:
        """The dead take nothing back."""

    monkeypatch.setattr("proxy.runtime.faults.reach", die)
    monkeypatch.setattr(workers[0].releases, "undo", nothing)
    with pytest.raises(asyncio.CancelledError):
        workers[0].hold(tokens[0], 8)
    monkeypatch.undo()
    assert held_anywhere(house, counters) > 0
    sweep(now=LATER)
    assert held_anywhere(house, counters) == 0
    assert not LedgerEntry.objects.exists()
    assert workers[1].hold(tokens[1], 8) is not None


def test_a_second_half_of_which_nobody_knows_is_taken_back_with_the_first(
    house: House, workers: list[Worker], tokens: tuple[str, str], counters: StoreView
) -> None:
    limit(max_budget_nano=8 * PER_TOKEN)
    known = workers[0].hold(tokens[0], 1)
    assert known is not None
    workers[0].settle(known, workers[0].post(posting_of(known.intent, None))[known.intent.hold_id], 0)
    workers[0].store.loses_reply = store_prefix(PLATFORM)
    assert workers[0].hold(tokens[0], 8) is None
    assert workers[1].hold(tokens[1], 8) is None, "unknown counts as held"
    workers[0].catch_up()
    assert held_anywhere(house, counters) == 0
    assert workers[1].hold(tokens[1], 8) is not None


def test_both_halves_of_a_hold_that_never_became_an_intent_are_swept(
    house: House, workers: list[Worker], tokens: tuple[str, str], counters: StoreView
) -> None:
    limit(max_budget_nano=8 * PER_TOKEN)
    slow = workers[0].hold_slowly(tokens[1], 8)
    assert slow is not None
    for key in counters.raw.scan_iter(f"{store_prefix(slow.intent.owners.organization_id)}:*"):
        counters.raw.delete(key)
    sweep(now=LATER)
    assert held_anywhere(house, counters) == 0
    again = slow.worker.resume(slow)
    assert again is not None, "there is room, under another id"
    assert again.intent.hold_id != slow.intent.hold_id
    row = Hold.objects.get(pk=slow.intent.hold_id)
    assert (row.state, row.organization_id) == (Hold.State.VOID, slow.intent.owners.organization_id)


@pytest.mark.parametrize("lost", ["platform", "organization"])
def test_a_hold_from_before_half_the_store_was_lost_becomes_no_intent(
    house: House, workers: list[Worker], tokens: tuple[str, str], counters: StoreView, lost: str
) -> None:
    limit(max_budget_nano=8 * PER_TOKEN)
    slow = workers[0].hold_slowly(tokens[0], 8)
    assert slow is not None
    prefix = store_prefix(PLATFORM if lost == "platform" else slow.intent.owners.organization_id)
    for key in counters.raw.scan_iter(f"{prefix}:*"):
        counters.raw.delete(key)
    other = workers[1].hold(tokens[0], 8)
    late = workers[0].resume(slow)
    assert [other is not None, late is not None].count(True) == 1
    assert Hold.objects.filter(state=Hold.State.PENDING).count() == 1


@pytest.mark.parametrize("heard", [True, False])
def test_a_hold_from_before_the_ceiling_becomes_no_intent_after_it(
    house: House, workers: list[Worker], tokens: tuple[str, str], heard: bool
) -> None:
    """It held nothing there, and the ceiling's counter may have been read without it."""
    slow = workers[0].hold_slowly(tokens[0], 8)
    assert slow is not None
    limit(max_budget_nano=8 * PER_TOKEN, heard=heard)
    workers[1].follow_changes()
    assert workers[1].hold(tokens[1], 8) is not None
    assert workers[0].resume(slow) is None
    assert Hold.objects.filter(state=Hold.State.PENDING).count() == 1


@pytest.mark.parametrize("heard", [True, False])
def test_fast_calls_in_flight_in_every_organization_count_under_a_new_ceiling(
    house: House, fast_workers: list[Worker], tokens: tuple[str, str], heard: bool
) -> None:
    """Nothing but the records of their organizations knows of them."""
    calls = [fast_workers[0].hold(token, 8) for token in tokens]
    assert all(calls) and not Hold.objects.exists()
    limit(max_budget_nano=20 * PER_TOKEN, heard=heard)
    fast_workers[1].follow_changes()
    assert fast_workers[1].hold(tokens[1], 5) is None
    assert fast_workers[1].hold(tokens[0], 4) is not None
    assert Hold.objects.count() == 3


def test_fast_calls_under_a_ceiling_of_the_platform_are_rows_before_they_are_sent(
    house: House, fast_workers: list[Worker], tokens: tuple[str, str], counters: StoreView
) -> None:
    limit(rpm_limit=100)
    assert fast_workers[0].hold(tokens[0], 1)
    assert not Hold.objects.exists(), "a rate alone needs no row"
    limit(max_budget_nano=16 * PER_TOKEN)
    held = fast_workers[0].hold(tokens[0], 8)
    assert held is not None
    assert Hold.objects.get(pk=held.intent.hold_id).platform_epoch == held.intent.platform_epoch
    counters.raw.flushall()
    assert fast_workers[1].hold(tokens[1], 8) is None, "even the loss of the store forgets nothing"


def test_a_fast_call_under_a_rate_of_the_platform_is_charged_though_its_half_there_goes_first(
    house: House, fast_workers: list[Worker], tokens: tuple[str, str], counters: StoreView
) -> None:
    limit(rpm_limit=100)
    held = fast_workers[0].hold(tokens[0], 8)
    assert held is not None
    own = f"{held.prefix}:{held.intent.epoch}:holds"
    counters.raw.zadd(own, {held.intent.hold_id: LATER.timestamp() * 1000 + 1000})
    sweep(now=LATER)
    assert counters.open_holds() == 0
    sweep(now=LATER + timedelta(seconds=10))
    assert LedgerEntry.objects.get().amount_nano == 8 * PER_TOKEN


def test_a_call_that_began_before_the_ceiling_is_settled_there_when_it_ends(
    house: House, workers: list[Worker], tokens: tuple[str, str], counters: StoreView
) -> None:
    early = workers[0].hold(tokens[0], 8)
    assert early is not None
    limit(max_budget_nano=16 * PER_TOKEN)
    assert workers[0].hold(tokens[1], 4) is not None
    workers[0].settle(early, workers[0].post(posting_of(early.intent, PER_TOKEN))[early.intent.hold_id], 1)
    assert counters.open_holds() == 1
    assert drift.mend(now=START, pause=lambda _: None) == 0
    assert workers[1].hold(tokens[1], 8) is not None


def test_a_worker_that_never_met_the_ceiling_settles_its_calls_there_too(
    house: House, workers: list[Worker], tokens: tuple[str, str], counters: StoreView
) -> None:
    held = workers[1].hold(tokens[0], 5)
    assert held is not None
    limit(max_budget_nano=20 * PER_TOKEN)
    assert workers[0].hold(tokens[1], 5) is not None
    workers[1].settle(held, workers[1].post(posting_of(held.intent, 9 * PER_TOKEN))[held.intent.hold_id], 9)
    assert workers[0].hold(tokens[1], 7) is None, "9 of 20 tokens were spent, 5 are held"
    assert workers[0].hold(tokens[1], 6) is not None


def test_rates_and_slots_of_the_platform_hold_for_all_keys_together(
    house: House, workers: list[Worker], tokens: tuple[str, str], counters: StoreView
) -> None:
    limit(rpm_limit=3, max_parallel_requests=2)
    calls = [workers[i].hold(tokens[i], 1) for i in (0, 1)]
    assert workers[0].hold(tokens[0], 1) is None
    refusal = workers[0].refusal
    assert isinstance(refusal, GatewayError)
    assert refusal.headers["rate_limit_type"] == "max_parallel_requests"
    assert "proxy: all keys together" in refusal.message
    assert held_anywhere(house, counters) == 2 * PER_TOKEN, "only those under budgets, and only what is admitted"
    assert calls[0] is not None and calls[1] is not None
    workers[0].settle(calls[0], 0, 0)
    assert workers[1].hold(tokens[1], 1) is not None
    workers[1].settle(calls[1], 0, 0)
    assert workers[0].hold(tokens[0], 1) is None
    assert isinstance(workers[0].refusal, GatewayError)
    assert workers[0].refusal.headers["rate_limit_type"] == "requests"


def test_a_correction_counts_on_the_platform_too(house: House, workers: list[Worker], tokens: tuple[str, str]) -> None:
    limit(max_budget_nano=16 * PER_TOKEN)
    held = workers[0].hold(tokens[0], 8)
    assert held is not None
    workers[0].settle(held, workers[0].post(posting_of(held.intent, 8 * PER_TOKEN))[held.intent.hold_id], 8)
    with TestCase.captureOnCommitCallbacks(execute=True):
        services.correct(LedgerEntry.objects.get(), -4 * PER_TOKEN, reason="reconciled", actor=MASTER, now=START)
    assert workers[1].hold(tokens[1], 13) is None
    assert workers[1].hold(tokens[1], 8) is not None


def test_budgets_per_model_windows_and_soft_ones_are_kept_for_everybody(
    house: House, workers: list[Worker], tokens: tuple[str, str]
) -> None:
    limit(
        soft_budget_nano=4 * PER_TOKEN,
        budget_limits=[{"duration": "rolling 1h", "max_nano": 20 * PER_TOKEN}],
        model_limits={"house": {"max_nano": 10 * PER_TOKEN, "duration": "1d"}, "other": {"max_nano": 0}},
    )
    held = workers[0].hold(tokens[0], 8)
    assert held is not None
    assert workers[1].hold(tokens[1], 3) is None
    lines = workers[0].run(workers[0].releases.settle([(held, 5 * PER_TOKEN, 5)]))
    assert [line.policy.scope for line in lines if line.policy.scope == PLATFORM_SCOPE] == [PLATFORM_SCOPE]
    assert not Crossing.objects.exists(), "noted by the settlement, not here"


def test_drift_of_the_platform_is_mended(
    house: House, workers: list[Worker], tokens: tuple[str, str], counters: StoreView
) -> None:
    limit(max_budget_nano=16 * PER_TOKEN)
    assert workers[0].hold(tokens[0], 8) is not None
    counters.raw.hincrby(f"{store_prefix(PLATFORM)}:{counters.epoch}:w:{counters.names()[0]}", "h", -8 * PER_TOKEN)
    with TestCase.captureOnCommitCallbacks(execute=True):
        assert drift.mend(now=START, pause=lambda _: None) == 1
    assert workers[1].hold(tokens[1], 9) is None
    assert workers[1].hold(tokens[1], 8) is not None


@pytest.mark.parametrize("judge", ["deny", "pg_exact", "allowance"])
def test_nobody_else_judges_the_ceiling_while_the_store_is_away(
    house: House, server: Server, loop: asyncio.AbstractEventLoop, tokens: tuple[str, str], judge: str
) -> None:
    policy = OutagePolicy(judge, 0.0, 10**12)
    config = GatewayConfig("", "", lease_seconds=LEASE, outage=policy)
    cut_off, other = (Worker(server, config, lambda: START, loop) for _ in range(2))
    limit(max_budget_nano=16 * PER_TOKEN)
    assert cut_off.hold(tokens[1], 1) is not None
    cut_off.store.gone = True
    assert cut_off.hold(tokens[1], 1) is None
    assert isinstance(cut_off.refusal, StoreUnavailable)
    cut_off.store.gone = False
    assert cut_off.hold(tokens[1], 8) is not None
    assert other.hold(tokens[0], 8) is None


def test_an_organization_that_sql_judges_when_the_ceiling_comes_is_judged_by_the_store_again(
    house: House, server: Server, loop: asyncio.AbstractEventLoop, tokens: tuple[str, str]
) -> None:
    now = [START]
    config = GatewayConfig("", "", lease_seconds=LEASE, outage=OutagePolicy("pg_exact", 0.0, 0))
    cut_off = Worker(server, config, lambda: now[0], loop)
    cut_off.store.gone = True
    early = cut_off.hold(tokens[0], 8)
    assert early is not None and early.intent.degraded
    limit(max_budget_nano=16 * PER_TOKEN)
    cut_off.follow_changes()
    assert cut_off.hold(tokens[0], 1) is None
    cut_off.store.gone = False
    now[0] += timedelta(seconds=10)
    assert cut_off.hold(tokens[0], 8) is not None
    assert cut_off.hold(tokens[0], 1) is None, "what SQL let through counts"


@pytest.mark.parametrize("judge", ["pg_exact", "allowance"])
def test_a_call_that_is_not_sent_as_the_platforms_epoch_is_unknown_costs_nothing(
    house: House, server: Server, loop: asyncio.AbstractEventLoop, tokens: tuple[str, str], judge: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The database is lost just after it took the intent."""
    config = GatewayConfig("", "", lease_seconds=LEASE, outage=OutagePolicy(judge, 0.0, 10**12))
    cut_off, epoch_of = Worker(server, config, lambda: START, loop), Epochs.current

    async def current(epochs: Epochs, organization: int) -> int:
        if organization == PLATFORM:
            raise BooksUnavailable("the database is away", never=True)
        return await epoch_of(epochs, organization)

    limit(soft_budget_nano=16 * PER_TOKEN)
    cut_off.store.gone = True
    monkeypatch.setattr(Epochs, "current", current)
    assert cut_off.hold(tokens[0], 8) is None
    assert [hold.state for hold in Hold.objects.all()] == [Hold.State.VOID]
    assert not LedgerEntry.objects.exists()


def test_lifting_the_ceiling_lets_everybody_go_on(house: House, workers: list[Worker], tokens: tuple[str, str]) -> None:
    limit(max_budget_nano=0)
    assert workers[0].hold(tokens[0], 1) is None
    limit(max_budget_nano=None)
    held = workers[0].hold(tokens[0], 1)
    assert held is not None
    assert held.platform is None
    change(house.scopes[0], heard=True, now=START, max_budget_nano=None)
    assert workers[0].hold(tokens[0], 1) is not None
