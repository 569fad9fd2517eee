"""A gateway worker without threads and sockets: the real holds, epochs and grants, on the test's own connections.

Only the two doors differ. SQL is asked at once instead of by a thread, and the counter store through a plain client
instead of a pipeline. Both can be told to fail as the real ones do.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import orjson
import redis
from redis.exceptions import NoScriptError

from proxy import books
from proxy.runtime import posting
from proxy.runtime.call import Call, read_call
from proxy.runtime.chain import FRESH_GRANTS
from proxy.runtime.config import GatewayConfig
from proxy.runtime.counters import StoreUnavailable
from proxy.runtime.epochs import Epochs
from proxy.runtime.errors import GatewayError
from proxy.runtime.grants import Grants
from proxy.runtime.held import Admission, Held, IntentUnknown, StaleGrant
from proxy.runtime.holds import Holds
from proxy.runtime.journal import BooksUnavailable
from proxy.runtime.releases import Releases
from proxy.runtime.routes import CHAT
from proxy.runtime.scripts import HOLD, Script
from proxy.runtime.spooling import Spooling
from spend.wire import CounterRef, Intent, Posting

MODEL = "house"


def call_of(output_cap: int | None) -> Call:
    body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    if output_cap is not None:
        body["max_tokens"] = output_cap
    return read_call(CHAT, orjson.dumps(body), "", {})


@dataclass
class Server:
    """The counter store as a process: its connections see another run id once it was replaced."""

    client: "redis.Redis"
    run_id: str = "run-1"
    loaded: dict[str, CounterRef] = field(default_factory=dict)
    """Every counter that was ever read from the ledger, by its name."""


class Store:
    """`CounterStore` as `Holds` and `Epochs` know it."""

    def __init__(self, server: Server) -> None:
        self._server, self._met = server, ""
        self.meet: Callable[[str], Coroutine[Any, Any, None]] | None = None
        self.loses_reply: str | None = None
        """Of the next hold under this prefix the reply is lost; '' stands for any."""
        self.outages = 0
        self.gone = False
        """Whether this worker does not reach it, whoever else does."""
        self.later: list[Callable[[], Any]] = []

    @property
    def available(self) -> bool:
        return not self.gone

    def away_for(self) -> float:
        return 3600.0 if self.gone else 0.0

    async def connect(self) -> None:
        """Connections meet the server before anything is sent on them."""
        if self.gone:
            raise StoreUnavailable("not reached", never=True)
        if self._met != self._server.run_id and self.meet is not None:
            self._met = self._server.run_id
            await self.meet(self._met)

    def tell(self, *command: Any) -> None:
        if not self.gone and self._met == self._server.run_id:
            self._server.client.execute_command(*command)

    async def command(self, *command: Any) -> Any:
        await self.connect()
        return self._server.client.execute_command(*command)

    async def script(self, script: Script, key: str, *args: Any) -> Any:
        try:
            reply = await self.command("EVALSHA", script.digest, 1, key, *args)
        except NoScriptError:
            reply = await self.command("EVAL", script.text, 1, key, *args)
        if script is HOLD and self.loses_reply in ("", key):
            self.loses_reply = None
            raise StoreUnavailable("its reply was lost")
        return reply

    async def scripts(self, script: Script, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [answer for call in calls for answer in await self.script(script, *call)]

    def when_back(self, action: Callable[[], Any]) -> None:
        self.later.append(action)


class Journal:
    """`Journal.ask`, at once. Intents wait at the gate while it is closed, as those of a slow worker do."""

    def __init__(self, loaded: dict[str, CounterRef]) -> None:
        self._handlers = {kind: one for lane in books.lanes() for kind, one in lane.handlers.items()}
        self.available = True
        self.gate: asyncio.Future[None] | None = None
        self.waiting: Intent | None = None
        self._loaded = loaded
        self.forgets = ""
        """`before` or `after`: the next intents, also those that SQL judges, are reported as unknown, without or with
        having been written."""

    async def ask(self, kind: str, item: Any) -> Any:
        if not self.available:
            raise BooksUnavailable("the database is away")
        if kind == "counters":
            self._loaded[item.counter] = item
        if kind not in ("intents", "judgements"):
            return self._handled(kind, item)
        gate, self.gate = (self.gate, None) if kind == "intents" else (None, self.gate)
        if gate is not None:
            self.waiting = item
            await gate
        forgets, self.forgets = self.forgets, ""
        result = None if forgets == "before" else self._handled(kind, item)
        if forgets:
            raise BooksUnavailable("nobody knows")
        return result

    def _handled(self, kind: str, item: Any) -> Any:
        """Django keeps other connections for code that runs in an event loop: step out of it to use the test's."""
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        try:
            return self._handlers[kind]([item])[0]
        finally:
            asyncio._set_running_loop(loop)


