"""What the protocol's state machine remembers, and the promises that it asks for."""

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.db import transaction
from django.db.models import Sum
from hypothesis.stateful import RuleBasedStateMachine, invariant

from proxy.runtime import posting
from proxy.runtime.config import GatewayConfig, OutagePolicy
from proxy.runtime.held import Held
from proxy.sweeper import sweep
from spend.models import Hold, LedgerEntry, Rollup
from spend.wire import CounterRef, Posting
from teams import store
from teams.models import Limits
from teams.scopes import PLATFORM_SCOPE
from teams.windows import window_at
from tests.protocol.books_and_store import BySlice, Extra, StoreView, as_of, pending, posted, shortage, total
from tests.protocol.house import LEASE, MOST_TOKENS, PER_TOKEN, START, House, change
from tests.protocol.worker import MODEL, Server, Slow, Worker


@dataclass
class Sent:
    """A call whose intent was written, so that the provider may have been called."""

    worker: Worker
    held: Held
    lease_until: datetime
    posting: Posting | None = None
    exposed: bool = False
    """`fast` only: the store was lost while nothing but the store knew of it."""

    @property
    def hold_id(self) -> str:
        return self.held.intent.hold_id


class Machine(RuleBasedStateMachine):
    house: House
    durability = "strict"
    outage = OutagePolicy()

    def __init__(self) -> None:
        super().__init__()
        self.example = transaction.atomic()
        self.example.__enter__()
        self.now, self.loop = START, asyncio.new_event_loop()
        self.server = Server(store.client())
        self.server.client.flushall()
        self.config = GatewayConfig("", "", lease_seconds=LEASE, durability=self.durability, outage=self.outage)
        self.scopes: list[Limits] = [type(scope)._default_manager.get(pk=scope.pk) for scope in self.house.scopes]
        self.views = [StoreView(pk) for pk in self.house.counted_apart]
        self.store = self.views[0]
        self.workers = [self._worker(), self._worker()]
        self.slow: list[Slow] = []
        self.sent: list[Sent] = []
        self.unsettled: dict[str, Extra] = {}
        """Holds, by id, that the counters may still show although SQL does not, or shows otherwise."""
        self.beyond: list[Extra] = []
        """What was posted beyond holds, or added by corrections: no admission could refuse it."""
        self.copy: dict[bytes, tuple[bytes, int]] | None = None
        self.numbers = count()

    def _worker(self) -> Worker:
        return Worker(self.server, self.config, lambda: self.now, self.loop)

    # Promises

    @invariant()
    def counters_never_show_less_than_the_books(self) -> None:
        for view in self.views:
            if view.is_current(self.server.run_id):
                for name in view.names():
                    self._check_counter(view, name)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self._come_to_rest()
                self._check_rest()
        finally:
            for slow in self.slow:
                slow.worker.bury(slow)
            for view in self.views:
                view.close()
            self.loop.close()
            transaction.set_rollback(True)
            self.example.__exit__(None, None, None)

    def _come_to_rest(self) -> None:
        """Everybody's lease runs out, the sweeper comes by, and each key calls once more and buys nothing."""
        for slow in self.slow:
            slow.worker.bury(slow)
        for worker in self.workers:
            worker.store.gone = False
            worker.catch_up()
            worker.follow_changes()
        self.now += timedelta(seconds=2 * LEASE)
        self.sweep_now()
        for token in self.house.tokens:
            held = self.workers[0].hold(token, 1)
            if held is not None:
                self._buy_nothing(self._sent(self.workers[0], held))
        self.now += timedelta(seconds=2 * LEASE)
        self.sweep_now()

    def sweep_now(self) -> None:
        sweep(now=self.now)
        self.unsettled = {name: extra for name, extra in self.unsettled.items() if extra.until >= self.now}

    def _buy_nothing(self, call: Sent) -> None:
        call.posting = posting.nothing(call.held.intent, self.now)
        call.worker.settle(call.held, call.worker.post(call.posting)[call.hold_id], 0)

    def _check_rest(self) -> None:
        assert not Hold.objects.filter(state=Hold.State.PENDING).exists()
        for call in self.sent:
            charges = call.held.intent and LedgerEntry.objects.filter(hold=call.hold_id, kind="charge").count()
            bought_nothing = call.posting is not None and call.posting.amount_nano is None
            assert charges == 1 or (charges == 0 and (bought_nothing or (call.exposed and call.posting is None)))
        for scope in self.scopes:
            if scope.scope == PLATFORM_SCOPE:
                continue  # what everybody spent is added up when it is asked for
            ref = CounterRef(scope.scope, "", window_at("", START, zone=UTC, anchor=START))
            rows = Rollup.objects.filter(scope=scope.scope).aggregate(total=Sum("amount_nano"))
            assert (rows["total"] or 0) == sum(posted(ref).values())
        assert self.store.is_current(self.server.run_id)
        assert [view.open_holds() for view in self.views] == [0] * len(self.views)
        self.unsettled.clear()
        self.counters_never_show_less_than_the_books()

    def _check_counter(self, view: StoreView, name: str) -> None:
        ref = as_of(self.server.loaded[name], self.now, view.zone)
        spent, held = view.counter(name, ref)
        in_ledger, in_flight = posted(ref), self._in_flight(ref)
        extras = [extra for extra in self.unsettled.values() if ref.has(extra.scopes, extra.model, extra.at)]
        if not extras:
            assert _nonzero(spent) == _nonzero(in_ledger), name
            assert _nonzero(held) == _nonzero(in_flight), name
        shown, true = _sum(spent, held), _sum(in_ledger, in_flight)
        assert true - shortage(extras, ref) <= shown <= true + total(extras, ref), name

    def _check_admission(self, held: Held) -> None:
        """With this call in it, no window is fuller than its budget, but for what nobody could refuse."""
        for line in (*held.lines, *(held.platform.lines if held.platform else ())):
            full = _sum(posted(line.ref), self._in_flight(line.ref)) - total(self.beyond, line.ref)
            assert full <= line.limit_nano, line.counter

    # Helpers

    def _token(self, key: int) -> str:
        return self.house.tokens[key % len(self.house.tokens)]

    def _in_flight(self, ref: CounterRef) -> BySlice:
        """What is pending in SQL and, in `fast`, what the counter store alone knows of."""
        found = pending(ref)
        for call in self._unwritten():
            intent = call.held.intent
            if not call.exposed and ref.has(intent.scopes, intent.model, intent.admitted_at):
                found[ref.window.slice_of(intent.admitted_at)] += intent.amount_nano
        return found

    def _unwritten(self) -> list[Sent]:
        if self.durability == "strict":
            return []
        known = set(Hold.objects.values_list("pk", flat=True))
        return [call for call in self.sent if call.hold_id not in known]

    def _expose(self) -> None:
        for call in self._unwritten():
            call.exposed = True

    def _sent(self, worker: Worker, held: Held) -> Sent:
        call = Sent(worker, held, held.intent.lease_until)
        self.sent.append(call)
        return call

    def _allow_unheard(self) -> None:
        """The store may have held a call whose worker was not told, and keeps it until its lease is over."""
        chain, until = tuple(scope.scope for scope in self.scopes), self.now + timedelta(seconds=LEASE)
        self.unsettled[f"lost {next(self.numbers)}"] = Extra(chain, MODEL, self.now, MOST_TOKENS * PER_TOKEN, until)

    def _allow_beyond(self, entry: LedgerEntry, nano: int) -> None:
        self.beyond.append(Extra(tuple(entry.scopes), entry.model, entry.admitted_at, nano, self.now))

    def _replace_server(self) -> None:
        self.server.run_id = f"run-{int(self.server.run_id[4:]) + 1}"

    def _change(self, number: int, heard: bool, **values: Any) -> None:
        change(self.scopes[number % len(self.scopes)], heard=heard, now=self.now, **values)


def _sum(*amounts: BySlice) -> int:
    return sum(sum(by_slice.values()) for by_slice in amounts)


def _nonzero(amounts: BySlice) -> BySlice:
    return {number: nano for number, nano in amounts.items() if nano}
