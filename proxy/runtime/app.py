"""The gateway as a plain ASGI application: what one worker is made of, and how a request enters it."""

import asyncio
import contextlib
import itertools
import os
import re
import signal
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

from keys.secrets import shown_path
from proxy.runtime import admission, chain, errors, health, ids, listing, metrics, relay, routes
from proxy.runtime.config import GatewayConfig
from proxy.runtime.counters import CounterStore
from proxy.runtime.epochs import Epochs
from proxy.runtime.grants import Grants
from proxy.runtime.holds import Holds
from proxy.runtime.journal import BooksUnavailable, Journal
from proxy.runtime.releases import Releases
from proxy.runtime.request import Receive, Request, Send
from proxy.runtime.settlement import Settlement
from proxy.runtime.spooling import Spooling
from proxy.runtime.store_protocol import StoreFacts
from proxy.runtime.streams import Streams
from proxy.runtime.turned_away import TurnedAway
from proxy.runtime.upstream import AiohttpClient, UpstreamClient
from proxy.version import TOLD

log = structlog.get_logger()
_REQUEST_ID = re.compile(r"^[A-Za-z0-9_.:-]{1,64}$")


def utc_now() -> datetime:
    return datetime.now(UTC)


def replace_the_worker(task: "asyncio.Task[None]") -> None:
    """Without its background work a worker would take calls that nobody posts: it ends, and another one starts."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("background work failed: this worker ends", work=task.get_name(), exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)


class Gateway:
    def __init__(
        self,
        config: GatewayConfig,
        journal: Journal,
        *,
        upstream: UpstreamClient | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.config, self.journal, self.clock = config, journal, clock
        self.store = CounterStore(config.redis_url, self._meet_store, timeout_seconds=config.store_timeout_seconds)
        self.epochs = Epochs(self.store, journal)
        self.upstream: UpstreamClient = upstream or AiohttpClient()
        self.grants = Grants(journal, clock)
        self.spooling = Spooling(journal, self.store, self.grants, config, clock)
        releases = Releases(self.store, journal, config.workers, clock)
        self.holds = Holds(self.store, journal, self.epochs, config, clock, self.spooling, releases)
        self.settlement = Settlement(journal, self.store, releases, config.lease_seconds, clock, self.spooling)
        self.turned_away = TurnedAway(journal, clock)
        self.streams = Streams(
            stall_seconds=config.client_stall_seconds,
            drain_seconds=config.drain_seconds,
            most_drained=config.most_drained,
        )
        self._turns = itertools.count()
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.journal.start()
        self.store.start()
        self.spooling.start()
        await self.upstream.__aenter__()
        await self.store.wait_until_available(3)
        self._background = [
            asyncio.create_task(self._warm_up(), name="warm-up"),
            asyncio.create_task(self.grants.follow_changes(self._cut_revoked), name="follow-changes"),
            asyncio.create_task(self.streams.give_up_the_lost(loop.time), name="give-up-the-lost"),
            asyncio.create_task(self._cut_expired(), name="cut-expired"),
            asyncio.create_task(metrics.keep_shared(), name="share-metrics"),
            asyncio.create_task(self.settlement.run(), name="post"),
            asyncio.create_task(self.turned_away.run(), name="note-refusals"),
            asyncio.create_task(self.settlement.keep_leases(), name="keep-leases"),
            asyncio.create_task(self.spooling.follow(), name="follow-spool"),
        ]
        for task in self._background:
            task.add_done_callback(replace_the_worker)

    async def stop(self) -> None:
        """Post everything that is still open, then let go of the connections."""
        await self.settlement.idle(30)
        metrics.share()
        for task in self._background:
            task.cancel()
        await self.turned_away.flush()
        await self.store.stop()
        await self.spooling.stop()
        await self.journal.stop()
        await self.upstream.__aexit__(None, None, None)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        send_start = _Started(send)
        request = Request.from_scope(scope, receive, send_start, self.config.rules.key_header)
        given = request.headers.get("x-litellm-call-id") or request.headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.match(given) else ids.request_id()
        try:
            await self._answer(request, request_id)
        except errors.GatewayError as error:
            await self._refuse(send_start, error, request_id)
        except errors.Unavailable as away:
            await self._refuse(send_start, away.told(), request_id)
        except Exception:
            log.exception("request failed", request_id=request_id, path=request.path)
            failure = errors.GatewayError(500, "internal_server_error", "something went wrong here; it has been logged")
            await self._refuse(send_start, failure, request_id)

    async def _warm_up(self) -> None:
        """Read the catalog before the first call needs it."""
        with contextlib.suppress(BooksUnavailable):
            await self.grants.catalog()

    async def _meet_store(self, facts: StoreFacts) -> None:
        if facts.evicts:
            log.warning("the counter store evicts entries when it is full: set maxmemory-policy to noeviction")
        if self.config.durability == "fast" and not facts.keeps_file:
            log.warning("the counter store keeps no append-only file, which `fast` relies on: set appendonly to yes")
        await self.epochs.meet_server(facts.run_id)

    async def _cut_revoked(self, scopes: set[str]) -> None:
        if self.config.cut_revoked_streams:
            for stream in self.streams.touching(scopes):
                await admission.cut_if_refused(self, stream)

    async def _cut_expired(self) -> None:
        """Keys expire without anybody announcing it."""
        while self.config.cut_revoked_streams:
            await asyncio.sleep(0.5)
            for stream in self.streams.all():
                if self.grants.is_over(stream.token):
                    await admission.cut_if_refused(self, stream)

    async def settled_shortly(self) -> None:
        """Before a budget refuses: wait a moment for calls that are over but not yet settled."""
        await self.settlement.idle(0.25)

    def turn(self) -> int:
        return next(self._turns)

    async def _answer(self, request: Request, request_id: str) -> None:
        if request.path in health.PATHS:
            await health.serve(self, request)
            return
        if request.path == metrics.PATH:
            await metrics.serve(self, request)
            return
        if not self.config.rules.may_come_from(request.client):
            raise errors.forbidden("Access forbidden: IP address not allowed.", "auth_error")
        found = routes.find(request.path)
        if found is None:
            raise errors.GatewayError(404, "not_found_error", f"there is no {shown_path(request.path)} here")
        route, named = found
        if request.method != route.method:
            raise errors.GatewayError(
                405,
                "invalid_request_error",
                f"use {route.method} for {shown_path(request.path)}",
                None,
                {"allow": route.method},
            )
        if route in (routes.MODELS, routes.MODEL):
            await listing.serve(self, request, route, named)
        else:
            await chain.serve(self, request, request_id, route, named)

    async def _refuse(self, send: "_Started", error: errors.GatewayError, request_id: str) -> None:
        """Answer with the error, unless an answer is under way already."""
        if not send.started:
            headers = {
                "content-type": "application/json",
                "x-request-id": request_id,
                "x-litellm-call-id": request_id,
                "x-litellm-version": TOLD,
                **error.headers,
            }
            await relay.send_whole(send, error.status, error.body(), headers)


class _Started:
    """Remembers whether a response was started."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if not self.started:
            self.started = True
            metrics.answered(message["status"])
        await self._send(message)
