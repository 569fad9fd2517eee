"""Budgets while workers do not reach the counter store, with real scripts, services and a real store."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy import drift
from proxy.runtime.config import GatewayConfig, OutagePolicy
from proxy.runtime.counters import StoreUnavailable
from proxy.runtime.errors import GatewayError
from proxy.runtime.held import Held
from proxy.sweeper import sweep
from spend import services, sql_holds
from spend.models import Hold, LedgerEntry
from spend.wire import ORPHAN, CounterRef, SqlHold
from teams.models import Organization
from teams.windows import window_at
from tests.factories import posting_of
from tests.protocol.books_and_store import StoreView
from tests.protocol.house import LEASE, PER_TOKEN, START, House, change
from tests.protocol.worker import Server, Worker

pytestmark = pytest.mark.django_db

EXACT = OutagePolicy(budgets_without_store="pg_exact")


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def policy() -> OutagePolicy:
    return EXACT


@pytest.fixture
def workers(
    house: House, server: Server, clock: Clock, loop: asyncio.AbstractEventLoop, policy: OutagePolicy
) -> list[Worker]:
    config = GatewayConfig("", "", lease_seconds=LEASE, outage=policy)
    return [Worker(server, config, clock, loop) for _ in range(2)]


@pytest.fixture
def counters(house: House) -> Iterator[StoreView]:
    view = StoreView(house.scopes[0].pk)
    yield view
    view.close()


def fill(worker: Worker, token: str) -> int:
    """Calls of one token each until the key's budget is full."""
    count = 0
    while worker.hold(token, 1) is not None:
        count += 1
    return count


def test_sql_admits_what_the_store_left_of_a_budget_and_nothing_more(house: House, workers: list[Worker]) -> None:
    token = house.tokens[0]
    assert workers[0].hold(token, 8)
    workers[0].store.gone = True
    assert fill(workers[0], token) == 8
    assert Hold.objects.filter(degraded=True).count() == 8


def test_the_store_knows_afterwards_what_sql_admitted(
    house: House, workers: list[Worker], clock: Clock, counters: StoreView
) -> None:
    token = house.tokens[0]
    workers[0].store.gone = True
    held = workers[0].hold(token, 8)
    assert held is not None
    workers[0].store.gone = False
    clock.now += timedelta(seconds=10)
    assert fill(workers[1], token) == 8
    assert not counters.judged_in_sql
    workers[0].settle(held, workers[0].post(posting_of(held.intent, 3 * PER_TOKEN))[held.intent.hold_id], 3)
    assert fill(workers[1], token) == 5
    assert drift.mend(now=clock.now, pause=lambda _: None) == 0


def test_a_worker_that_still_reaches_the_store_cannot_spend_a_budget_twice(house: House, workers: list[Worker]) -> None:
    token = house.tokens[0]
    slow = workers[1].hold_slowly(token, 8)
    assert slow is not None
    workers[0].store.gone = True
    assert fill(workers[0], token) == 16
    assert slow.worker.resume(slow) is None
    assert workers[1].hold(token, 1) is None
    assert Hold.objects.count() == 16


def test_sql_goes_on_as_long_as_somebody_does_not_reach_the_store(
    house: House, workers: list[Worker], clock: Clock, counters: StoreView
) -> None:
    token = house.tokens[-1]
    workers[0].store.gone = True
    for _ in range(5):
        assert workers[0].hold(token, 1)
        assert workers[1].hold(token, 1)
        assert counters.judged_in_sql
        clock.now += timedelta(seconds=2)


def test_an_intent_that_the_store_judged_in_an_epoch_of_sql_is_refused(house: House, workers: list[Worker]) -> None:
    """A change of policy publishes the newest epoch while SQL judges: an intent names who judged it as well."""
    held = workers[0].hold(house.tokens[0], 1)
    organization = house.scopes[0]
    assert held is not None and isinstance(organization, Organization)
    authority = sql_holds.take_over(organization.pk, until=START)
    change(house.scopes[2], heard=True, now=START, budget_limits=[{"duration": "1h", "max_nano": 12 * PER_TOKEN}])
    by_store = replace(held.intent, hold_id="by-store", epoch=authority.epoch + 1)
    by_nobody = replace(by_store, hold_id="by-nobody", degraded=True)
    assert services.write_intents([by_store, by_nobody]) == [False, True]


