"""The gateway's one door to SQL: threads that run whatever is waiting, kind by kind, as batches.

Each lane is a thread with a connection of its own and one batch at a time: when idle a request is handed over at
once; while one batch commits the next one gathers, so commits grow with the load instead of waiting for a clock. A
database that keeps silent holds up its thread, but no caller for long. One that answers each statement of a batch is
not silent, however long a busy machine takes for all of them.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from proxy.runtime.errors import Unavailable

log = structlog.get_logger()
_MOST_WAITING = 20_000
_TICK = 0.05
_MOST_PATIENCE = 5
_TRIAL_SECONDS = 0.25
TRIALS = "trials"
"""The kind of a write that changes nothing."""
Handler = Callable[[Sequence[Any]], Sequence[Any]]
"""Takes the waiting items of one kind and answers with one result for each, or raises for all."""
Asks = Callable[[], None]
_Jobs = list[tuple[Any, "asyncio.Future[Any]"]]
_Batch = dict[str, _Jobs]


class BooksUnavailable(Unavailable):
    """The database failed. Whether it wrote the batch is unknown, except where `never` says that it did not.

    `down` tells an outage from a batch that the database refused.
    """

    what = "the database"

    def __init__(self, reason: str, *, down: bool = True, never: bool = False) -> None:
        super().__init__(reason)
        self.down, self.never = down, never


class WritesRefused(BooksUnavailable):
    """The database answers, and takes nothing that is written: it is full, or a copy that only reads."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, down=True, never=True)


class Lane:
    """One thread, one connection. `handlers` in order of urgency; `opened` and `closed` run in the thread.

    `opened` is given what is to be called before each statement. All of it but `_run` and what that calls belongs to
    the event loop.
    """

    def __init__(self, handlers: Mapping[str, Handler], *, opened: Callable[[Asks], None], closed: Callable[[], None]):
        self.handlers, self._opened, self._closed = handlers, opened, closed
        self._waiting: _Batch = {kind: [] for kind in handlers}
        self._count = 0
        self._in_flight: _Batch = {}
        self._batches: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._busy_since, self._asked_at = 0.0, 0.0
        self._ends = False

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def put(self, kind: str, item: Any) -> "asyncio.Future[Any]":
        """Raises BooksUnavailable if too much waits already, or the thread is about to end."""
        if self._ends:
            raise BooksUnavailable("this worker is stopping", down=False, never=True)
        if self._count >= _MOST_WAITING:
            raise BooksUnavailable("too many requests are waiting for the database", down=False, never=True)
        future: asyncio.Future[Any] = self._loop.create_future()
        if not self._count and not self._in_flight:
            # At the end of this turn of the loop, together with whatever else it brings.
            self._loop.call_soon(self._hand_over)
        self._waiting[kind].append((item, future))
        self._count += 1
        return future

    def keeps_silent(self, patience: float) -> bool:
        """Whether the database has answered nothing for so many seconds, or not all of a batch for many times that."""
        now, busy_since, asked_at = time.monotonic(), self._busy_since, self._asked_at
        return busy_since > 0 and (now - asked_at >= patience or now - busy_since >= patience * _MOST_PATIENCE)

    def give_up(self) -> None:
        """Tell everybody who waits: what was handed over may have been written, the rest was never tried."""
        if self._in_flight or self._count:
            log.warning("the database keeps silent", doing=",".join(self._in_flight), waiting=self._count)
        _fail(self._in_flight, BooksUnavailable("the database did not answer in time"))
        _fail(self._taken(), BooksUnavailable("the database did not answer in time", never=True))

    async def finish(self) -> None:
        """Do what is waiting, then end the thread; one that the database holds up is left behind."""
        self._ends = True
        self._batches.put(self._taken())
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join, 30)

    def _taken(self) -> _Batch:
        batch = {kind: jobs for kind, jobs in self._waiting.items() if jobs}
        self._waiting, self._count = {kind: [] for kind in self.handlers}, 0
        return batch

    def _hand_over(self) -> None:
        if self._count and not self._in_flight:
            self._in_flight = self._taken()
            self._batches.put(self._in_flight)

    def _handled(self, jobs: _Jobs, results: Sequence[Any], *, last: bool) -> None:
        _resolve(jobs, results)
        if last:
            self._in_flight = {}
            self._hand_over()

    def _run(self) -> None:
        self._opened(self._asks)
        while (batch := self._batches.get()) is not None:
            for number, (kind, jobs) in enumerate(batch.items(), 1):
                handled = partial(self._handled, jobs, self._results(kind, jobs), last=number == len(batch))
                self._loop.call_soon_threadsafe(handled)
        self._closed()

    def _asks(self) -> None:
        self._asked_at = time.monotonic()

    def _results(self, kind: str, jobs: _Jobs) -> Sequence[Any]:
        self._busy_since = self._asked_at = time.monotonic()
        try:
            return self.handlers[kind]([item for item, _ in jobs])
        except BooksUnavailable as error:
            return [error] * len(jobs)
        except Exception as error:
            log.exception("journal batch failed", kind=kind)
            return [BooksUnavailable(type(error).__name__, down=False)] * len(jobs)
        finally:
            self._busy_since = 0.0


class Journal:
    """`patience_seconds`: how long a caller waits; the outcome of a batch that started is then unknown."""

    def __init__(self, lanes: Sequence[Lane], *, patience_seconds: float = 2.0) -> None:
        self._lanes, self._patience = lanes, patience_seconds
        self._lane_of = {kind: lane for lane in lanes for kind in lane.handlers}
        self._watches: list[asyncio.Task[None]] = []
        self._answers = self._takes_writes = True

    @property
    def available(self) -> bool:
        """Whether the database answers, and takes what is written."""
        return self._answers and self._takes_writes

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()
        self._watches = [
            asyncio.create_task(self._give_up_the_silent(), name="journal-watch"),
            asyncio.create_task(self._notice_writes(), name="journal-trials"),
        ]

    async def stop(self) -> None:
        """Finish what is waiting, then end the threads."""
        await asyncio.gather(*(lane.finish() for lane in self._lanes))
        for watch in self._watches:
            watch.cancel()

    async def ask(self, kind: str, item: Any) -> Any:
        """Have `item` handled and return its result. Raises BooksUnavailable."""
        try:
            result = await self._lane_of[kind].put(kind, item)
        except WritesRefused:
            self._takes_writes = False
            raise
        except BooksUnavailable as error:
            self._answers = self._answers and not error.down
            raise
        self._answers = True
        # What only reads says nothing of writes.
        self._takes_writes = self._takes_writes or kind == TRIALS
        return result

    async def _notice_writes(self) -> None:
        """Nobody else may write meanwhile, so that nobody else would notice that writes are taken again."""
        while True:
            await asyncio.sleep(_TRIAL_SECONDS)
            if not self._takes_writes:
                with suppress(BooksUnavailable):
                    await self.ask(TRIALS, None)

    async def _give_up_the_silent(self) -> None:
        """Only where the database keeps silent: a worker that is itself behind its work gets its results later."""
        while True:
            await asyncio.sleep(_TICK)
            for lane in self._lanes:
                if lane.keeps_silent(self._patience):
                    lane.give_up()


def _resolve(jobs: _Jobs, results: Sequence[Any]) -> None:
    for (_, future), result in zip(jobs, results, strict=True):
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def _fail(batch: _Batch, error: BooksUnavailable) -> None:
    for jobs in batch.values():
        _resolve(jobs, [error] * len(jobs))
