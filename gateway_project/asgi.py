"""One ASGI application, chosen by path before Django: LLM routes go to the gateway, the rest to Django.

`LATCHKEY_ROLE` (set by `manage.py gateway` and `manage.py web`) leaves one of the two out.
"""

import gc
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # The admin's theme imports PostgreSQL's driver wherever it is installed: 10 MB that no worker uses on SQLite.
    sys.modules.setdefault("psycopg", None)  # type: ignore[arg-type]
django.setup(set_prefix=False)

from gateway_project import browsers  # noqa: E402
from keys.secrets import token_of  # noqa: E402
from proxy import books  # noqa: E402
from proxy.runtime import faults, health, metrics, routes, websocket  # noqa: E402
from proxy.runtime.app import Gateway  # noqa: E402
from proxy.runtime.config import GatewayConfig, OutagePolicy  # noqa: E402
from proxy.runtime.journal import Journal  # noqa: E402

Message = MutableMapping[str, Any]
faults.arm(settings.FAULT_AT)
_role = os.environ.get("LATCHKEY_ROLE", "all")
_django: Callable[..., Awaitable[None]] = get_asgi_application()
_gateway = Gateway(
    GatewayConfig(
        redis_url=settings.REDIS_URL,
        master_token=token_of(settings.MASTER_KEY),
        max_body_bytes=settings.GATE_RULES.max_body_bytes or settings.MAX_BODY_BYTES,
        lease_seconds=settings.HOLD_LEASE_SECONDS,
        default_output_tokens=settings.DEFAULT_OUTPUT_TOKENS,
        budget_status=settings.BUDGET_STATUS,
        durability=settings.DURABILITY,
        cut_revoked_streams=settings.CUT_REVOKED_STREAMS,
        client_stall_seconds=settings.CLIENT_STALL_SECONDS,
        drain_seconds=settings.DRAIN_SECONDS,
        unbudgeted_without_store=settings.UNBUDGETED_WITHOUT_STORE,
        workers=int(os.environ.get("LATCHKEY_WORKERS", "1")),
        store_timeout_seconds=settings.STORE_TIMEOUT_MS / 1000,
        outage=OutagePolicy(
            budgets_without_store=settings.BUDGETS_WITHOUT_STORE,
            takeover_seconds=settings.TAKEOVER_MS / 1000,
            allowance_nano=settings.OUTAGE_ALLOWANCE_NANO,
            budgets_without_database=settings.BUDGETS_WITHOUT_DATABASE,
            unbudgeted_without_database=settings.UNBUDGETED_WITHOUT_DATABASE,
            spool_folder=str(settings.DATA_DIR / "spool"),
            spool_bytes=settings.SPOOL_BYTES,
            spool_seconds=settings.SPOOL_SECONDS,
        ),
        rules=settings.GATE_RULES,
    ),
    Journal(books.lanes(), patience_seconds=settings.DATABASE_TIMEOUT_MS / 1000),
)


async def _serve(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http" and _role != "web" and (_role == "gateway" or _is_ours(scope["path"])):
        await _gateway(scope, receive, send)
    elif scope["type"] == "http":
        await _django(scope, receive, send)
    elif _role == "web":
        await websocket.refuse(send)
    else:
        await websocket.serve(_gateway, scope, receive, send)


def _is_ours(path: str) -> bool:
    return routes.find(path) is not None or path in health.PATHS or path == metrics.PATH


def _leave_alone_what_stays() -> None:
    """What is loaded by now stays for good: looking through it again and again would hold up calls for 0.1 s each time.

    Calls free what they make by themselves, so that a look at the rest is seldom worth its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _lifespan(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            if _role != "web":
                await _gateway.start()
            _leave_alone_what_stays()
            await send({"type": "lifespan.startup.complete"})
        else:
            if _role != "web":
                await _gateway.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return


application = browsers.open_to(settings.CORS_ORIGINS, _serve)
