"""The real scripts, services and sweeper under every order of calls, crashes, losses and changes of policy.

Hypothesis drives two workers that share a counter store and a ledger, compares the counters with the ledger after
each step, and once everything has come to rest asks for all five promises of the protocol model.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.test import TestCase
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    consumes,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from proxy.runtime.config import OutagePolicy
from spend import services
from spend.models import LedgerEntry
from spend.pricing import Usage
from spend.wire import UPSTREAM, Posting
from teams.actors import MASTER
from teams.scopes import PLATFORM, store_prefix
from tests.profiles import real
from tests.protocol.books_and_store import Extra
from tests.protocol.house import LEASE, MOST_TOKENS, PER_TOKEN, House
from tests.protocol.machine import Machine, Sent
from tests.protocol.worker import Slow

pytestmark = pytest.mark.django_db

workers = st.integers(0, 1)
which = st.integers(0, 10**6)
heard = st.booleans()
"""Whether the counter store hears of a change at once, or its announcement is lost."""
caps = st.one_of(st.none(), st.integers(1, MOST_TOKENS))
costs = st.one_of(st.none(), st.integers(0, 2 * MOST_TOKENS * PER_TOKEN))
budgets = st.integers(0, 4 * MOST_TOKENS).map(lambda tokens: tokens * PER_TOKEN)
durations = st.sampled_from(["", "1h", "1d", "1mo", "rolling 6h"])


class Protocol(Machine):
    slow_calls, open_calls, posted_calls = Bundle("slow calls"), Bundle("open calls"), Bundle("posted calls")

    # Calls

    @rule(target=open_calls, worker=workers, key=which, cap=caps)
    def call(self, worker: int, key: int, cap: int | None) -> Any:
        """Hold and intent, one right after the other."""
        held = self.workers[worker].hold(self._token(key), cap)
        if held is None:
            return multiple()
        self._check_admission(held)
        return self._sent(self.workers[worker], held)

    @rule(target=open_calls, worker=workers, key=which, cap=caps)
    def call_until_refused(self, worker: int, key: int, cap: int | None) -> Any:
        calls: list[Sent] = []
        while len(calls) < 6 and (held := self.workers[worker].hold(self._token(key), cap)) is not None:
            self._check_admission(held)
            calls.append(self._sent(self.workers[worker], held))
        return multiple(*calls)

    @precondition(lambda self: self.durability == "strict")
    @rule(target=slow_calls, worker=workers, key=which, cap=caps)
    def call_slowly(self, worker: int, key: int, cap: int | None) -> Any:
        """A hold whose intent is not written yet."""
        slow = self.workers[worker].hold_slowly(self._token(key), cap)
        if slow is None:
            return multiple()
        self.slow.append(slow)
        self.unsettled[slow.intent.hold_id] = Extra.of(slow.intent, slow.intent.lease_until)
        return slow

    @rule(target=open_calls, slow=consumes(slow_calls))
    def write_intent_late(self, slow: Slow) -> Any:
        held = slow.worker.resume(slow)
        self.unsettled.pop(slow.intent.hold_id, None)
        return multiple() if held is None else self._sent(slow.worker, held)

    @rule(slow=consumes(slow_calls))
    def die_before_the_intent(self, slow: Slow) -> None:
        slow.worker.bury(slow)

    @rule(call=consumes(open_calls))
    def die_after_the_intent(self, call: Sent) -> None:
        """Nobody posts this call; the sweeper will charge it."""

    @precondition(lambda self: self.durability == "strict")
    @rule(worker=workers, key=which, cap=caps, written=st.sampled_from(["before", "after"]))
    def lose_the_answer_to_an_intent(self, worker: int, key: int, cap: int | None, written: str) -> None:
        self.workers[worker].journal.forgets = written
        held = self.workers[worker].hold(self._token(key), cap)
        self.workers[worker].journal.forgets = ""
        assert held is None

    @rule(worker=workers, key=which, cap=caps)
    def lose_the_answer_to_a_hold(self, worker: int, key: int, cap: int | None) -> None:
        """The call is refused, and whatever was held is taken back once the store answers again."""
        chosen = self.workers[worker]
        if self.store.judged_in_sql or chosen.store.gone:
            return
        chosen.store.loses_reply = ""
        held = chosen.hold(self._token(key), cap)
        chosen.store.loses_reply = None
        assert held is None
        self._allow_unheard()

    @rule(worker=workers)
    def answer_again(self, worker: int) -> None:
        self.workers[worker].catch_up()

    @rule(target=posted_calls, call=consumes(open_calls), cost=costs, settled=st.booleans())
    def post(self, call: Sent, cost: int | None, settled: bool) -> Sent:
        """The answer came: less, as much or more than was held, or nothing was bought."""
        intent = call.held.intent
        call.posting = Posting(intent, cost, 0, Usage(output=3), UPSTREAM, "", self.now, None)
        stands = call.worker.post(call.posting)[call.hold_id]
        charge = LedgerEntry.objects.filter(hold=call.hold_id, kind=LedgerEntry.Kind.CHARGE).first()
        if charge is not None:
            # What the loss of the store caught in flight may have been spent a second time.
            self._allow_beyond(charge, max(0, charge.amount_nano - (0 if call.exposed else intent.amount_nano)))
        if not settled or not call.worker.settle(call.held, stands, 3):
            self.unsettled[call.hold_id] = Extra.of(intent, call.lease_until, stands)
        return call

    @rule(call=posted_calls)
    def redeliver(self, call: Sent) -> None:
        """Posting and settlement arrive thrice more, together and apart."""
        assert call.posting is not None
        costs = {call.worker.post(*[call.posting] * times)[call.hold_id] for times in (1, 2)}
        assert len(costs) == 1
        told = [call.worker.settle(call.held, next(iter(costs)), 3) for _ in range(3)]
        if all(told):
            self.unsettled.pop(call.hold_id, None)

    @rule(call=open_calls)
    def keep_alive(self, call: Sent) -> None:
        until = self.now + timedelta(seconds=LEASE)
        services.renew_leases([call.hold_id], until=until)
        if call.worker.store.gone:
            return
        call.worker.run(call.worker.releases.renew([call.held], until))
        call.lease_until = max(call.lease_until, until)

    # Time and the sweeper

    @rule(passed=st.sampled_from([1, 20, 61, 1200, 3600, 6 * 3600, 86400]))
    def pass_time(self, passed: int) -> None:
        self.now += timedelta(seconds=passed)

    @rule()
    def sweep(self) -> None:
        self.sweep_now()

    # The counter store

    @rule(replaced=st.booleans())
    def lose_the_store(self, replaced: bool) -> None:
        self._expose()
        self.server.client.flushall()
        if replaced:
            self._replace_server()

    @rule(number=which)
    def lose_one_counter(self, number: int) -> None:
        names = [(view, name) for view in self.views for name in view.names()]
        if names:
            view, name = names[number % len(names)]
            view.delete(name)

    @rule()
    def copy_the_store(self) -> None:
        self.copy = self.store.copy()

    @precondition(lambda self: self.copy is not None)
    @rule()
    def bring_back_the_copy(self) -> None:
        assert self.copy is not None
        self._expose()
        self.store.put_back(self.copy)
        self._replace_server()

    @rule(worker=workers)
    def restart(self, worker: int) -> None:
        self.workers[worker] = self._worker()

    # Policy

    @rule(scope=which, nano=budgets, heard=heard)
    def set_budget(self, scope: int, nano: int, heard: bool) -> None:
        self._change(scope, heard, max_budget_nano=nano)

    @rule(scope=which, duration=durations, heard=heard)
    def set_duration(self, scope: int, duration: str, heard: bool) -> None:
        self._change(scope, heard, budget_duration=duration)

    @rule(scope=which, duration=durations.filter(bool), nano=budgets, heard=heard)
    def add_window(self, scope: int, duration: str, nano: int, heard: bool) -> None:
        self._change(scope, heard, budget_limits=[{"duration": duration, "max_nano": nano}])

    @rule(zone=st.sampled_from(["Europe/Berlin", "UTC", "Asia/Kathmandu"]), heard=heard)
    def move_the_organization(self, zone: str, heard: bool) -> None:
        self._change(0, heard, timezone=zone)

    @rule(worker=workers)
    def follow_changes(self, worker: int) -> None:
        self.workers[worker].follow_changes()

    @precondition(lambda self: LedgerEntry.objects.exists())
    @rule(number=which, nano=st.integers(-MOST_TOKENS * PER_TOKEN, MOST_TOKENS * PER_TOKEN), heard=heard)
    def correct(self, number: int, nano: int, heard: bool) -> None:
        entries = list(LedgerEntry.objects.order_by("pk"))
        entry = entries[number % len(entries)]
        with TestCase.captureOnCommitCallbacks(execute=heard):
            services.correct(entry, nano, reason="reconciled", actor=MASTER, now=self.now)
        self._allow_beyond(entry, max(0, nano))


def test_the_protocol_keeps_its_promises_whatever_comes_in_between(db: None) -> None:
    Protocol.house = House.furnished()
    run_state_machine_as_test(Protocol, settings=real(examples=25, soak=1500, stateful_step_count=30))


class FastProtocol(Protocol):
    durability = "fast"


def test_fast_misses_nothing_but_what_is_in_flight_when_the_store_is_lost(db: None) -> None:
    FastProtocol.house = House.furnished()
    run_state_machine_as_test(FastProtocol, settings=real(examples=15, soak=1000, stateful_step_count=30))


class SqlProtocol(Protocol):
    """Workers lose the store for a while, each for itself, and SQL judges in its place."""

    outage = OutagePolicy(budgets_without_store="pg_exact")

    @rule(worker=workers, gone=st.booleans())
    def reach_the_store(self, worker: int, gone: bool) -> None:
        chosen = self.workers[worker]
        chosen.store.gone = gone
        if not gone:
            chosen.catch_up()


def test_two_judges_who_take_turns_keep_every_promise(db: None) -> None:
    SqlProtocol.house = House.furnished()
    run_state_machine_as_test(SqlProtocol, settings=real(examples=25, soak=1500, stateful_step_count=30))


class PlatformProtocol(Protocol):
    """Two organizations under one ceiling: each call is held twice, and each part of the store may be lost alone."""

    @rule(number=which)
    def lose_a_part_of_the_store(self, number: int) -> None:
        self._expose()
        self.views[number % len(self.views)].lose()

    @rule(target=Protocol.open_calls, worker=workers, keys=st.tuples(which, which), cap=caps, number=which)
    def lose_a_part_between_hold_and_intent(
        self, worker: int, keys: tuple[int, int], cap: int | None, number: int
    ) -> Any:
        """Somebody else has read its counters anew by the time that the intent comes."""
        slow = self.workers[worker].hold_slowly(self._token(keys[0]), cap)
        if slow is None:
            return multiple()
        self.views[number % len(self.views)].lose()
        other = self.workers[1 - worker]
        found = [(other, other.hold(self._token(keys[1]), cap)), (slow.worker, slow.worker.resume(slow))]
        calls = [self._sent(of, held) for of, held in found if held]
        for call in calls:
            self._check_admission(call.held)
        return multiple(*calls)

    @rule(worker=workers, key=which, cap=caps)
    def lose_the_answer_to_a_second_half(self, worker: int, key: int, cap: int | None) -> None:
        chosen = self.workers[worker]
        chosen.store.loses_reply = store_prefix(PLATFORM)
        held = chosen.hold(self._token(key), cap)
        lost, chosen.store.loses_reply = chosen.store.loses_reply is None, None
        if held is not None:
            # Nothing was asked of the platform.
            assert not lost and held.platform is None
            self._sent(chosen, held)
            return
        self._allow_unheard()

    @rule(nano=st.one_of(st.none(), budgets), heard=heard)
    def set_the_ceiling(self, nano: int | None, heard: bool) -> None:
        self._change(len(self.scopes) - 1, heard, max_budget_nano=nano)


def test_a_ceiling_over_two_organizations_keeps_every_promise(db: None) -> None:
    PlatformProtocol.house = House.under_a_ceiling()
    run_state_machine_as_test(PlatformProtocol, settings=real(examples=20, soak=1500, stateful_step_count=30))
