"""What becomes of calls while the counter store is away: refused, judged by SQL, or let through up to an amount.

Which of these is policy. Whatever is admitted has its intent in SQL before it is sent, keeps to this worker's share of
the rates, is counted by a metric, and its entry says `degraded`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from proxy.runtime import metrics, refusals
from proxy.runtime.config import GatewayConfig
from proxy.runtime.counters import CounterStore, StoreUnavailable
from proxy.runtime.epochs import Epochs
from proxy.runtime.journal import BooksUnavailable, Journal
from proxy.runtime.local_rates import LocalRates
from proxy.runtime.plan import NO_LIMIT, Plan
from spend.wire import SqlHold
from teams.scopes import PLATFORM

if TYPE_CHECKING:
    from proxy.runtime.held import Held

KEPT = ["KEPT"]
"""An answer beside those of the hold script: the intent is in SQL, and the call may be sent."""
_ANEW = ["EPOCH"]
_PER_MINUTE = {"requests": "RPM", "tokens": "TPM"}
#: How long SQL goes on judging after the last call of a worker that does not reach the store.
_LINGER = timedelta(seconds=3)


class Outage:
    def __init__(
        self,
        store: CounterStore,
        journal: Journal,
        epochs: Epochs,
        config: GatewayConfig,
        rates: LocalRates,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._journal, self._epochs = store, journal, epochs
        self._config, self._policy, self._clock = config, config.outage, clock
        self.rates = rates
        self._allowance = Allowance(store, config.outage.allowance_nano)
        self._missed: dict[int, int] = {}
        """Epochs, by organization, whose counters know nothing of calls that were let through."""

    async def admit(self, held: "Held", question: dict[str, Any]) -> list[str]:
        """Judge a call that the store is not asked about, and write its intent.

        Answers KEPT, or as the hold script does: EPOCH if somebody else judges from now on, STALE if a policy has
        changed since it was read. Raises StoreUnavailable
        where policy or the amount left refuses, BooksUnavailable, and GatewayError for a rate.
        """
        organization = held.intent.owners.organization_id
        if self._epochs.in_sql(organization):
            if self._store.available and await self._epochs.take_back(organization, self._clock()):
                return _ANEW
            self._refuse_below(held.above)
            return await self._by_rates(held, lambda: self._judged(held, question))
        self._refuse_below(held.above)
        if not held.plan.has_ceiling and self._config.unbudgeted_without_store:
            return await self._by_rates(held, lambda: self._written(held, "unbudgeted"))
        if self._policy.budgets_without_store == "pg_exact" and held.plan.has_ceiling:
            await self._hand_to_sql(organization)
            return _ANEW
        if self._policy.budgets_without_store == "allowance" and self._allowance.take(held.intent.amount_nano):
            return await self._by_rates(held, lambda: self._written(held, "allowance"))
        raise StoreUnavailable("the counter store is away")

    @staticmethod
    def _refuse_below(platform: Plan | None) -> None:
        """A ceiling over all organizations has no other judge than the store."""
        if platform is not None and platform.has_ceiling:
            raise StoreUnavailable("the counter store is away")

    async def _hand_to_sql(self, organization: int) -> None:
        """Not for an absence of a moment: to come back costs reading every counter anew."""
        if self._store.away_for() < self._policy.takeover_seconds:
            raise StoreUnavailable("the counter store is away")
        await self._epochs.hand_to_sql(organization, self._clock() + _LINGER)

    async def _judged(self, held: "Held", question: dict[str, Any]) -> list[str]:
        """Ask SQL, which writes the intent of a call that fits in the same transaction."""
        away = not self._store.available
        if away and self._policy.budgets_without_store != "pg_exact":
            raise StoreUnavailable("the counter store is away")
        held.intent.degraded = True
        budgets = tuple(
            (place, line.ref, line.limit_nano) for place, line in enumerate(held.lines) if line.limit_nano < NO_LIMIT
        )
        until = self._clock() + _LINGER if away else None
        shares = question.get("least"), question.get("peers", 1)
        wanted = SqlHold(held.intent, budgets, *shares, until, tuple(held.plan.versions))
        reply: list[str] = await self._journal.ask("judgements", wanted)
        if reply[0] != "OK":
            return reply
        metrics.DEGRADED.labels("pg_exact").inc()
        await self._recount_above(held)
        return KEPT

    async def _written(self, held: "Held", policy: str) -> list[str]:
        """Write the intent of a call that nobody judges. Counters that missed it are read again with the store back."""
        intent = held.intent
        if changed := await self._journal.ask("outdated", tuple(held.plan.versions)):
            return ["STALE", changed]
        intent.degraded, intent.counters = True, ()
        if not await self._journal.ask("intents", intent):
            return _ANEW
        metrics.DEGRADED.labels(policy).inc()
        organization = intent.owners.organization_id
        self._recount(organization, intent.epoch)
        await self._recount_above(held)
        return KEPT

    def _recount(self, organization: int, epoch: int) -> None:
        """Have counters, which missed a call, read again when the store is back; once, however many they missed."""
        if self._missed.get(organization) != epoch:
            self._missed[organization] = epoch
            self._store.when_back(partial(self._epochs.raise_above, organization, epoch))

    async def _recount_above(self, held: "Held") -> None:
        """The epoch as it is after the intent was written: counters that were read earlier do not know of it."""
        if held.above is None:
            return
        try:
            epoch = await self._epochs.current(PLATFORM)
        except BooksUnavailable as error:
            raise BooksUnavailable("the platform's epoch is unknown, with the intent written") from error
        self._recount(PLATFORM, epoch)

    async def _by_rates(self, held: "Held", judge: Callable[[], Any]) -> list[str]:
        """This worker's share of each rate is taken first, and given back by a call that is not admitted."""
        now, tokens, hold_id = held.intent.admitted_at, held.bound.input + held.bound.output, held.intent.hold_id
        rates = [(rate, 1 if kind == "requests" else tokens) for rate, kind in held.rates if kind in _PER_MINUTE]
        if self.rates.cannot_judge([*rates, *((slot, 1) for slot in held.parallel)]):
            raise StoreUnavailable("the counter store is away")
        full = self.rates.full(held.parallel)
        if full is not None:
            raise refusals.rate_limited("SLOTS", full, max(full.limit, self.rates.running(full)), now)
        minute = int(now.timestamp()) // 60
        refused = self.rates.refused(rates, minute)
        if refused is not None:
            kind = _PER_MINUTE[next(kind for rate, kind in held.rates if rate is refused)]
            raise refusals.rate_limited(kind, refused, refused.limit, now)
        answer = None
        self.rates.began(hold_id, held.parallel)
        try:
            answer = await judge()
        finally:
            if answer is not KEPT:
                self.rates.give_back(rates, minute)
                self.rates.ended(hold_id, held.parallel)
        return answer


class Allowance:
    """What hard budgets may spend, all together, in this worker and one outage; a hold counts in full."""

    def __init__(self, store: CounterStore, most_nano: int) -> None:
        self._store, self._most = store, most_nano
        self._outage, self._left = -1, 0

    def take(self, nano: int) -> bool:
        if self._outage != self._store.outages:
            self._outage, self._left = self._store.outages, self._most
        if nano > self._left:
            return False
        self._left -= nano
        metrics.ALLOWANCE.inc(nano)
        return True
