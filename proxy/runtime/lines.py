"""Which budgets and rates govern a call at an instant: the lines that the hold script judges. Pure."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from keys.grants import Budget, ScopePolicy
from spend.wire import CounterRef
from teams.budgets import matches
from teams.windows import Window, window_at

NO_LIMIT = 2**53
_MOST_WINDOWS = 10_000


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


class Windows:
    """Windows as last computed; most instants fall into the one of the call before."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, datetime], Window] = {}

    def at(self, budget: Budget, zone: str, now: datetime) -> Window:
        key = (budget.duration, zone, budget.anchor)
        known = self._known.get(key)
        if known is not None and _still(known, now):
            return known
        if len(self._known) > _MOST_WINDOWS:
            self._known.clear()
        found = window_at(budget.duration, now, zone=ZoneInfo(zone), anchor=budget.anchor)
        self._known[key] = found
        return found


def _still(window: Window, now: datetime) -> bool:
    if window.slice_seconds:
        return False
    return window.start is None or window.end is None or window.start <= now < window.end


def budget_lines(
    policies: tuple[ScopePolicy, ...], model: str, zone: str, now: datetime, windows: Windows
) -> list[Line]:
    """Every budget that a call of `model` is held on."""
    lines = []
    for policy in policies:
        for budget in policy.budgets:
            if budget.model and not matches(budget.model, model):
                continue
            window = windows.at(budget, zone, now)
            ref = CounterRef(policy.scope, budget.model, window)
            limit = budget.limit_at(now)
            slices = (window.slice_of(now), window.first_slice) if window.slice_seconds else None
            lines.append(Line(policy, ref, ref.counter, NO_LIMIT if limit is None else limit, budget.soft_nano, slices))
    return lines


def request_rates(policies: tuple[ScopePolicy, ...], model: str) -> list[Rate]:
    return [Rate(policy, name, rpm) for policy, name, rpm, _ in _rates(policies, model) if rpm is not None]


def token_rates(policies: tuple[ScopePolicy, ...], model: str) -> list[Rate]:
    return [Rate(policy, name, tpm) for policy, name, _, tpm in _rates(policies, model) if tpm is not None]


def slots(policies: tuple[ScopePolicy, ...]) -> list[Rate]:
    return [Rate(p, p.scope, p.parallel_limit) for p in policies if p.parallel_limit is not None]


def _rates(policies: tuple[ScopePolicy, ...], model: str) -> list[tuple[ScopePolicy, str, int | None, int | None]]:
    found: list[tuple[ScopePolicy, str, int | None, int | None]] = []
    for policy in policies:
        found.append((policy, policy.scope, policy.rpm_limit, policy.tpm_limit))
        found += [
            (policy, f"{policy.scope}#{rate.model}", rate.rpm_limit, rate.tpm_limit)
            for rate in policy.model_rates
            if matches(rate.model, model)
        ]
    return found
