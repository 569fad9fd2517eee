"""Holding the worst case of an attempt: one script call over the whole chain, then a durable intent.

What follows from each answer of the hold script is listed in `Holds._mend`.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from keys.grants import Grant, ScopePolicy
from proxy.runtime import refusals, scripts
from proxy.runtime.call import Call
from proxy.runtime.catalog import Target
from proxy.runtime.config import GatewayConfig
from proxy.runtime.counters import CounterStore
from proxy.runtime.errors import unavailable
from proxy.runtime.estimate import Estimate, estimate
from proxy.runtime.journal import Journal
from spend.pricing import affordable_output, hold_for
from spend.wire import CounterLoad, Intent
from teams.scopes import store_prefix
from teams.windows import Window, window_at

_TURNS = 12
_MOST_NANO = 2**53


class StaleGrant(Exception):
    """Scopes of the chain changed since the grant was read; `scopes` names them."""

    def __init__(self, scopes: list[str]) -> None:
        super().__init__(", ".join(scopes))
        self.scopes = scopes


@dataclass(frozen=True, slots=True)
class Line:
    """One budget of the chain at the instant of admission."""

    policy: ScopePolicy
    window: Window
    limit_nano: int

    @property
    def counter(self) -> str:
        return f"{self.policy.scope}|{self.window.ident}"


@dataclass(frozen=True, slots=True)
class Admission:
    """What the gate decided before holding: who calls, under which policies, which deployment."""

    request_id: str
    grant: Grant
    policies: tuple[ScopePolicy, ...]
    customer_id: int | None
    tags: tuple[str, ...]
    call: Call
    target: Target
    attempt: int


@dataclass(frozen=True, slots=True)
class Held:
    """A hold with its durable intent: the provider may now be called, once."""

    intent: Intent
    prefix: str
    slots: tuple[str, ...]
    injected_cap: int | None
    """Output cap that we set because the client set none, and must be sent upstream."""
    remaining: dict[str, int]
    """What is left of each rate limit, by `<scope kind>-<requests|tokens>`."""


@dataclass(slots=True)
class _Asking:
    """One admission on its way to a hold: the bound may shrink, and denial waits once."""

    admission: Admission
    lines: list[Line]
    bound: Estimate
    now: datetime
    waited: bool = False

    @property
    def organization(self) -> int:
        return self.admission.grant.owners.organization_id


class Holds:
    def __init__(
        self, store: CounterStore, journal: Journal, config: GatewayConfig, clock: Callable[[], datetime]
    ) -> None:
        self._store, self._journal, self._config, self._clock = store, journal, config, clock
        self._epochs: dict[int, int] = {}

    async def hold(self, admission: Admission, before_denial: Callable[[], Awaitable[None]]) -> Held:
        """Hold and write the intent. Raises GatewayError, StaleGrant, StoreUnavailable, BooksUnavailable.

        `before_denial` is awaited once before a budget refuses: settlements under way may free what is held.
        """
        now = self._clock()
        bound = estimate(admission.call, admission.target, self._config.default_output_tokens)
        asking = _Asking(admission, _lines(admission, now), bound, now)
        for _ in range(_TURNS):
            question, reply = await self._ask(asking)
            if reply[0] == "OK":
                held = self._held(asking, question, reply)
                if await self._journal.ask("intents", held.intent):
                    return held
                await self._undo(held)
                await self._renew_epoch(asking.organization)
            elif reply[0] == "DENY" and not asking.waited:
                asking.waited = True
                await before_denial()
            else:
                await self._mend(asking, question["e"], reply)
        raise unavailable("the counter store")

    async def _ask(self, asking: "_Asking") -> tuple[dict[str, Any], list[str]]:
        """Put the hold script's question once; returns it with the answer."""
        epoch = await self._epoch(asking.organization)
        question = _question(asking, epoch, self._config.lease_seconds)
        reply = await self._store.script(scripts.HOLD, store_prefix(asking.organization), orjson.dumps(question))
        return question, reply

    async def _mend(self, asking: "_Asking", epoch: int, reply: list[str]) -> None:
        """Do what an answer other than OK asks for, so that the next turn can succeed, or refuse the call."""
        match reply[0]:
            case "NOEPOCH" | "EPOCH":
                await self._renew_epoch(asking.organization)
            case "MISS":
                for index in reply[1:]:
                    await self._load(asking.organization, epoch, asking.lines[int(index)])
            case "DENY":
                asking.bound = self._clamped(asking, reply)
            case "STALE":
                raise StaleGrant([reply[1]])
            case "RPM" | "TPM" | "SLOTS":
                raise refusals.rate_limited(asking.admission.policies, reply, asking.now)

    async def settle(self, held: Held, cost_nano: int, tokens: int) -> None:
        """Release the hold and book what it cost on the counters. Safe to repeat."""
        intent = held.intent
        await self._store.script(scripts.SETTLE, held.prefix, intent.hold_id, cost_nano, tokens, intent.epoch)

    async def _undo(self, held: Held) -> None:
        """Take back a hold whose intent was refused: it never counted, not as a request either."""
        intent = held.intent
        await self._store.script(scripts.SETTLE, held.prefix, intent.hold_id, 0, 0, intent.epoch, "undo")

    async def renew(self, held: list[Held], until: datetime) -> None:
        """Keep the parallel slots of calls that are still running."""
        score = int(until.timestamp() * 1000)
        for item in held:
            for slot in item.slots:
                await self._store.command("ZADD", slot, "XX", score, item.intent.hold_id)

    async def refuse_stale(self, organization: int, policies: tuple[ScopePolicy, ...]) -> None:
        """Compare announced versions where nothing is held. Raises StaleGrant, StoreUnavailable."""
        names = [policy.scope for policy in policies]
        found = await self._store.command("HMGET", f"{store_prefix(organization)}:ver", *names)
        stale = [
            policy.scope
            for policy, version in zip(policies, found, strict=True)
            if version is not None and int(version) > policy.version
        ]
        if stale:
            raise StaleGrant(stale)

    def _clamped(self, asking: "_Asking", reply: list[str]) -> Estimate:
        """A smaller bound that the tightest budget affords, if the client left the output open."""
        line, spent, held = asking.lines[int(reply[1])], int(reply[2]), int(reply[3])
        bound, card, choices = asking.bound, asking.admission.target.price, asking.admission.call.choices
        if not bound.capped and card is not None:
            cap = affordable_output(bound.input, line.limit_nano - spent - held, card)
            per_choice = 0 if cap is None else cap // choices
            if per_choice >= 1 and per_choice * choices < bound.output:
                return replace(bound, output=per_choice * choices)
        raise refusals.over_budget(line.policy, line.window, self._config.budget_status, self._clock())

    def _held(self, asking: "_Asking", asked: dict[str, Any], reply: list[str]) -> Held:
        admission, bound = asking.admission, asking.bound
        intent = Intent(
            hold_id=asked["id"],
            epoch=asked["e"],
            amount_nano=asked["a"],
            counters=tuple(line.counter for line in asking.lines),
            scopes=tuple(policy.scope for policy in admission.policies),
            owners=admission.grant.owners,
            customer_id=admission.customer_id,
            request_id=admission.request_id,
            call_type=admission.call.route.call_type,
            model=admission.target.model,
            deployment=admission.target.deployment,
            provider=admission.target.provider,
            upstream_model=admission.target.upstream_model,
            price_id=admission.target.price.id if admission.target.price else None,
            input_estimate=bound.input,
            output_cap=bound.output,
            attempt=admission.attempt,
            admitted_at=asking.now,
            lease_until=asking.now + timedelta(seconds=self._config.lease_seconds),
            token=admission.grant.token,
            tags=admission.tags,
        )
        prefix = store_prefix(asking.organization)
        return Held(
            intent=intent,
            prefix=prefix,
            slots=tuple(f"{prefix}:p:{scope}" for scope, _ in asked["p"]),
            injected_cap=_injected(asking),
            remaining=_remaining(asked, reply),
        )

    async def _load(self, organization: int, epoch: int, line: Line) -> None:
        """Read a counter that the store does not have from the ledger: missing means unknown, never zero."""
        item = (line.policy.scope, line.counter, line.window.start, line.window.end)
        known: CounterLoad = await self._journal.ask("counters", item)
        held = [[hold_id, amount, int(lease * 1000)] for hold_id, amount, lease in known.pending]
        question = {"e": epoch, "c": line.counter, "s": known.spent_nano, "h": held}
        await self._store.script(scripts.LOAD, store_prefix(organization), orjson.dumps(question))

    async def _epoch(self, organization: int) -> int:
        if organization not in self._epochs:
            self._epochs[organization] = await self._journal.ask("epochs", organization)
        return self._epochs[organization]

    async def _renew_epoch(self, organization: int) -> None:
        """Agree with the store on an epoch, raising it where the store has lost or never had the current one.

        Only the worker that raised an epoch publishes it, so nothing can have been held in an epoch that
        the store lost.
        """
        current: int = await self._journal.ask("epochs", organization)
        published = await self._store.command("GET", f"{store_prefix(organization)}:epoch")
        if published is None or int(published) != current:
            current, raised = await self._journal.ask("raise_epochs", (organization, current))
            if raised:
                await self._store.script(scripts.EPOCH, store_prefix(organization), current)
            else:
                await asyncio.sleep(0.01)
        self._epochs[organization] = current