def test_an_absence_of_a_moment_is_no_reason_to_change_the_judge(
    house: House, workers: list[Worker], counters: StoreView, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers[0].store.gone = True
    monkeypatch.setattr(workers[0].store, "away_for", lambda: 0.5)
    assert workers[0].hold(house.tokens[0], 1) is None
    assert not counters.judged_in_sql


@pytest.mark.parametrize("policy", [OutagePolicy()])
def test_hard_budgets_are_refused_where_policy_says_so(
    house: House, workers: list[Worker], counters: StoreView
) -> None:
    workers[0].store.gone = True
    assert workers[0].hold(house.tokens[0], 1) is None
    assert not Hold.objects.exists() and not counters.judged_in_sql


@pytest.mark.parametrize("policy", [OutagePolicy(budgets_without_store="allowance", allowance_nano=5 * PER_TOKEN)])
def test_an_allowance_is_spent_once_per_worker_and_outage(
    house: House, workers: list[Worker], counters: StoreView
) -> None:
    token = house.tokens[0]
    for worker in workers:
        worker.store.gone = True
    assert [fill(worker, token) for worker in workers] == [5, 5]
    assert [len(worker.store.later) for worker in workers] == [1, 1], "one thing to do, however many calls there were"
    workers[0].store.outages += 1
    assert fill(workers[0], token) == 5
    assert set(Hold.objects.values_list("degraded", flat=True)) == {True}


@pytest.mark.parametrize("policy", [OutagePolicy(budgets_without_store="allowance", allowance_nano=5 * PER_TOKEN)])
def test_what_an_allowance_let_through_counts_when_the_store_is_back(house: House, workers: list[Worker]) -> None:
    token = house.tokens[0]
    assert workers[0].hold(token, 8)
    workers[0].store.gone = True
    assert fill(workers[0], token) == 5
    workers[0].store.gone = False
    workers[0].catch_up()
    assert fill(workers[1], token) == 3
    assert not LedgerEntry.objects.exists()


def test_calls_of_one_batch_are_judged_one_after_the_other(house: House, workers: list[Worker]) -> None:
    held = workers[0].hold(house.tokens[0], 1)
    assert held is not None
    organization = house.scopes[0]
    assert isinstance(organization, Organization)
    authority = sql_holds.take_over(organization.pk, until=START)
    window = CounterRef(house.scopes[2].scope, "", window_at("", START, zone=UTC, anchor=START))
    intents = [replace(held.intent, hold_id=f"hold-{i}", epoch=authority.epoch, amount_nano=10) for i in range(4)]
    wanted = [SqlHold(intent, ((0, window, PER_TOKEN + 25),)) for intent in intents]
    full = ["DENY", "0", "0", str(PER_TOKEN + 20)]
    assert sql_holds.hold(wanted) == [["OK"], ["OK"], full, full]
    shared = [SqlHold(intents[3], ((0, window, PER_TOKEN + 30),), least_nano=1, peers=20)]
    assert sql_holds.hold(shared) == [["SHARE", *full[1:]]]
    stale = [SqlHold(replace(intents[3], epoch=authority.epoch - 1), ((0, window, PER_TOKEN + 100),))]
    assert sql_holds.hold(stale) == [["EPOCH"]]


@pytest.fixture
def spooling_workers(workers: list[Worker]) -> Iterator[list[Worker]]:
    """The first one is about to lose the database; both know the key and have read its counters."""
    for worker in workers:
        worker.run(_start(worker))
    yield workers
    for worker in workers:
        worker.run(worker.spooling.stop())


async def _start(worker: Worker) -> None:
    worker.spooling.start()


class TestSpool:
    """The database is away for one worker, which goes on by the counters and its disk."""

    @pytest.fixture
    def policy(self, tmp_path: Path) -> OutagePolicy:
        return OutagePolicy(budgets_without_database="spool", spool_folder=str(tmp_path / "spool"))

    @pytest.fixture
    def token(self, house: House, spooling_workers: list[Worker]) -> str:
        token = house.tokens[0]
        for worker in spooling_workers:
            assert worker.hold(token, 1)
        return token

    def spooled(self, worker: Worker, token: str, cost: int | None = None) -> Held:
        """A call of eight tokens without the database; its cost, if it is known, is spooled as well."""
        worker.journal.available = False
        held = worker.hold(token, 8)
        assert held is not None and not held.intent.written
        if cost is not None:
            worker.spool(held, posting_of(held.intent, cost * PER_TOKEN))
        worker.journal.available = True
        return held

    def bring(self, worker: Worker) -> None:
        assert worker.run(worker.spooling.bring())

    def test_a_spooled_call_counts_for_everybody_and_is_brought_to_the_ledger(
        self, spooling_workers: list[Worker], token: str, clock: Clock
    ) -> None:
        first, second = spooling_workers
        self.spooled(first, token, cost=3)
        assert fill(second, token) == 16 - 2 - 3
        assert not LedgerEntry.objects.exists()
        self.bring(first)
        entry = LedgerEntry.objects.get()
        assert (entry.amount_nano, entry.degraded) == (3 * PER_TOKEN, True)
        assert second.hold(token, 1) is None
        assert drift.mend(now=clock.now, pause=lambda _: None) == 0

    def test_a_call_whose_outcome_nobody_knows_is_charged_as_held(
        self, spooling_workers: list[Worker], token: str, clock: Clock
    ) -> None:
        """Its worker was killed; another one finds the file."""
        first, second = spooling_workers
        held = self.spooled(first, token)
        first.run(first.spooling.stop())
        self.bring(second)
        assert Hold.objects.get(pk=held.intent.hold_id).state == Hold.State.PENDING
        clock.now = held.intent.lease_until + timedelta(seconds=1)
        sweep(now=clock.now)
        entry = LedgerEntry.objects.get(hold=held.intent.hold_id)
        assert (entry.amount_nano, entry.usage_source) == (8 * PER_TOKEN, ORPHAN)

    def test_counters_that_were_read_without_a_spooled_call_are_read_again(
        self, spooling_workers: list[Worker], token: str, server: Server
    ) -> None:
        """The store lost everything meanwhile, so for a while nobody but the disk knew of the call."""
        first, second = spooling_workers
        self.spooled(first, token, cost=3)
        server.client.flushall()
        assert second.hold(token, 1)
        self.bring(first)
        second.follow_changes()
        assert fill(second, token) == 16 - 3 - 3

    def test_a_sweeper_that_comes_first_charges_what_the_call_cost_and_once(
        self, spooling_workers: list[Worker], token: str, clock: Clock
    ) -> None:
        """The store knows what is on the disk, in case that is lost."""
        first, _ = spooling_workers
        held = self.spooled(first, token, cost=3)
        clock.now = held.intent.lease_until + timedelta(seconds=1)
        sweep(now=clock.now)
        self.bring(first)
        assert LedgerEntry.objects.get(hold=held.intent.hold_id).amount_nano == 3 * PER_TOKEN

    def test_a_sweeper_that_comes_in_between_takes_no_spooled_call_for_one_that_was_never_sent(
        self, spooling_workers: list[Worker], token: str, clock: Clock
    ) -> None:
        first, _ = spooling_workers
        held = self.spooled(first, token)
        clock.now += timedelta(seconds=LEASE + 1)
        sweep(now=clock.now)
        assert not Hold.objects.filter(pk=held.intent.hold_id).exists()
        first.post(posting_of(held.intent, 5 * PER_TOKEN))
        self.bring(first)
        assert LedgerEntry.objects.get(hold=held.intent.hold_id).amount_nano == 5 * PER_TOKEN

    @pytest.mark.parametrize("cost", [0, None])
    def test_a_spooled_call_that_cost_nothing_leaves_nothing_behind(
        self, spooling_workers: list[Worker], token: str, counters: StoreView, clock: Clock, cost: int | None
    ) -> None:
        """Free after all, or never sent."""
        first, second = spooling_workers
        held = self.spooled(first, token)
        first.journal.available = False
        first.spool(held, posting_of(held.intent, cost))
        first.journal.available = True
        self.bring(first)
        assert counters.open_holds() == 2
        assert fill(second, token) == 14
        assert LedgerEntry.objects.count() == (0 if cost is None else 1)
        assert drift.mend(now=clock.now, pause=lambda _: None) == 0

    def never_sent(self, worker: Worker, token: str) -> Held:
        """A call of eight tokens that SQL wrote down without saying so: it was given up, and its end is spooled."""
        held = worker.hold(token, 8)
        assert held is not None and held.intent.written
        worker.spool(held, posting_of(held.intent, None))
        return held

    def test_a_call_that_was_given_up_costs_nothing_though_the_sweeper_comes_before_the_spool(
        self, spooling_workers: list[Worker], token: str, clock: Clock
    ) -> None:
        first, second = spooling_workers
        held = self.never_sent(first, token)
        clock.now += timedelta(seconds=LEASE + 1)
        sweep(now=clock.now)
        self.bring(first)
        assert Hold.objects.get(pk=held.intent.hold_id).state == Hold.State.VOID
        assert not LedgerEntry.objects.filter(hold=held.intent.hold_id).exists()
        # The two calls before were never posted, and are charged as held.
        assert fill(second, token) == 16 - 2

    def test_a_call_whose_spool_is_lost_counts_as_what_it_was_charged(
        self, spooling_workers: list[Worker], token: str, clock: Clock
    ) -> None:
        first, second = spooling_workers
        held = self.never_sent(first, token)
        clock.now += first.spooling.window + timedelta(seconds=LEASE + 1)
        sweep(now=clock.now)
        assert LedgerEntry.objects.get(hold=held.intent.hold_id).amount_nano == 8 * PER_TOKEN
        second.follow_changes()
        assert fill(second, token) == 16 - 2 - 8


class TestALeaseThatSqlDidNotHearOf:
    def test_a_call_that_its_worker_renews_in_the_store_is_no_orphan(
        self, workers: list[Worker], house: House, clock: Clock
    ) -> None:
        worker = workers[0]
        held = worker.hold(house.tokens[0], 1)
        assert held is not None
        until = clock.now + timedelta(seconds=3 * LEASE)
        worker.run(worker.releases.renew([held], until))
        clock.now += timedelta(seconds=2 * LEASE)
        sweep(now=clock.now)
        row = Hold.objects.get(pk=held.intent.hold_id)
        assert (row.state, row.lease_until) == (Hold.State.PENDING, until)
        clock.now = until + timedelta(seconds=1)
        sweep(now=clock.now)
        assert LedgerEntry.objects.get(hold=held.intent.hold_id).usage_source == ORPHAN


@pytest.mark.parametrize(
    ("limit", "refusal"),
    [(1, StoreUnavailable), (0, GatewayError)],
    ids=["a share of one is no fault of the caller's", "none is none"],
)
@pytest.mark.parametrize("name", ["max_parallel_requests", "rpm_limit", "tpm_limit"])
def test_a_share_without_room_for_a_single_call_waits_for_the_store(
    house: House, server: Server, clock: Clock, loop: asyncio.AbstractEventLoop,
    name: str, limit: int, refusal: type[Exception],
) -> None:  # fmt: skip
    worker = Worker(server, GatewayConfig("", "", lease_seconds=LEASE, outage=EXACT, workers=2), clock, loop)
    change(house.scopes[-1], heard=True, now=START, **{name: limit})
    worker.store.gone = True
    assert worker.hold(house.tokens[2], 1) is None
    assert isinstance(worker.refusal, refusal)


def test_without_the_store_each_worker_keeps_its_share_of_the_parallel_requests(
    house: House, server: Server, clock: Clock, loop: asyncio.AbstractEventLoop
) -> None:
    config = GatewayConfig("", "", lease_seconds=LEASE, outage=EXACT, workers=2)
    worker = Worker(server, config, clock, loop)
    token = house.tokens[2]
    change(house.scopes[-1], heard=True, now=START, max_parallel_requests=5)
    before = worker.hold(token, 1)
    assert before is not None
    worker.releases.began(before)
    worker.store.gone = True
    during = worker.hold(token, 1)
    assert during is not None and during.intent.degraded
    assert worker.hold(token, 1) is None, "two of five, for two workers"
    assert isinstance(worker.refusal, GatewayError) and worker.refusal.type == "rate_limit_error"
    assert "max_parallel_requests. Current limit: 5, Remaining: 0" in worker.refusal.message
    worker.releases.ended(before)
    worker.releases.ended(before)
    assert worker.hold(token, 1) is not None
    assert worker.hold(token, 1) is None
