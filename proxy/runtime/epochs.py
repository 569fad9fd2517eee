"""The epoch of each organization's counters, and of the platform's, agreed between the ledger and the counter store.

Only the worker that raised an epoch in SQL publishes it, so nothing can have been held in an epoch that the store
lost. A store that is not the one we knew (another run, an older copy, a promoted replica) raises every epoch.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from datetime import datetime
from functools import partial
from typing import Any

from proxy.runtime import scripts
from proxy.runtime.counters import CounterStore
from proxy.runtime.journal import BooksUnavailable, Journal
from spend.wire import Authority, Intent
from teams.scopes import store_prefix

#: Of a row that nobody raised yet, so that nobody is about to publish it.
_FIRST = 1
_PAUSE_SECONDS = 0.02


class Once:
    """Runs one piece of work at a time for each key; whoever asks meanwhile waits for the same result."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Any]] = {}

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(work())
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)


class Epochs:
    def __init__(self, store: CounterStore, journal: Journal, *, looks: int = 15) -> None:
        """`looks`: how often at most the store is asked for an epoch that somebody else raised, until we raise it."""
        self._store, self._journal, self._looks = store, journal, looks
        self._known: dict[int, int] = {}
        self._in_sql: dict[int, datetime] = {}
        """Organizations whose budgets SQL judges, and until when at least, as this worker last heard."""
        self._run_id = ""
        self._carried = 0
        self._once = Once()

    async def current(self, organization: int) -> int:
        """The epoch as this worker last saw it. Raises BooksUnavailable."""
        known = self._known.get(organization)
        if known is None:
            found: int = await self._once.run(("look", organization), lambda: self._look(organization))
            return found
        return known

    def in_sql(self, organization: int) -> bool:
        """Whether SQL judges the organization's budgets, as far as this worker knows."""
        return organization in self._in_sql

    def forget(self, organization: int) -> None:
        self._known.pop(organization, None)

    async def hand_to_sql(self, organization: int, until: datetime) -> None:
        """Have SQL judge the organization's budgets. Raises BooksUnavailable."""
        work = partial(self._journal.ask, "takeovers", (organization, until))
        self._note(organization, await self._once.run(("to sql", organization), work))

    async def take_back(self, organization: int, now: datetime) -> bool:
        """Have the store, which answers, judge again; False while somebody who does not reach it wants SQL to go on."""
        if now >= self._in_sql[organization]:
            await self._once.run(("to store", organization), lambda: self._take_back(organization, now))
        return organization not in self._in_sql

    async def renew(self, organization: int) -> None:
        """Agree with the store on an epoch, raising it where the store has lost or never had the current one."""
        await self._once.run(organization, lambda: self._renew(organization))

    async def meet_server(self, run_id: str) -> None:
        """Called on every connection to a store. Raises ConnectionError while SQL cannot be asked."""
        if run_id == self._run_id:
            return
        try:
            await self._journal.ask("servers", run_id)
        except BooksUnavailable as error:
            raise ConnectionError("the database is away: an unknown store cannot be trusted yet") from error
        self._known.clear()
        self._in_sql.clear()
        self._run_id = run_id

    async def carry(self, organization: int) -> None:
        """Have SQL take over what is in flight from epochs that ended, before any counter is read without it."""
        await self._once.run(("carry", organization), lambda: self._carry(organization))

    async def carry_everybody(self, epoch: int) -> None:
        """`fast`, before the first counter of the platform's `epoch` is read: have SQL take over what is in flight of
        all organizations from before. What was held in their epochs since is in SQL, or no counter's business.
        """
        if self._carried != epoch:
            for organization in await self._journal.ask("organizations", None):
                await self.renew(organization)
                await self.carry(organization)
            self._carried = epoch

    async def raise_above(self, organization: int, epoch: int) -> None:
        """Raise and publish an epoch beyond `epoch`, unless that has been done."""
        seen = await self.current(organization)
        if seen > epoch:
            return
        current, raised = await self._journal.ask("raise_epochs", (organization, seen, epoch))
        if raised:
            await self._store.script(scripts.EPOCH, store_prefix(organization), current)
        self._known[organization] = current

    def _note(self, organization: int, found: Authority) -> int:
        self._known[organization] = found.epoch
        if found.sql_until is None:
            self._in_sql.pop(organization, None)
        else:
            self._in_sql[organization] = found.sql_until
        return found.epoch

    async def _look(self, organization: int) -> int:
        return self._note(organization, await self._journal.ask("epochs", organization))

    async def _take_back(self, organization: int, now: datetime) -> None:
        prefix = store_prefix(organization)
        published = int(await self._store.command("GET", f"{prefix}:epoch") or 0)
        found, given = await self._journal.ask("returns", (organization, published, now))
        if given:
            await self._store.script(scripts.EPOCH, prefix, found.epoch)
        self._note(organization, found)

    async def _carry(self, organization: int) -> None:
        prefix = store_prefix(organization)
        ended, open_holds = await self._store.script(scripts.ENDED, prefix)
        intents = [Intent.from_json(text).leased_until(float(lease)) for text, lease in open_holds]
        if intents:
            await self._journal.ask("adoptions", intents)
        if ended:
            await self._store.command("SREM", f"{prefix}:ended", *ended)

    async def _published(self, organization: int, current: int) -> int:
        """The epoch that the store knows. One that was raised in SQL is waited for a little: of many workers that miss
        it at the same moment only one is to raise it, as each raise ends the calls that were held since the last one.
        """
        name, published = f"{store_prefix(organization)}:epoch", 0
        for turn in range(self._looks if current > _FIRST else 1):
            if turn:
                await asyncio.sleep(_PAUSE_SECONDS)
            published = int(await self._store.command("GET", name) or 0)
            if published >= current:
                break
        return published

    async def _renew(self, organization: int) -> None:
        current = await self._look(organization)
        if self.in_sql(organization):
            return
        published = await self._published(organization, current)
        if published != current:
            current, raised = await self._journal.ask("raise_epochs", (organization, current, published))
            if raised:
                await self._store.script(scripts.EPOCH, store_prefix(organization), current)
            else:
                await asyncio.sleep(0.01)
        self._known[organization] = current