def _lines(admission: Admission, now: datetime) -> list[Line]:
    if admission.target.is_free:
        return []
    zone = ZoneInfo(admission.grant.zone)
    return [
        Line(policy, window_at(budget.duration, now, zone=zone, anchor=budget.anchor), budget.limit_nano)
        for policy in admission.policies
        for budget in policy.budgets
        if budget.limit_nano is not None
    ]


def _question(asking: _Asking, epoch: int, lease: int) -> dict[str, Any]:
    """The hold script's argument; its letters are explained at the top of `lua/hold.lua`."""
    target, policies, bound, now = asking.admission.target, asking.admission.policies, asking.bound, asking.now
    amount = 0 if target.is_free or target.price is None else hold_for(bound.input, bound.output, target.price)
    tokens = min(bound.input + bound.output, _MOST_NANO)
    return {
        "e": epoch,
        "id": f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}",
        "now": int(now.timestamp() * 1000),
        "lease": lease * 1000,
        "a": min(amount, _MOST_NANO),
        "v": [[policy.scope, policy.version] for policy in policies],
        "w": [[line.counter, line.limit_nano] for line in asking.lines],
        "m": int(now.timestamp()) // 60,
        "r": [[policy.scope, policy.rpm_limit] for policy in policies if policy.rpm_limit is not None],
        "t": [[policy.scope, policy.tpm_limit] for policy in policies if policy.tpm_limit is not None],
        "k": tokens,
        "kmin": tokens if bound.capped else bound.input + 1,
        "p": [[policy.scope, policy.parallel_limit] for policy in policies if policy.parallel_limit is not None],
    }


def _injected(asking: _Asking) -> int | None:
    """A cap is sent upstream only where a budget relies on it and the model does not bound itself."""
    bound, admission = asking.bound, asking.admission
    if bound.capped or not asking.lines:
        return None
    own = admission.target.max_output_tokens
    whole = own is not None and bound.output >= own * admission.call.choices
    return None if whole else bound.output // admission.call.choices


def _remaining(asked: dict[str, Any], reply: list[str]) -> dict[str, int]:
    names = [f"{scope.partition(':')[0]}-requests" for scope, _ in asked["r"]]
    names += [f"{scope.partition(':')[0]}-tokens" for scope, _ in asked["t"]]
    return {name: max(0, int(left)) for name, left in zip(names, reply[2:], strict=True)}
