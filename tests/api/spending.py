"""Calls that were made, for tests of what is told about them."""

from datetime import datetime
from typing import Any

from keys.models import VirtualKey
from spend import services
from spend.pricing import Usage
from tests.factories import NOON, intent_for, posting_of

DAY = {"start_date": "2026-03-10", "end_date": "2026-03-10"}


def spend(key: VirtualKey, nano: int | None, *, at: datetime = NOON, usage: Usage | None = None, **fields: Any) -> None:
    """One call of `key`; without an amount one that failed and cost nothing, for the reason that `failure` gives."""
    of_posting = {
        name: fields.pop(name) for name in ("failure", "finished_at", "first_byte_at", "usage_source") if name in fields
    }
    of_posting["response_id"] = fields.pop("response_id", "")
    intent = intent_for(key, at=at, **fields)
    services.write_intents([intent])
    posting = posting_of(intent, nano, usage=usage or Usage(input=7, output=5), **of_posting)
    services.post([posting], now=at)
