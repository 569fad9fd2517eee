"""Entries and failed attempts in the shape of LiteLLM's spend log. `spend` is exact USD; never a prompt."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keys.models import MASTER_ID
from spend.breakdown import cost_breakdown
from spend.error_classes import error_class
from spend.models import Hold, LedgerEntry, Refusal
from spend.pricing import PriceCard
from spend.wire import ORPHAN
from teams.actors import MASTER
from teams.money import usd_from_nano
from teams.rows import organization_id

#: What a row shows of others, to be selected with it.
OWNERS = ("organization", "key", "team", "user", "customer")
#: What LiteLLM calls the kinds of calls in its log.
_CALL_TYPES = {
    "chat": "acompletion",
    "completion": "atext_completion",
    "embedding": "aembedding",
    "image": "aimage_generation",
    "moderation": "amoderation",
}


def log_row(entry: LedgerEntry, cards: Mapping[int, PriceCard]) -> dict[str, Any]:
    """One posting; `cards` has the price it was charged with, by its id."""
    return {
        "request_id": entry.response_id or entry.request_id,
        "spend": usd_from_nano(entry.amount_nano),
        "total_tokens": entry.input_tokens + entry.output_tokens,
        "prompt_tokens": entry.input_tokens,
        "completion_tokens": entry.output_tokens,
        "endTime": entry.finished_at,
        # An answer that was no stream begins when it is there; of an unknown outcome nobody saw one.
        "completionStartTime": entry.first_byte_at or (None if entry.usage_source == ORPHAN else entry.finished_at),
        "request_duration_ms": _milliseconds(entry.admitted_at, entry.finished_at),
        **_attribution(entry),
        "status": "success",
        "metadata": _whose(entry) | {"status": "success", "error_information": None} | _amounts(entry, cards),
    }


def failed_row(hold: Hold) -> dict[str, Any]:
    """One attempt that was called off and cost nothing. Older ones have neither an end nor a reason."""
    told = None
    if hold.error_status is not None:
        told = _told(hold.error_status, hold.error_kind or "", hold.error_message or "", hold.provider)
    return {
        "request_id": hold.request_id,
        "spend": usd_from_nano(0),
        "total_tokens": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "endTime": hold.failed_at,
        "completionStartTime": None,
        "request_duration_ms": _milliseconds(hold.admitted_at, hold.failed_at) if hold.failed_at else None,
        **_attribution(hold),
        "status": "failure",
        "metadata": _whose(hold) | {"status": "failure", "error_information": told, "hold_id": hold.pk},
    }


def refused_row(refusal: Refusal) -> dict[str, Any]:
    """A call that was refused before anything was held, and what its caller was told."""
    told = _told(refusal.status, refusal.kind, refusal.message, "")
    return {
        "request_id": refusal.request_id,
        "spend": usd_from_nano(0),
        "total_tokens": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "endTime": refusal.admitted_at,
        "completionStartTime": None,
        "request_duration_ms": 0,
        **_attribution(refusal),
        "status": "failure",
        "metadata": _whose(refusal) | {"status": "failure", "error_information": told},
    }


def _told(status: int, kind: str, message: str, provider: str) -> dict[str, Any]:
    return {
        "error_code": str(status),
        "error_class": error_class(status, kind),
        "error_type": kind,
        "error_message": message,
        "traceback": "",
        "llm_provider": provider,
    }


def _milliseconds(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() * 1000)


def _attribution(row: Hold | LedgerEntry | Refusal) -> dict[str, Any]:
    return {
        "litellm_call_id": row.request_id,
        "call_type": _CALL_TYPES.get(row.call_type, row.call_type),
        "api_key": row.token or (row.key.token if row.key else ""),
        "startTime": row.admitted_at,
        "model": row.upstream_model or row.model,
        "model_group": row.model,
        "model_id": row.deployment,
        "custom_llm_provider": row.provider,
        # Addresses are known only above this app.
        "api_base": "",
        "user": _user_id(row),
        "team_id": row.team.public_id if row.team else None,
        "organization_id": organization_id(row.organization),
        "end_user": row.customer.public_id if row.customer else "",
        "cache_hit": "False",
        "cache_key": "",
        "request_tags": row.tags,
        "requester_ip_address": None,
        "messages": {},
        "response": {},
        "proxy_server_request": {},
        # All attempts of one call, and their corrections, are one session, unless the client named a longer one.
        "session_id": row.session_id or row.request_id,
        "mcp_namespaced_tool_name": None,
        "agent_id": None,
    }


def _user_id(row: Hold | LedgerEntry | Refusal) -> str:
    """The books know nobody of a call with the master key; clients know its holder by this id."""
    if row.user is not None:
        return row.user.public_id
    return MASTER.label if row.key is not None and row.key.public_id == MASTER_ID else ""


def _whose(row: Hold | LedgerEntry | Refusal) -> dict[str, Any]:
    """Whose call it was."""
    return {
        "user_api_key": row.token,
        "user_api_key_alias": row.key.alias if row.key else None,
        "user_api_key_user_id": _user_id(row) or None,
        "user_api_key_team_id": row.team.public_id if row.team else None,
        "user_api_key_team_alias": row.team.name if row.team else None,
        "user_api_key_org_id": organization_id(row.organization),
        "spend_logs_metadata": row.log_metadata,
        "guardrail_information": None,
    }


def _amounts(entry: LedgerEntry, cards: Mapping[int, PriceCard]) -> dict[str, Any]:
    """Where the amount comes from."""
    return {
        "kind": entry.kind,
        "usage_source": entry.usage_source,
        "usage_object": {
            "prompt_tokens": entry.input_tokens,
            "completion_tokens": entry.output_tokens,
            "total_tokens": entry.input_tokens + entry.output_tokens,
            "cached_tokens": entry.cached_tokens,
            "cache_write_tokens": entry.cache_write_tokens,
            "reasoning_tokens": entry.reasoning_tokens,
            **entry.further_usage,
        },
        "amount_nano_usd": entry.amount_nano,
        "cost_breakdown": cost_breakdown(entry, cards),
        "price_id": entry.price_id,
        "hold_id": entry.hold_id,
        "overrun": entry.overrun,
    }
