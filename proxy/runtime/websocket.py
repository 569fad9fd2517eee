"""WebSocket handshakes: who calls is judged as everywhere else. Realtime calls themselves are not served yet."""

from typing import TYPE_CHECKING

import structlog

from proxy.runtime import errors, listing, permit
from proxy.runtime.identify import identify, with_subprotocol_key
from proxy.runtime.request import Message, Receive, Send, headers_of

if TYPE_CHECKING:
    from proxy.runtime.app import Gateway

log = structlog.get_logger()
_PATHS = frozenset({"/realtime", "/v1/realtime", "/openai/realtime", "/openai/v1/realtime"})
_POLICY, _TRY_LATER, _BROKEN, _NOT_SERVED = 1008, 1013, 1011, 4501
_LONGEST_REASON = 123


async def serve(gateway: "Gateway", scope: Message, receive: Receive, send: Send) -> None:
    """Answer a handshake. It is accepted first: a close code reaches only a client whose handshake succeeded."""
    if (await receive())["type"] != "websocket.connect":
        return
    if scope["path"] not in _PATHS:
        await refuse(send)
        return
    code, reason = await _judge(gateway, scope)
    offered = scope.get("subprotocols") or []
    await send({"type": "websocket.accept", "subprotocol": "realtime" if "realtime" in offered else None})
    await send(
        {"type": "websocket.close", "code": code, "reason": reason.encode()[:_LONGEST_REASON].decode("utf-8", "ignore")}
    )


async def refuse(send: Send) -> None:
    """Where there is nothing to talk to, the handshake itself fails."""
    await send({"type": "websocket.close", "code": _POLICY})


async def _judge(gateway: "Gateway", scope: Message) -> tuple[int, str]:
    if not gateway.config.rules.may_come_from((scope.get("client") or [""])[0]):
        return _POLICY, "Access forbidden: IP address not allowed."
    try:
        given = with_subprotocol_key(
            headers_of(scope, gateway.config.rules.key_header), scope.get("subprotocols") or []
        )
        token = identify(given, gateway.config.master_token, gateway.config.rules.key_header)
        grant = await listing.current(gateway, token)
        permit.check_status(grant, grant.chain, gateway.clock())
    except errors.GatewayError as error:
        return _POLICY, error.message
    except errors.Unavailable:
        return _TRY_LATER, "not available at the moment; your key is fine, try again shortly"
    except Exception:
        log.exception("handshake failed", path=scope["path"])
        return _BROKEN, "something went wrong here; it has been logged"
    return _NOT_SERVED, "realtime calls are not served here yet; your key is fine"
