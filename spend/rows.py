"""What the gateway hands over, as rows of holds and ledger entries. Columns and values side by side."""

from datetime import datetime
from typing import Any

from spend.bulk import Insert, Row, Update
from spend.models import Hold, LedgerEntry, Refusal
from spend.wire import ORPHAN, Intent, Posting, RefusedCall

_ATTRIBUTION = (
    "organization_id", "key_id", "team_id", "member_id", "user_id", "customer_id", "request_id", "call_type",
    "model", "deployment", "provider", "upstream_model", "admitted_at", "token", "tags",
    "session_id", "log_metadata", "degraded",
)  # fmt: skip

_HOLD = (
    *_ATTRIBUTION, "id", "state", "epoch", "platform_epoch", "amount_nano", "counters", "scopes", "price_id",
    "input_estimate", "output_cap", "attempt", "lease_until",
)  # fmt: skip
_FAILURE = ("failed_at", "error_status", "error_kind", "error_message")

HOLDS = Insert(Hold, _HOLD)
#: Resolves pending holds that were called off, each with the reason.
VOIDS = Update(Hold, ("id", "state", *_FAILURE), where="spend_hold.state = 'pending'")
#: Holds that nobody has written down when they are called off.
BURIED = Insert(Hold, (*_HOLD, *_FAILURE))
ENTRIES = Insert(
    LedgerEntry,
    (
        *_ATTRIBUTION, "hold_id", "kind", "amount_nano", "residue_pico", "price_id", "input_tokens", "output_tokens",
        "cached_tokens", "cache_write_tokens", "reasoning_tokens", "further_usage", "usage_source",
        "overrun", "response_id", "scopes", "finished_at", "first_byte_at", "posted_at",
    ),
)  # fmt: skip


REFUSALS = Insert(Refusal, (*_ATTRIBUTION, "id", "status", "kind", "message"))


def refusal_row(call: RefusedCall) -> Row:
    owners = call.owners
    return (
        owners.organization_id, owners.key_id, owners.team_id, owners.member_id, owners.user_id, None, call.request_id,
        call.call_type, call.model, "", "", "", call.at, call.token, call.tags, call.session_id or None,
        call.log_metadata, False, call.refusal_id, call.status, call.kind, call.message,
    )  # fmt: skip


def hold_row(intent: Intent, state: Hold.State = Hold.State.PENDING) -> Row:
    return (
        *_attribution(intent), intent.hold_id, state.value, intent.epoch, intent.platform_epoch, intent.amount_nano,
        intent.counters, intent.scopes, intent.price_id, intent.input_estimate, intent.output_cap, intent.attempt,
        intent.lease_until,
    )  # fmt: skip


def void_row(posting: Posting) -> Row:
    return posting.intent.hold_id, Hold.State.VOID.value, *_failure(posting)


def buried_row(posting: Posting) -> Row:
    return *hold_row(posting.intent, Hold.State.VOID), *_failure(posting)


def entry_row(posting: Posting, now: datetime) -> Row:
    intent, usage, amount_nano = posting.intent, posting.usage, posting.amount_nano or 0
    return (
        *_attribution(intent), intent.hold_id, LedgerEntry.Kind.CHARGE.value, amount_nano, posting.residue_pico,
        intent.price_id, usage.input, usage.output, usage.cached, usage.cache_write, usage.reasoning,
        usage.further(), posting.usage_source, amount_nano > intent.amount_nano, posting.response_id[:255],
        intent.scopes, posting.finished_at, posting.first_byte_at, now,
    )  # fmt: skip


def orphan_row(hold: Hold, now: datetime) -> Row:
    """An orphan is charged what was held; its tokens are the estimate the hold was made from."""
    return (
        *attribution_of(hold).values(), hold.pk, LedgerEntry.Kind.CHARGE.value, hold.amount_nano, 0,
        hold.price_id, hold.input_estimate, hold.output_cap, 0, 0, 0, {},
        ORPHAN, False, "", hold.scopes,
        now, None, now,
    )  # fmt: skip


def attribution_of(row: Hold | LedgerEntry) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _ATTRIBUTION}


def _failure(posting: Posting) -> Row:
    told = posting.failure
    return (posting.finished_at, *((told.status, told.kind, told.message) if told else (None, None, None)))


def _attribution(intent: Intent) -> Row:
    owners = intent.owners
    return (
        owners.organization_id, owners.key_id, owners.team_id, owners.member_id, owners.user_id, intent.customer_id,
        intent.request_id, intent.call_type, intent.model, intent.deployment, intent.provider,
        intent.upstream_model, intent.admitted_at, intent.token, intent.tags,
        intent.session_id or None, intent.log_metadata, intent.degraded,
    )  # fmt: skip
