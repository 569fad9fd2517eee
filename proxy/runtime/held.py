"""What a call is on its way to a hold, and what the hold is once it is made."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from keys.grants import Grant, ScopePolicy
from proxy.runtime.call import Call
from proxy.runtime.catalog import Target
from proxy.runtime.estimate import Estimate
from proxy.runtime.overall import PREFIX, Half
from proxy.runtime.plan import Line, Moment, Plan, Rate
from spend.wire import Intent


class StaleGrant(Exception):
    """Scopes of the chain may have changed since the grant was read; `scopes` names them."""

    def __init__(self, scopes: list[str]) -> None:
        super().__init__(", ".join(scopes))
        self.scopes = scopes


class IntentUnknown(Exception):
    """The database did not say whether it wrote the intent: `held` must be voided, and nothing may be sent."""

    def __init__(self, held: "Held") -> None:
        super().__init__(held.intent.hold_id)
        self.held = held


@dataclass(slots=True)
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


@dataclass(slots=True)
class Held:
    """A hold with its durable intent: the provider may now be called, once."""

    intent: Intent
    prefix: str
    slots: tuple[str, ...]
    lines: tuple[Line, ...]
    bound: Estimate
    injected_cap: int | None
    """Output cap that we set because the client set none, and must be sent upstream."""
    plan: Plan
    moment: Moment
    left: tuple[int, ...] = ()
    """What is left of each rate, then what the key had spent; empty without the counter store."""
    unsettled_nano: int = 0
    """What the key had spent beyond that by calls of this worker that were over, but not yet settled."""
    above: Plan | None = None
    """What the platform asks of it, if anything."""
    platform: Half | None = None

    @property
    def rates(self) -> list[tuple[Rate, str]]:
        """Every rate it is judged by, in the order of `left`."""
        return self.plan.rates + self.above.rates if self.above else self.plan.rates

    @property
    def parallel(self) -> list[Rate]:
        """Limits of parallel requests that it counts for."""
        return self.plan.slots + self.above.slots if self.above else self.plan.slots

    @property
    def halves(self) -> Iterator[tuple[str, int, tuple[str, ...]]]:
        """Prefix, epoch and parallel slots wherever it is held."""
        yield self.prefix, self.intent.epoch, self.slots
        if self.platform is not None:
            yield PREFIX, self.platform.epoch, self.platform.slots


Settled = tuple[Held, int, int]
"""A hold, what it finally cost in nano-USD, and the tokens it used."""


@dataclass(slots=True)
class Asking:
    """One admission on its way to a hold: the bound may shrink to a fair share, and denial waits once."""

    admission: Admission
    bound: Estimate
    now: datetime
    organization: int
    prefix: str
    plan: Plan
    moment: Moment
    lease: timedelta
    waited: bool = False
    shared: bool = False
    spooled: bool = False
    """The database is away, and the intent goes to the disk."""
    platform: "Asking | None" = None
    """The same on the platform's counters, if they have something to say."""

    @property
    def is_budgeted(self) -> bool:
        return bool(self.moment.lines or (self.platform and self.platform.moment.lines))

    @property
    def attributed_to(self) -> tuple[str, ...]:
        """Scopes, and shares of them, whose sums the call is part of."""
        above = self.platform.plan.shares if self.platform else ()
        return self.plan.scopes + self.plan.shares + above + self.admission.target.pool_scopes
