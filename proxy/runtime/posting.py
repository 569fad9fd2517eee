"""From the outcome of an attempt to what is posted for it. Pure."""

from datetime import datetime

from proxy.runtime.catalog import Target
from proxy.runtime.holds import Held
from proxy.runtime.relay import Outcome
from spend.pricing import Charge, Usage, charge_for, usd_from_nano
from spend.wire import ESTIMATED, UPSTREAM, Posting


def nothing(held: Held, now: datetime) -> Posting:
    """The provider was not reached or refused: the hold is released and nothing is charged."""
    return Posting(held.intent, None, 0, Usage(), UPSTREAM, "", now, None)


def of(held: Held, target: Target, outcome: Outcome, now: datetime) -> Posting:
    """Reported usage at its price; without a report the estimate, which says that it is one."""
    usage = outcome.usage or _received(held, outcome)
    charge = Charge(0, 0) if target.is_free or target.price is None else charge_for(usage, target.price)
    nano = charge.nano if outcome.usage else min(charge.nano, held.intent.amount_nano)
    return Posting(
        intent=held.intent,
        amount_nano=nano,
        residue_pico=charge.residue_pico if nano == charge.nano else 0,
        usage=usage,
        usage_source=UPSTREAM if outcome.usage else ESTIMATED,
        response_id=outcome.response_id,
        finished_at=now,
        first_byte_at=outcome.first_byte_at,
    )


def usd(nano: int) -> str:
    """An amount for a header, without an exponent."""
    return f"{usd_from_nano(nano):f}"


def _received(held: Held, outcome: Outcome) -> Usage:
    """No text has more tokens than bytes, so what was received bounds the output."""
    return Usage(held.intent.input_estimate, min(held.intent.output_cap, outcome.received_bytes))
