"""Holding the worst case of an attempt: one script call over the whole chain, then a durable intent.

What follows from each answer of the hold script is listed in `Holds._mend`.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson

from keys.grants import ScopePolicy
from proxy.runtime import clamp, faults, ids, outage, overall, refusals, scripts
from proxy.runtime.config import GatewayConfig
from proxy.runtime.counters import CounterStore, StoreUnavailable
from proxy.runtime.epochs import Epochs
from proxy.runtime.errors import unavailable
from proxy.runtime.estimate import Estimate, estimate
from proxy.runtime.held import Admission, Asking, Held, IntentUnknown, StaleGrant
from proxy.runtime.journal import BooksUnavailable, Journal
from proxy.runtime.loads import Loads
from proxy.runtime.outage import Outage
from proxy.runtime.plan import NO_LIMIT, plan_for
from proxy.runtime.releases import Releases
from proxy.runtime.spooling import Spooling
from spend.pricing import worst_case
from spend.wire import Intent
from teams.scopes import PLATFORM, store_prefix

_TURNS = 12


class Holds:
    def __init__(
        self,
        store: CounterStore,
        journal: Journal,
        epochs: Epochs,
        config: GatewayConfig,
        clock: Callable[[], datetime],
        spooling: Spooling,
        releases: Releases,
    ) -> None:
        self._store, self._journal, self._epochs, self._spooling = store, journal, epochs, spooling
        self._config, self._clock = config, clock
        self._lease = timedelta(seconds=config.lease_seconds)
        self._loads = Loads(store, journal, epochs, durability=config.durability)
        self._outage, self._releases = Outage(store, journal, epochs, config, releases.rates, clock), releases

    async def hold(self, admission: Admission, before_denial: Callable[[], Awaitable[None]]) -> Held:
        """Hold and write the intent.

        Raises GatewayError, StaleGrant, IntentUnknown, StoreUnavailable, BooksUnavailable.

        `before_denial` is awaited once before a budget refuses: settlements under way may free what is held.
        """
        asking = self._asking(admission)
        for _ in range(_TURNS):
            epoch = await self._agreed_epoch(asking)
            if not self._journal.available:
                self._spooling.take(asking)
            question = self._question(asking, epoch)
            try:
                reply = await self._ask(asking, question)
            except StoreUnavailable:
                first, reply = await self._without_store(asking, question)
                if reply is outage.KEPT:
                    return first
            if reply[0] == "OK":
                first = self._held(asking, question, reply)
                held = await self._join(asking, asking.platform, first, before_denial) if asking.platform else first
                if held is not None and await self._may_be_sent(held):
                    return held
            elif reply[0] == "DENY" and not asking.waited:
                asking.waited = True
                await before_denial()
            else:
                await self._mend(asking, epoch, reply)
        raise unavailable("the counter store")

    async def _may_be_sent(self, held: Held) -> bool:
        """Make the hold durable, or take it back."""
        faults.reach("after_hold")
        if await self._write_intent(held):
            faults.reach("after_intent")
            return True
        await self._releases.undo(held)
        await self._epochs.renew(held.intent.owners.organization_id)
        if held.platform is not None:
            await self._epochs.renew(PLATFORM)
        return False

    async def _join(
        self, asking: Asking, second: Asking, held: Held, before_denial: Callable[[], Awaitable[None]]
    ) -> Held | None:
        """Hold the same on the platform's counters, or take the first half back. None asks to start over, with less."""
        self._releases.platform_asked, second.bound = True, asking.bound
        faults.reach("after_half")
        try:
            for _ in range(_TURNS):
                epoch = await self._agreed_epoch(second)
                reply = await self._ask(second, {**self._question(second, epoch), "id": held.intent.hold_id})
                if reply[0] == "OK":
                    return overall.joined(held, second.moment, epoch, reply)
                if reply[0] == "DENY" and not second.waited:
                    second.waited = True
                    await before_denial()
                    continue
                await self._mend(second, epoch, reply)
                if second.bound is not asking.bound:
                    break
            else:
                raise unavailable("the counter store")
        except BaseException:
            await self._releases.undo(held)
            raise
        asking.bound = second.bound
        await self._releases.undo(held)
        return None

    async def _agreed_epoch(self, asking: Asking) -> int:
        """The epoch to hold in. Raises StaleGrant for a grant that is older, whose windows may not be the epoch's."""
        plan, epoch = asking.plan, await self._epochs.current(asking.organization)
        if plan.newest > epoch:
            await self._epochs.renew(asking.organization)
            epoch = await self._epochs.current(asking.organization)
        if plan.oldest < epoch:
            raise StaleGrant([scope for scope, read_in in plan.epochs.items() if read_in < epoch])
        return epoch

    def _asking(self, admission: Admission) -> Asking:
        now, target, grant = self._clock(), admission.target, admission.grant
        organization = grant.owners.organization_id
        prefix = store_prefix(organization)
        plan = plan_for(admission.policies, target.model, target.groups, grant.zone, prefix, target.is_free)
        bound = estimate(admission.call, target, self._config.default_output_tokens)
        asking = Asking(admission, bound, now, organization, prefix, plan, plan.at(now), self._lease)
        above = overall.plan_of(grant, target)
        if above is not None:
            moment = above.at(now)
            asking.platform = Asking(admission, bound, now, PLATFORM, overall.PREFIX, above, moment, self._lease)
        return asking

    def _question(self, asking: Asking, epoch: int) -> dict[str, Any]:
        """The hold script's argument; its letters are explained at the top of `lua/hold.lua`."""
        target, bound, moment = asking.admission.target, asking.bound, asking.moment
        amount = 0 if target.is_free or target.price is None else worst_case(bound, target.price)
        tokens, now = min(bound.input + bound.output, NO_LIMIT), int(asking.now.timestamp() * 1000)
        question = {
            "e": epoch,
            "id": ids.hold_id(),
            "now": now,
            "until": now + int(asking.lease.total_seconds()) * 1000,
            "a": min(amount, NO_LIMIT),
            "v": asking.plan.versions,
            "w": moment.w,
            "r": moment.r,
            "t": moment.t,
            "k": tokens,
            "kmin": min(bound.least_tokens, NO_LIMIT),
            "p": moment.p,
        }
        if asking.plan.key_line is not None:
            question["tell"] = asking.plan.key_line + 1
        if moment.lines and not asking.shared:
            question |= clamp.question(bound, target.price, asking.admission.call, asking.admission.grant)
        return question

    async def _ask(self, asking: Asking, question: dict[str, Any]) -> list[str]:
        """Put the hold script's question; a hold of which nobody knows whether it was made is taken back later."""
        if self._epochs.in_sql(asking.organization):
            raise StoreUnavailable("SQL judges")
        question["rec"] = f'"a":"{question["a"]}",{self._payload(asking, question)}{asking.moment.record}'
        try:
            reply: list[str] = await self._store.script(scripts.HOLD, asking.prefix, orjson.dumps(question))
        except StoreUnavailable as error:
            # However many calls an outage refuses: nothing is remembered of those that the store never heard of.
            if not error.never:
                alone = self._intent(asking, question) if self._is_record(asking) else None
                half = asking.prefix, question["id"], question["e"]
                self._store.when_back(partial(self._releases.take_back, *half, alone))
            raise
        return reply

    def _payload(self, asking: Asking, question: dict[str, Any]) -> str:
        """Where SQL does not get the intent before the send, the hold's record is the intent, and carries all of it."""
        if asking.organization == PLATFORM:
            return f'"o":{asking.admission.grant.owners.organization_id},'
        if not self._is_record(asking):
            return ""
        intent = orjson.dumps(self._intent(asking, question)).decode()
        return f'"i":{orjson.dumps(intent).decode()},'

    def _is_record(self, asking: Asking) -> bool:
        """Whether the hold's record is the intent: the store alone has it, as long as its epoch stands."""
        return asking.organization != PLATFORM and not self._written(asking)

    def _written(self, asking: Asking) -> bool:
        """Whether the intent is a row in SQL before the send."""
        if asking.spooled:
            return False
        return self._config.durability == "strict" or bool(asking.platform and asking.platform.moment.lines)

    async def _without_store(self, asking: Asking, question: dict[str, Any]) -> tuple[Held, list[str]]:
        """Admit the call some other way, if policy has one. In `fast` there is none, as the store keeps the intents."""
        if self._config.durability == "fast" or asking.spooled:
            raise StoreUnavailable("the counter store is away")
        held = self._held(asking, question, ["OK", "0"])
        try:
            return held, await self._outage.admit(held, question)
        except BooksUnavailable as error:
            if error.never:
                raise
            raise IntentUnknown(held) from error

    async def _write_intent(self, held: Held) -> bool:
        """Make the hold durable. False if it must not be sent: its epoch is over, or the sweeper buried it."""
        intent = held.intent
        if not intent.written and not intent.degraded:
            # A store that was replaced meanwhile had every epoch forgotten, before this hold was made in it.
            return await self._epochs.current(intent.owners.organization_id) == intent.epoch
        try:
            if not intent.written:
                await self._spooling.keep(intent)
                return True
            return bool(await self._journal.ask("intents", intent))
        except BooksUnavailable as error:
            if error.never:
                await self._releases.undo(held)
                raise
            raise IntentUnknown(held) from error

    async def _mend(self, asking: Asking, epoch: int, reply: list[str]) -> None:
        """Do what an answer other than OK asks for, so that the next turn can succeed, or refuse the call."""
        match reply[0]:
            case "NOEPOCH" | "EPOCH":
                await self._epochs.renew(asking.organization)
            case "CARRY":
                await self._epochs.carry(asking.organization)
            case "LOST":
                await self._epochs.raise_above(asking.organization, epoch)
            case "MISS":
                missing = [asking.moment.lines[int(index)] for index in reply[1:]]
                await self._loads.load_all(asking.organization, epoch, missing)
            case "DENY" | "SHARE":
                asking.bound, asking.shared = self._clamped(asking, reply), True
            case "STALE":
                raise StaleGrant([reply[1]])
            case "DUP":
                raise StoreUnavailable("it holds a call of this name")
            case kind:
                rates = {"RPM": asking.plan.rpm, "TPM": asking.plan.tpm, "SLOTS": asking.plan.slots}[kind]
                rate, used = rates[int(reply[1])], int(reply[2])
                raise refusals.rate_limited(kind, rate, used, asking.now, asking.bound.least_tokens)

    async def refuse_stale(self, organization: int, policies: tuple[ScopePolicy, ...]) -> None:
        """Compare announced versions where nothing is held. Raises StaleGrant, StoreUnavailable."""
        known = [version for policy in policies for version in policy.versions]
        found = await self._store.command("HMGET", f"{store_prefix(organization)}:ver", *(scope for scope, _ in known))
        stale = [
            scope
            for (scope, version), newest in zip(known, found, strict=True)
            if newest is not None and int(newest) > version
        ]
        if stale:
            raise StaleGrant(stale)

    def _clamped(self, asking: Asking, reply: list[str]) -> Estimate:
        """A bound that the tightest budget affords, if the client left the output open. Raises budget exceeded."""
        line, admission = asking.moment.lines[int(reply[1])], asking.admission
        used, choices = (int(reply[2]), int(reply[3])), admission.call.choices
        bound = clamp.clamped(asking.bound, admission.target.price, choices, line.limit_nano - sum(used))
        if bound is None or admission.grant.output_cap_policy != clamp.CLAMP:
            fits = None if bound is None else clamp.per_choice(bound, choices)
            wanted = worst_case(asking.bound, admission.target.price) if admission.target.price else 0
            raise refusals.over_budget(line, used, wanted, self._config.budget_status, self._clock(), fits)
        return bound

    def _held(self, asking: Asking, question: dict[str, Any], reply: list[str]) -> Held:
        return Held(
            intent=self._intent(asking, question),
            prefix=asking.prefix,
            slots=asking.moment.slots,
            lines=asking.moment.lines,
            bound=asking.bound,
            injected_cap=_injected(asking),
            plan=asking.plan,
            moment=asking.moment,
            left=tuple(map(int, reply[2:])),
            unsettled_nano=self._releases.unsettled.of(asking.admission.grant.owners.key_id),
            above=asking.platform.plan if asking.platform else None,
        )

    def _intent(self, asking: Asking, question: dict[str, Any]) -> Intent:
        admission, target, bound = asking.admission, asking.admission.target, asking.bound
        return Intent(
            hold_id=question["id"],
            epoch=question["e"],
            amount_nano=question["a"],
            counters=asking.moment.counters,
            scopes=asking.attributed_to,
            owners=admission.grant.owners,
            customer_id=admission.customer_id,
            request_id=admission.request_id,
            call_type=admission.call.route.call_type,
            model=target.model,
            deployment=target.deployment,
            provider=target.provider,
            upstream_model=target.upstream_model,
            price_id=target.price.id if target.price else None,
            input_estimate=bound.input,
            output_cap=bound.output,
            attempt=admission.attempt,
            admitted_at=asking.now,
            lease_until=asking.now + asking.lease,
            token=admission.grant.token,
            tags=admission.tags,
            session_id=admission.call.session_id,
            log_metadata=admission.call.log_metadata,
            written=self._written(asking),
            degraded=asking.spooled,
        )


def _injected(asking: Asking) -> int | None:
    target, choices = asking.admission.target, asking.admission.call.choices
    wanted = asking.is_budgeted or target.usual_output_tokens
    return clamp.to_inject(asking.bound, target, choices) if wanted else None