@dataclass
class Slow:
    """A call between its hold and its intent."""

    worker: "Worker"
    intent: Intent
    gate: "asyncio.Future[None]"
    task: "asyncio.Task[Held | None]"


@dataclass
class Worker:
    server: Server
    config: GatewayConfig
    clock: Callable[[], datetime]
    loop: asyncio.AbstractEventLoop

    def __post_init__(self) -> None:
        self.refusal: Exception | None = None
        self.journal = Journal(self.server.loaded)
        self.store = Store(self.server)
        self.epochs = Epochs(self.store, self.journal, looks=1)  # type: ignore[arg-type]
        self.store.meet = self.epochs.meet_server
        self.grants = Grants(self.journal, self.clock)  # type: ignore[arg-type]
        doors, config = (self.store, self.journal), self.config
        self.spooling = Spooling(self.journal, self.store, self.grants, config, self.clock)  # type: ignore[arg-type]
        self.releases = Releases(*doors, config.workers, self.clock)  # type: ignore[arg-type]
        self.holds = Holds(*doors, self.epochs, config, self.clock, self.spooling, self.releases)  # type: ignore[arg-type]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def hold(self, token: str, output_cap: int | None) -> Held | None:
        """A hold with its intent, or None if the call was refused."""
        held: Held | None = self.run(self._hold(token, output_cap))
        return held

    def hold_slowly(self, token: str, output_cap: int | None) -> Slow | None:
        """Up to the hold; the intent follows in `resume`. None if the call was refused before that."""
        gate = self.journal.gate = self.loop.create_future()
        self.journal.waiting = None
        task = self.loop.create_task(self._hold(token, output_cap))
        while not task.done() and self.journal.waiting is None:
            self.run(asyncio.sleep(0))
        self.journal.gate = None
        return None if self.journal.waiting is None else Slow(self, self.journal.waiting, gate, task)

    def resume(self, slow: Slow) -> Held | None:
        slow.gate.set_result(None)
        held: Held | None = self.run(asyncio.wait_for(slow.task, 10))
        return held

    def bury(self, slow: Slow) -> None:
        """The worker dies with this call: nothing of it runs any more."""
        slow.task.cancel()
        self.run(asyncio.gather(slow.task, return_exceptions=True))

    def post(self, *postings: Posting) -> dict[str, int]:
        costs: dict[str, int] = self.run(self.journal.ask("postings", list(postings)))
        return costs

    def settle(self, held: Held, cost_nano: int, tokens: int) -> bool:
        """Whether the store was told at once; otherwise it is when it is back."""
        due = [(held, cost_nano, tokens)]
        try:
            self.run(self.releases.settle(due))
        except StoreUnavailable:
            self.store.when_back(partial(self.releases.settle, due))
            return False
        return True

    def catch_up(self) -> None:
        """What the gateway does as soon as the store answers again."""
        later, self.store.later = self.store.later, []
        for action in later:
            try:
                self.run(action())
            except StoreUnavailable:
                self.store.later.append(action)

    def spool(self, held: Held, posting: Posting) -> None:
        """What the gateway does with a posting while the database is away."""
        assert self.run(self.spooling.keep_postings([(held, posting)]))

    def follow_changes(self) -> None:
        """The look at the announcements that the gateway takes twice a second."""
        changes = self.run(self.journal.ask("policy_changes", datetime.min.replace(tzinfo=self.clock().tzinfo)))
        self.grants.forget(scope for _, scope in changes)

    async def _hold(self, token: str, output_cap: int | None) -> Held | None:
        if self.store.available:
            await self.store.connect()
        for _ in range(FRESH_GRANTS):
            try:
                return await self.holds.hold(await self._admission(token, output_cap), _at_once)
            except StaleGrant as stale:
                self.grants.forget(stale.scopes)
            except IntentUnknown as unknown:
                nothing = posting.nothing(unknown.held.intent, self.clock())
                costs = await self.journal.ask("postings", [nothing])
                due = [(unknown.held, costs[unknown.held.intent.hold_id], 0)]
                try:
                    await self.releases.settle(due)
                except StoreUnavailable:
                    self.store.when_back(partial(self.releases.settle, due))
                return None
            except (GatewayError, StoreUnavailable) as refusal:
                self.refusal = refusal
                return None
        raise AssertionError("the policy is not changing, and yet no grant is fresh enough")

    async def _admission(self, token: str, output_cap: int | None) -> Admission:
        grant = await self.grants.get(token)
        target = (await self.grants.targets(MODEL, None, grant.platform_epoch))[0]
        return Admission("request-1", grant, grant.chain, None, (), call_of(output_cap), target, 1)


async def _at_once() -> None:
    """Nothing is being settled elsewhere."""
