"""What the gateway hands to the ledger. Pure: no Django, no I/O.

An `Intent` becomes a hold row before the send, a `Posting` a ledger entry after it.
"""

from dataclasses import dataclass
from datetime import datetime

from keys.grants import Owners
from spend.pricing import Usage

UPSTREAM, ESTIMATED, ORPHAN = "upstream", "estimated_partial", "estimated_orphan"


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class CounterLoad:
    """What the ledger knows of one budget window: spent, and every pending hold on it (id, amount, lease)."""

    spent_nano: int
    pending: tuple[tuple[str, int, float], ...]
