"""From the outcome of an attempt to what is posted for it. Pure, but for a line in the log."""

from dataclasses import replace
from datetime import datetime

import structlog

from proxy.fallback_rules import GENERAL
from proxy.runtime import metrics, reasons
from proxy.runtime.catalog import Target
from proxy.runtime.errors import GatewayError
from proxy.runtime.held import Held
from proxy.runtime.relay import Outcome
from spend.pricing import Charge, Usage, charge_for
from spend.wire import ESTIMATED, ORPHAN, UPSTREAM, Failure, Intent, Posting

log = structlog.get_logger()


class SendFailed(Exception):
    """No answer to hand on. `error` is for the caller; the rest tells what the attempt may have cost.

    `unknown`: it was sent, and nothing came back. `outcome`: what a refusal said, in case it reports usage.
    `opens`: the kind of fallbacks that may take over.
    """

    def __init__(
        self, error: GatewayError, *, unknown: bool = False, outcome: Outcome | None = None, opens: str = GENERAL
    ) -> None:
        super().__init__(error.message)
        self.error, self.unknown, self.outcome, self.opens = error, unknown, outcome, opens


def of_failure(held: Held, target: Target, failed: SendFailed, now: datetime) -> Posting:
    """An attempt without an answer costs nothing, unless it was billed or nobody knows."""
    if failed.unknown:
        return unknown(held, now)
    if failed.outcome is not None and failed.outcome.usage is not None:
        return of(held, target, failed.outcome, now)
    return nothing(held.intent, now, reasons.of(failed.error, target.model))


def nothing(intent: Intent, now: datetime, failure: Failure | None = None) -> Posting:
    """The provider was not reached or refused: the hold is released and nothing is charged."""
    return Posting(intent, None, 0, Usage(), UPSTREAM, "", now, None, failure)


def unknown(held: Held, now: datetime) -> Posting:
    """The provider was sent the call and told nothing: it may bill all that was held, so that is charged."""
    intent = held.intent
    metrics.UNKNOWN.inc()
    usage = Usage(intent.input_estimate, intent.output_cap)
    return Posting(intent, intent.amount_nano, 0, usage, ORPHAN, "", now, None)


def of(held: Held, target: Target, outcome: Outcome, now: datetime) -> Posting:
    """Reported usage at its price, all of it; without a report, or after it, the estimate, which says that it is one.

    An answer that brought nothing to estimate by, or nothing that can be read, may be billed like any other.
    """
    if outcome.tells_nothing:
        return unknown(held, now)
    told = outcome.usage
    is_estimate = told is None or outcome.is_told_early
    usage = _with_pieces(_received(held, outcome) if told is None else _in_all(told, held, outcome), held, outcome)
    if is_estimate:
        metrics.ESTIMATED.inc()
    charge = Charge(0, 0) if target.is_free or target.price is None else charge_for(usage, target.price)
    nano = min(charge.nano, held.intent.amount_nano) if told is None else charge.nano
    if nano > held.intent.amount_nano:
        _warn_of_overrun(held, usage, nano)
    return Posting(
        intent=held.intent,
        amount_nano=nano,
        residue_pico=charge.residue_pico if nano == charge.nano else 0,
        usage=usage,
        usage_source=ESTIMATED if is_estimate else UPSTREAM,
        response_id=outcome.response_id,
        finished_at=now,
        first_byte_at=outcome.first_byte_at,
    )


def usd(amount: int, places: int = 9) -> str:
    """Nano-USD (with 12 places: pico-USD) for a header, digit by digit and without an exponent."""
    whole, rest = divmod(abs(amount), 10**places)
    return f"{'-' if amount < 0 else ''}{whole}.{rest:0{places}d}".rstrip("0").rstrip(".")


def _with_pieces(usage: Usage, held: Held, outcome: Outcome) -> Usage:
    """With the service tier, and everything that is charged by the piece: as reported, else as held."""
    bound, searches = held.bound, outcome.searches
    searches = bound.web_searches if searches is None else searches
    pieces = (searches, bound.images, bound.pictures, bound.code_sessions, bound.file_searches)
    if not (outcome.service or any(pieces)):
        return usage
    return replace(
        usage,
        images=bound.images,
        pictures=bound.pictures if outcome.pictures is None else outcome.pictures,
        web_searches=searches,
        code_sessions=bound.code_sessions,
        file_searches=bound.file_searches,
        service=outcome.service,
    )


def _received(held: Held, outcome: Outcome) -> Usage:
    """What was received, not what was delivered."""
    held_for, bound = held.bound, outcome.received_bytes
    if outcome.text_bytes or outcome.given_up:
        bound = _most_tokens(outcome, outcome.pieces, outcome.text_bytes)
    audio, made = min(held_for.audio_input, held_for.input), min(held_for.output, bound)
    return Usage(
        held_for.input,
        made,
        audio_input=audio,
        audio_output=made if held_for.speaks else 0,
        image_input=min(held_for.image_input, held_for.input - audio),
    )


def _in_all(told: Usage, held: Held, outcome: Outcome) -> Usage:
    """What a report tells, and what was received after one that came early."""
    if not outcome.is_told_early:
        return told
    pieces, text_bytes = outcome.told_by
    later = _most_tokens(outcome, outcome.pieces - pieces, outcome.text_bytes - text_bytes)
    made = max(told.output, min(held.bound.output, told.output + later))
    spoken = told.audio_output + (made - told.output if held.bound.speaks else 0)
    return replace(told, output=made, audio_output=spoken)


def _most_tokens(outcome: Outcome, pieces: int, text_bytes: int) -> int:
    """No text has more tokens than bytes, which bounds an answer that came to its end, or that the provider broke off.

    Of a stream that we gave up, a token for each piece of text or three bytes of it, and one more on its way.
    """
    return max(pieces, -(-text_bytes // 3)) + 1 if outcome.given_up else text_bytes


def _warn_of_overrun(held: Held, usage: Usage, nano: int) -> None:
    """A price or an estimate is wrong: the budget was not told of this beforehand."""
    metrics.OVERRUNS.inc()
    intent = held.intent
    log.error(
        "charged more than was held",
        hold=intent.hold_id,
        deployment=intent.deployment,
        upstream_model=intent.upstream_model,
        held_nano=intent.amount_nano,
        charged_nano=nano,
        input_tokens=usage.input,
        input_estimate=intent.input_estimate,
        output_tokens=usage.output,
        output_cap=intent.output_cap,
        further_usage=usage.further(),
    )
