"""Reading what was spent: the amounts beside limits, and the rows of the spend log."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils import timezone

from spend.models import Crossing, LedgerEntry
from spend.spent import Stretch, spent_by_window, spent_in, spent_now
from spend.wire import CounterRef
from teams.models import Limits
from teams.money import usd_from_nano
from teams.rows import current_window


def window_spend(scopes: Iterable[Limits]) -> dict[str, int]:
    """Nano-USD posted in the current budget window of each scope (its lifetime if it has no duration)."""
    return spent_now(scopes, now=timezone.now())


def lifetime_spend(scopes: Iterable[Limits]) -> dict[str, int]:
    """Nano-USD posted ever to each scope."""
    return {stretch.scope: nano for stretch, nano in spent_in(Stretch(one.scope, None) for one in scopes).items()}


def every_window_spend(scopes: Iterable[Limits]) -> dict[tuple[str, str, str], int]:
    """Nano-USD posted in the current window of every budget of each scope, by scope, model and duration."""
    return spent_by_window(scopes, now=timezone.now())


def soft_crossings(scopes: Iterable[Limits]) -> dict[str, datetime]:
    """When each scope crossed the soft budget of its main budget's current window; the others are left out."""
    now = timezone.now()
    counters = {CounterRef(one.scope, "", current_window(one, now)).counter: one.scope for one in scopes}
    rows = Crossing.objects.filter(counter__in=counters, kind=Crossing.Kind.SOFT).values_list("counter", "at")
    return {counters[counter]: at for counter, at in rows}


def log_row(entry: LedgerEntry) -> dict[str, Any]:
    """One posting in the shape of LiteLLM's spend log. `spend` is exact USD."""
    return {
        "request_id": entry.response_id or entry.request_id,
        "litellm_call_id": entry.request_id,
        "call_type": entry.call_type,
        "api_key": entry.token or (entry.key.token if entry.key else ""),
        "spend": usd_from_nano(entry.amount_nano),
        "total_tokens": entry.input_tokens + entry.output_tokens,
        "prompt_tokens": entry.input_tokens,
        "completion_tokens": entry.output_tokens,
        "startTime": entry.admitted_at,
        "endTime": entry.finished_at,
        "completionStartTime": entry.first_byte_at,
        "request_duration_ms": round((entry.finished_at - entry.admitted_at).total_seconds() * 1000),
        "model": entry.upstream_model,
        "model_group": entry.model,
        "model_id": entry.deployment,
        "custom_llm_provider": entry.provider,
        "api_base": "",
        "user": entry.user.public_id if entry.user else "",
        "team_id": entry.team.public_id if entry.team else None,
        "organization_id": entry.organization.public_id,
        "end_user": entry.customer.public_id if entry.customer else "",
        "cache_hit": "False",
        "cache_key": "",
        "request_tags": entry.tags,
        "requester_ip_address": None,
        "messages": {},
        "response": {},
        "proxy_server_request": {},
        "session_id": None,
        "status": "success",
        "metadata": _metadata(entry),
    }


def _metadata(entry: LedgerEntry) -> dict[str, Any]:
    """Whose call it was, and where its amount comes from."""
    return {
        "user_api_key": entry.token,
        "user_api_key_alias": entry.key.alias if entry.key else None,
        "user_api_key_user_id": entry.user.public_id if entry.user else None,
        "user_api_key_team_id": entry.team.public_id if entry.team else None,
        "user_api_key_team_alias": entry.team.name if entry.team else None,
        "user_api_key_org_id": entry.organization.public_id,
        "status": "success",
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
        "price_id": entry.price_id,
        "hold_id": entry.hold_id,
        "overrun": entry.overrun,
    }
