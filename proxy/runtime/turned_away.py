"""Calls that are refused before anything is held, noted for who reads the spend log.

A refusal must cost next to nothing, and a flood of them must not fill the database: what waits is bounded, and so is
what is noted per minute, of one key and in all. What is left out is counted. Nobody waits for a note.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from keys.grants import Grant
from proxy.runtime import ids, metrics
from proxy.runtime.call import Call
from proxy.runtime.errors import GatewayError
from proxy.runtime.journal import BooksUnavailable, Journal
from proxy.runtime.reasons import text_of
from spend.wire import RefusedCall

#: Per minute and worker.
MOST_OF_A_KEY, MOST = 30, 300
_EVERY_SECONDS = 1.0
_MOST_KIND, _MOST_MESSAGE = 64, 500


class TurnedAway:
    def __init__(self, journal: Journal, clock: Callable[[], datetime]) -> None:
        self._journal, self._clock = journal, clock
        self._waiting: list[RefusedCall] = []
        self._minute, self._noted, self._of_key = 0, 0, dict[str, int]()
        self._left_out = 0

    def note(
        self, refusal: GatewayError, grant: Grant, request_id: str, call_type: str, call: Call | None = None
    ) -> None:
        """Only what the caller could have done otherwise: a dependency of ours that is down is no refusal."""
        if not 400 <= refusal.status < 500:
            return
        now = self._clock()
        if not self._has_room(grant.token, int(now.timestamp()) // 60):
            self._left_out += 1
            return
        self._waiting.append(
            RefusedCall(
                ids.hold_id(), grant.owners, grant.token, grant.tags, request_id, call_type,
                call.model if call else "", now, refusal.status, text_of(refusal.type, _MOST_KIND),
                text_of(refusal.message, _MOST_MESSAGE), call.session_id if call else "",
                call.log_metadata if call else None,
            )
        )  # fmt: skip

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Hand over what waits; while the database is away it is left out."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            try:
                await self._journal.ask("refusals", waiting)
            except BooksUnavailable:
                self._left_out += len(waiting)
        if self._left_out:
            metrics.UNNOTED.inc(self._left_out)
            self._left_out = 0

    def _has_room(self, token: str, minute: int) -> bool:
        if minute != self._minute:
            self._minute, self._noted, self._of_key = minute, 0, {}
        of_key = self._of_key.get(token, 0)
        if self._noted >= MOST or of_key >= MOST_OF_A_KEY:
            return False
        self._noted, self._of_key[token] = self._noted + 1, of_key + 1
        return True
