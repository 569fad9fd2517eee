"""The gateway's one door to SQL: threads that run whatever is waiting, kind by kind, as batches.

When idle a request is run at once; while one batch commits the next one gathers, so commits grow with the load
instead of waiting for a clock. Each lane is a thread with a connection of its own: what callers wait for need not
queue behind what nobody waits for. A database that keeps silent holds up its thread, but no caller for long.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

log = structlog.get_logger()
_MOST_WAITING = 20_000
_BATCH = 512
Handler = Callable[[Sequence[Any]], Sequence[Any]]
"""Takes the waiting items of one kind and answers with one result for each, or raises for all."""


class BooksUnavailable(Exception):
    """The database failed. Whether it wrote the batch is unknown, except where `never` says that it did not.

    `down` tells an outage from a batch that the database refused.
    """

    def __init__(self, reason: str, *, down: bool = True, never: bool = False) -> None:
        super().__init__(reason)
        self.down, self.never = down, never


class _Job:
    __slots__ = ("abandoned", "future", "item", "kind", "loop")

    def __init__(self, kind: str, item: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.kind, self.item, self.loop = kind, item, loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.abandoned = False


class Lane:
    """One thread, one connection. `handlers` in order of urgency; `opened` and `closed` run in the thread."""

    def __init__(self, handlers: Mapping[str, Handler], *, opened: Callable[[], None], closed: Callable[[], None]):
        self.handlers, self._opened, self._closed = handlers, opened, closed
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._busy_since = 0.0

    def start(self) -> None:
        self._thread.start()

    def put(self, job: _Job) -> None:
        if self._jobs.qsize() >= _MOST_WAITING:
            raise BooksUnavailable("too many requests are waiting for the database", down=False, never=True)
        self._jobs.put(job)

    def busy_for(self) -> float:
        """Seconds for which the thread has been inside one batch; a database that keeps silent makes this grow."""
        since = self._busy_since
        return time.monotonic() - since if since else 0.0

    def finish(self) -> None:
        """Do what is waiting, then end the thread; one that the database holds up is left behind."""
        self._jobs.put(None)
        self._thread.join(30)

    def _run(self) -> None:
        self._opened()
        open_ = True
        while open_:
            batch = self._gather()
            open_ = None not in batch
            for kind in self.handlers:
                jobs = [job for job in batch if job is not None and job.kind == kind and not job.abandoned]
                if jobs:
                    self._handle(kind, jobs)
        self._closed()

    def _gather(self) -> list[_Job | None]:
        batch = [self._jobs.get()]
        while batch[-1] is not None and len(batch) < _BATCH:
            try:
                batch.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return batch

    def _handle(self, kind: str, jobs: list[_Job]) -> None:
        self._busy_since = time.monotonic()
        try:
            results: Sequence[Any] = self.handlers[kind]([job.item for job in jobs])
        except BooksUnavailable as error:
            results = [error] * len(jobs)
        except Exception as error:
            log.exception("journal batch failed", kind=kind)
            results = [BooksUnavailable(type(error).__name__, down=False)] * len(jobs)
        finally:
            self._busy_since = 0.0
        jobs[0].loop.call_soon_threadsafe(_resolve_all, jobs, results)


class Journal:
    """`patience_seconds`: how long a caller waits; the outcome of a batch that started is then unknown."""

    def __init__(self, lanes: Sequence[Lane], *, patience_seconds: float = 2.0) -> None:
        self._lanes, self._patience = lanes, patience_seconds
        self._lane_of = {kind: lane for lane in lanes for kind in lane.handlers}
        self.available = True

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    async def stop(self) -> None:
        """Finish what is waiting, then end the threads."""
        await asyncio.gather(*(asyncio.to_thread(lane.finish) for lane in self._lanes))

    async def ask(self, kind: str, item: Any) -> Any:
        """Have `item` handled and return its result. Raises BooksUnavailable."""
        loop = asyncio.get_running_loop()
        job, lane = _Job(kind, item, loop), self._lane_of[kind]
        lane.put(job)
        alarm = loop.call_later(self._left(lane), self._give_up, job, lane)
        try:
            result = await job.future
        except BooksUnavailable as error:
            self.available = self.available and not error.down
            raise
        finally:
            alarm.cancel()
        self.available = True
        return result

    def _give_up(self, job: _Job, lane: Lane) -> None:
        """Only where the database keeps silent; a worker that is itself behind its work asks again later."""
        if job.future.done():
            return
        if lane.busy_for() < self._patience:
            job.loop.call_later(self._left(lane), self._give_up, job, lane)
            return
        job.abandoned = True
        job.future.set_exception(BooksUnavailable("the database did not answer in time"))

    def _left(self, lane: Lane) -> float:
        """Seconds until a database that is silent already has been silent for too long, for old and new callers."""
        return max(0.05, self._patience - lane.busy_for())


def _resolve_all(jobs: list[_Job], results: Sequence[Any]) -> None:
    for job, result in zip(jobs, results, strict=True):
        if job.future.done():
            continue
        if isinstance(result, Exception):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)
