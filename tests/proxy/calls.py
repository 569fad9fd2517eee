"""Calls and deployments for tests of the gateway's pure parts."""

import base64
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from proxy.runtime.call import Call, read_call
from proxy.runtime.catalog import Target
from proxy.runtime.routes import CHAT, Route
from spend.pricing import PriceCard, Schedule, rates_from

START = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = {"input": "0.0000025", "output": "0.00001"}


def priced(services: dict[str, Schedule] | None = None, **usd: str) -> PriceCard:
    return PriceCard(1, START, schedule(**usd), services or {})


def schedule(**usd: str) -> Schedule:
    return Schedule(rates_from({name: Decimal(text) for name, text in (PLAIN | usd).items()}))


def target(**fields: Any) -> Target:
    values: dict[str, Any] = {
        "deployment": "d-1",
        "model": "house",
        "provider": "openai",
        "upstream_model": "gpt-4o",
        "base_url": "https://api.openai.com/v1",
        "secret": "",
        "max_input_tokens": 128_000,
        "max_output_tokens": 16_384,
        "price": priced(),
        "is_free": False,
        "timeout_seconds": 60,
        "max_retries": 0,
    }
    return Target(**values | fields)


def call(route: Route = CHAT, **body: Any) -> Call:
    prompt = {"messages": [{"role": "user", "content": "hi"}]} if route is CHAT else {}
    return read_call(route, orjson.dumps({"model": "house"} | prompt | body), "", {})


def said(*parts: Any) -> list[dict[str, Any]]:
    """One message of the user's, of these content parts."""
    return [{"role": "user", "content": list(parts)}]


def wave(seconds: int, rate: int = 16_000, kind: int = 1) -> str:
    """A mono recording of 16 bits a sample, in base64."""
    size = seconds * rate * 2
    head = b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    head += kind.to_bytes(2, "little") + (1).to_bytes(2, "little") + rate.to_bytes(4, "little")
    head += (rate * 2).to_bytes(4, "little") + (2).to_bytes(2, "little") + (16).to_bytes(2, "little")
    return base64.b64encode(head + b"data" + size.to_bytes(4, "little") + bytes(size)).decode()
