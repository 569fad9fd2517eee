"""Handshakes of realtime clients: judged like every call, answered with a close code, never with a crash."""

from collections.abc import MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from keys.grants import Grant, Owners, ScopePolicy
from keys.secrets import token_of
from proxy.runtime import websocket
from proxy.runtime.config import GatewayConfig
from proxy.runtime.counters import StoreUnavailable
from proxy.runtime.identify import unknown_key

KEY = "sk-custom-key-0123456789"
CONFIG = GatewayConfig("redis://", token_of("sk-master-key-0123456789"))
GRANT = Grant(token_of(KEY), "k", Owners(1, 1), "UTC", (ScopePolicy("key:1", "key 'k'", 1),))


async def _answers(headers: dict[str, str], *, path: str = "/v1/realtime", protocols: list[str] | None = None,
                   grant: Grant = GRANT, error: Exception | None = None) -> list[MutableMapping[str, Any]]:  # fmt: skip
    async def get(token: str) -> Grant:
        if error is not None:
            raise error
        if token != grant.token:
            raise unknown_key()
        return grant

    async def fresh(organization: int, policies: object) -> None: ...

    gateway: Any = SimpleNamespace(
        config=CONFIG,
        grants=SimpleNamespace(get=get),
        holds=SimpleNamespace(refuse_stale=fresh),
        clock=lambda: datetime.now(UTC),
    )
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "websocket", "path": path, "headers": raw, "subprotocols": protocols or []}
    await websocket.serve(gateway, scope, receive, send)
    return sent


async def test_a_good_key_is_told_that_realtime_is_not_served() -> None:
    for headers, protocols in (
        ({"authorization": f"Bearer {KEY}"}, []),
        ({"api-key": KEY}, []),
        ({}, ["realtime", f"openai-insecure-api-key.{KEY}"]),
    ):
        accept, close = await _answers(headers, protocols=protocols)
        assert accept == {"type": "websocket.accept", "subprotocol": "realtime" if protocols else None}
        assert (close["code"], "not served" in close["reason"]) == (4501, True)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nonsense"}, {"api-key": "sk-unknown-0123456789"}])
async def test_a_failed_authentication_closes_with_1008(headers: dict[str, str]) -> None:
    _, close = await _answers(headers)
    assert (close["type"], close["code"]) == ("websocket.close", 1008)
    assert 0 < len(close["reason"].encode()) <= 123


async def test_a_blocked_key_closes_with_1008() -> None:
    blocked = replace(GRANT, chain=(replace(GRANT.key, blocked=True),))
    _, close = await _answers({"api-key": KEY}, grant=blocked)
    assert (close["code"], "Key is blocked" in close["reason"]) == (1008, True)


async def test_what_breaks_here_is_not_blamed_on_the_key() -> None:
    assert (await _answers({"api-key": KEY}, error=StoreUnavailable("x")))[1]["code"] == 1013
    assert (await _answers({"api-key": KEY}, error=RuntimeError("inside")))[1]["code"] == 1011


async def test_a_handshake_on_another_path_fails() -> None:
    assert [m["type"] for m in await _answers({"api-key": KEY}, path="/ws/admin")] == ["websocket.close"]
