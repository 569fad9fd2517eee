"""Which budgets and rates govern the calls of a chain for a model: what the hold script is asked to judge. Pure.

All of it stays the same for many calls, so it is worked out once: a `Plan` for a chain and a model, and its `Moment`
until the next minute or window begins.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from keys.grants import ScopePolicy
from spend.wire import CounterRef
from teams.budgets import Budget, matches
from teams.scopes import ScopeKind, scope_kind, share_of
from teams.windows import window_at

NO_LIMIT = 2**53
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Line:
    """One budget of the chain at the instant of admission; nano-USD."""

    policy: ScopePolicy
    ref: CounterRef
    counter: str
    limit_nano: int
    soft_nano: int | None
    slices: tuple[int, int] | None
    """Slice of the instant and the first that counts, of a rolling window."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One limit per minute, or of parallel requests."""

    policy: ScopePolicy
    name: str
    limit: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A plan between two instants, in the words of the hold script (see the top of `lua/hold.lua`)."""

    until: datetime
    lines: tuple[Line, ...]
    counters: tuple[str, ...]
    w: list[list[str | int]]
    r: list[tuple[str, int]]
    t: list[tuple[str, int]]
    p: list[tuple[str, int]]
    slots: tuple[str, ...]
    record: str
    """JSON of the names of rates and slots, without its opening brace."""
    prepared: dict[str, Any] = field(default_factory=dict)
    """What others worked out from it, by deployment."""


class Plan:
    def __init__(
        self, policies: tuple[ScopePolicy, ...], model: str, groups: frozenset[str], zone: str, prefix: str, *,
        free: bool,
    ) -> None:  # fmt: skip
        known = _Names(model, groups)
        self._budgets = [] if free else [(p, b) for p in policies for b in p.budgets if known.are_meant(b.model)]
        self._zone, self._prefix = ZoneInfo(zone), prefix
        self.policies = policies
        self.scopes = tuple(policy.scope for policy in policies)
        #: Beside them, what a call is attributed to that a budget for an access group counts.
        of_groups = [share_of(p.scope, b.model) for p, b in self._budgets if known.are_meant_by_group(b.model)]
        self.shares = tuple(dict.fromkeys(of_groups))
        self.epochs = {policy.scope: policy.epoch for policy in policies}
        self.newest, self.oldest = max(self.epochs.values()), min(self.epochs.values())
        self.versions = [version for policy in policies for version in policy.versions]
        rates = [rate for policy in policies for rate in _rates(policy, known)]
        self.rpm = [Rate(policy, name, rpm) for policy, name, rpm, _ in rates if rpm is not None]
        self.tpm = [Rate(policy, name, tpm) for policy, name, _, tpm in rates if tpm is not None]
        self.slots = [Rate(p, p.scope, p.parallel_limit) for p in policies if p.parallel_limit is not None]
        #: In the order in which the hold script tells what is left of them.
        self.rates = [(r, "requests") for r in self.rpm] + [(t, "tokens") for t in self.tpm]
        self.rates += [(slot, "max_parallel_requests") for slot in self.slots]
        self.key_line = next(
            (i for i, (policy, b) in enumerate(self._budgets) if _is_of_key(policy) and not b.model), None
        )
        self.has_ceiling = any(budget.limit_nano is not None for _, budget in self._budgets)
        #: Whether the hold script has anything to judge by it.
        self.asks = bool(self._budgets or self.rates)
        self._moment: Moment | None = None

    def at(self, now: datetime) -> Moment:
        if self._moment is None or now >= self._moment.until or now < self._moment.until - _MINUTE:
            self._moment = self._make(now)
        return self._moment

    def _make(self, now: datetime) -> Moment:
        lines = tuple(_line(policy, budget, self._zone, now) for policy, budget in self._budgets)
        minute = int(now.timestamp()) // 60
        r = [(f"{self._prefix}:r:{rate.name}:{minute}", rate.limit) for rate in self.rpm]
        t = [(f"{self._prefix}:t:{rate.name}:{minute}", rate.limit) for rate in self.tpm]
        p = [(f"{self._prefix}:p:{rate.name}", rate.limit) for rate in self.slots]
        names = {"r": [key for key, _ in r], "t": [key for key, _ in t], "p": [key for key, _ in p]}
        return Moment(
            until=min([datetime.fromtimestamp((minute + 1) * 60, UTC), *self._ends(lines, now)]),
            lines=lines,
            counters=tuple(line.counter for line in lines),
            w=[[line.counter, line.limit_nano, *(line.slices or ())] for line in lines],
            r=r, t=t, p=p,
            slots=tuple(key for key, _ in p),
            record=orjson.dumps(names).decode()[1:],
        )  # fmt: skip

    def _ends(self, lines: tuple[Line, ...], now: datetime) -> list[datetime]:
        """When a window, a slice or a temporary raise is over."""
        ends = [budget.raise_until for _, budget in self._budgets if budget.raise_until and budget.raise_until > now]
        for line in lines:
            window = line.ref.window
            if window.slice_seconds:
                # The first slice that counts changes up to once a slice, somewhere in between: ask every second.
                ends.append(datetime.fromtimestamp(int(now.timestamp()) + 1, UTC))
            elif window.end is not None:
                ends.append(window.end)
        return ends


@lru_cache(maxsize=50_000)
def plan_for(
    policies: tuple[ScopePolicy, ...], model: str, groups: frozenset[str], zone: str, prefix: str, free: bool
) -> Plan:
    return Plan(policies, model, groups, zone, prefix, free=free)


def _is_of_key(policy: ScopePolicy) -> bool:
    return scope_kind(policy.scope) is ScopeKind.KEY


@dataclass(frozen=True, slots=True)
class _Names:
    """Everything that limits may call a model by."""

    model: str
    groups: frozenset[str]

    def are_meant(self, entry: str) -> bool:
        return not entry or matches(entry, self.model) or entry in self.groups

    def are_meant_by_group(self, entry: str) -> bool:
        return entry in self.groups and not matches(entry, self.model)


def _line(policy: ScopePolicy, budget: Budget, zone: ZoneInfo, now: datetime) -> Line:
    window, limit = window_at(budget.duration, now, zone=zone, anchor=budget.anchor), budget.limit_at(now)
    ref = CounterRef(policy.scope, budget.model, window)
    return Line(
        policy=policy,
        ref=ref,
        counter=ref.counter,
        limit_nano=NO_LIMIT if limit is None else limit,
        soft_nano=budget.soft_nano,
        slices=(window.slice_of(now), window.first_slice) if window.slice_seconds else None,
    )


def _rates(policy: ScopePolicy, known: _Names) -> list[tuple[ScopePolicy, str, int | None, int | None]]:
    own = [(policy, policy.scope, policy.rpm_limit, policy.tpm_limit)]
    return own + [
        (policy, f"{policy.scope}#{rate.model}", rate.rpm_limit, rate.tpm_limit)
        for rate in policy.model_rates
        if known.are_meant(rate.model)
    ]
