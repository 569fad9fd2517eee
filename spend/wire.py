"""What the gateway hands to the ledger. Pure: no Django, no I/O.

An `Intent` becomes a hold row before the send, a `Posting` a ledger entry after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from keys.grants import Owners
from spend.pricing import Usage
from teams.budgets import matches
from teams.scopes import PLATFORM_SCOPE, share_of
from teams.windows import Window, window_of

UPSTREAM, ESTIMATED, ORPHAN = "upstream", "estimated_partial", "estimated_orphan"


@dataclass(slots=True)
class Intent:
    """The worst case of one attempt, in nano-USD. `counters` are the windows it is held on."""

    hold_id: str
    epoch: int
    amount_nano: int
    counters: tuple[str, ...]
    scopes: tuple[str, ...]
    owners: Owners
    customer_id: int | None
    request_id: str
    call_type: str
    model: str
    deployment: str
    provider: str
    upstream_model: str
    price_id: int | None
    input_estimate: int
    output_cap: int
    attempt: int
    admitted_at: datetime
    lease_until: datetime
    token: str
    tags: tuple[str, ...]
    session_id: str = ""
    log_metadata: dict[str, Any] | None = None
    written: bool = True
    """Whether the hold row exists before the send. If not, the counter store has it (`fast`), or the disk (spooled)."""

    degraded: bool = False
    """Admitted while the counter store or the database was away."""

    platform_epoch: int | None = None
    """Of the counters of all organizations, if it is held there too."""

    @property
    def in_store(self) -> bool:
        """Whether the counter store holds it. What was let through without the store is in SQL before it is sent."""
        return not (self.degraded and self.written)

    @classmethod
    def from_json(cls, text: str) -> "Intent":
        """The intent that a worker left in the counter store."""
        return cls.of(orjson.loads(text))

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Intent":
        """The intent that was written as JSON. Raises ValueError, TypeError, KeyError."""
        instants = {name: datetime.fromisoformat(values[name]) for name in ("admitted_at", "lease_until")}
        lists = {name: tuple(values[name]) for name in ("counters", "scopes", "tags")}
        return cls(**{**values, **instants, **lists, "owners": Owners(**values["owners"])})

    def leased_until(self, milliseconds: float) -> "Intent":
        """The same, if its worker renewed the lease in the counter store meanwhile."""
        return replace(self, lease_until=max(self.lease_until, datetime.fromtimestamp(milliseconds / 1000, UTC)))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, as its caller was told; never a prompt."""

    status: int
    kind: str
    message: str


@dataclass(slots=True)
class Posting:
    """The true cost of one attempt. `amount_nano` None voids the hold: nothing was bought."""

    intent: Intent
    amount_nano: int | None
    residue_pico: int
    usage: Usage
    usage_source: str
    response_id: str
    finished_at: datetime
    first_byte_at: datetime | None
    failure: Failure | None = None
    """Why nothing was bought, where somebody was told."""

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Posting":
        """The posting that was written as JSON. Raises ValueError, TypeError, KeyError."""
        first, failure = values["first_byte_at"], values.get("failure")
        read = {
            "intent": Intent.of(values["intent"]),
            "usage": Usage(**values["usage"]),
            "finished_at": datetime.fromisoformat(values["finished_at"]),
            "first_byte_at": datetime.fromisoformat(first) if first else None,
            "failure": Failure(**failure) if failure else None,
        }
        return cls(**{**values, **read})


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call that was refused before anything was held, and what its caller was told."""

    refusal_id: str
    owners: Owners
    token: str
    tags: tuple[str, ...]
    request_id: str
    call_type: str
    model: str
    at: datetime
    status: int
    kind: str
    message: str
    session_id: str = ""
    log_metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CounterRef:
    """Names one budget window of one scope; `model` is an entry as in model lists, '' for every model."""

    scope: str
    model: str
    window: Window

    @property
    def counter(self) -> str:
        return f"{self.scope}#{self.model}|{self.window.ident}" if self.model else f"{self.scope}|{self.window.ident}"

    @classmethod
    def named(cls, counter: str, now: datetime, *, zone: ZoneInfo) -> "CounterRef":
        """The window that a counter's name stands for. Raises ValueError."""
        owner, _, ident = counter.rpartition("|")
        scope, _, model = owner.partition("#")
        return cls(scope, model, window_of(ident, now, zone=zone))

    def has(self, scopes: Sequence[str], model: str, admitted_at: datetime) -> bool:
        """Whether a call on `scopes` belongs to this window, whatever budgets there were when it was admitted."""
        start, end = self.window.start, self.window.end
        return (
            (self.scope in scopes or self.scope == PLATFORM_SCOPE)
            and (not self.model or matches(self.model, model) or share_of(self.scope, self.model) in scopes)
            and (start is None or admitted_at >= start)
            and (end is None or admitted_at < end)
        )


@dataclass(frozen=True, slots=True)
class CounterLoad:
    """What the ledger knows of one budget window, in nano-USD by slice (0 where the window has no slices).

    `pending` are the holds that are still open on it: id, amount, end of the lease in seconds since 1970, slice.
    """

    spent: tuple[tuple[int, int], ...]
    pending: tuple[tuple[str, int, float, int], ...]


class Authority(NamedTuple):
    """Who judges an organization's budgets: the counter store, or SQL itself while `sql_until` is set."""

    epoch: int
    sql_until: datetime | None


@dataclass(frozen=True, slots=True)
class SqlHold:
    """A call for SQL to judge, in nano-USD. `budgets` are its hard ones, each with its place in the call's plan.

    `least_nano` is what makes sense of a call that may be lowered to a fair share among `peers`. `until`: how long
    SQL shall go on judging at least; None if this worker reaches the counter store. `versions`: of every scope whose
    policy the call was admitted by.
    """

    intent: Intent
    budgets: tuple[tuple[int, CounterRef, int], ...]
    least_nano: int | None = None
    peers: int = 1
    until: datetime | None = None
    versions: tuple[tuple[str, int], ...] = ()


def crossing_name(counter: str, *, rolling: bool, at: datetime) -> str:
    """Under what a crossing is noted once. A rolling window never ends: there it is once a day (UTC)."""
    return f"{counter}@{at.astimezone(UTC):%Y-%m-%d}" if rolling else counter


@dataclass(frozen=True, slots=True)
class Crossing:
    """A soft budget was crossed in one of its windows; nano-USD. `counter` is a `crossing_name`."""

    scope: str
    counter: str
    soft_nano: int
