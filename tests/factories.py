"""Keys, holds and postings for tests, made the way the product makes them: through the services."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from keys import services as key_services
from keys.grants import Owners
from keys.models import VirtualKey
from spend.pricing import Usage
from spend.wire import UPSTREAM, Intent, Posting
from teams.actors import MASTER
from teams.scopes import ScopeKind, scope_name

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def issue(**fields: Any) -> tuple[VirtualKey, str]:
    """A saved key and its secret."""
    key = VirtualKey(**fields)
    return key, key_services.issue_key(key, actor=MASTER)


def intent_for(key: VirtualKey, *, amount_nano: int = 1000, at: datetime = NOON, **fields: Any) -> Intent:
    """The intent of one call of `key`, held on the lifetime windows of its organization and itself."""
    scopes = (scope_name(ScopeKind.ORGANIZATION, key.organization_id), key.scope)
    values: dict[str, Any] = {
        "hold_id": f"{next(_numbers):032x}",
        "epoch": key.organization.epoch,
        "amount_nano": amount_nano,
        "counters": tuple(f"{scope}|lifetime" for scope in scopes),
        "scopes": scopes,
        "owners": Owners(key.organization_id, key.pk, key.team_id, None, key.user_id),
        "customer_id": None,
        "request_id": "request-1",
        "call_type": "chat",
        "model": "demo",
        "deployment": "deployment-1",
        "provider": "openai_compatible",
        "upstream_model": "latchkey-demo",
        "price_id": None,
        "input_estimate": 10,
        "output_cap": 20,
        "attempt": 1,
        "admitted_at": at,
        "lease_until": at + timedelta(seconds=60),
        "token": key.token,
        "tags": (),
    }
    return Intent(**values | fields)


def posting_of(intent: Intent, amount_nano: int | None, **fields: Any) -> Posting:
    values: dict[str, Any] = {
        "intent": intent,
        "amount_nano": amount_nano,
        "residue_pico": 0,
        "usage": Usage(input=7, output=5),
        "usage_source": UPSTREAM,
        "response_id": "chatcmpl-1",
        "finished_at": intent.admitted_at + timedelta(seconds=2),
        "first_byte_at": intent.admitted_at + timedelta(seconds=1),
    }
    return Posting(**values | fields)
