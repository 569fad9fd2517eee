"""The gateway's one door to SQL: a thread that runs whatever is waiting, kind by kind, as batches.

When idle a request is run at once; while one batch commits the next one gathers, so commits grow with
the load instead of waiting for a clock.
"""

import asyncio
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

log = structlog.get_logger()
_QUEUE = 20_000
Handler = Callable[[Sequence[Any]], Sequence[Any]]
"""Takes the waiting items of one kind and answers with one result for each, or raises for all."""


class BooksUnavailable(Exception):
    """The database did not answer; nothing of the batch was written."""


class _Job:
    __slots__ = ("future", "item", "kind", "loop")

    def __init__(self, kind: str, item: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.kind, self.item, self.loop = kind, item, loop
        self.future: asyncio.Future[Any] = loop.create_future()


class Journal:
    def __init__(self, handlers: Mapping[str, Handler], *, close: Callable[[], None]) -> None:
        """`handlers` in order of urgency; `close` releases the thread's database connection."""
        self._handlers = handlers
        self._close = close
        self._jobs: queue.Queue[_Job | None] = queue.Queue(maxsize=_QUEUE)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Finish what is waiting, then end the thread."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, 30)

    async def ask(self, kind: str, item: Any) -> Any:
        """Have `item` handled and return its result. Raises BooksUnavailable."""
        job = _Job(kind, item, asyncio.get_running_loop())
        try:
            self._jobs.put_nowait(job)
        except queue.Full as error:
            raise BooksUnavailable("too many requests are waiting for the database") from error
        return await job.future

    def _run(self) -> None:
        open_ = True
        while open_:
            batch = self._gather()
            open_ = None not in batch
            by_kind: dict[str, list[_Job]] = defaultdict(list)
            for job in batch:
                if job is not None:
                    by_kind[job.kind].append(job)
            for kind in self._handlers:
                if by_kind[kind]:
                    self._handle(kind, by_kind[kind])
        self._close()

    def _gather(self) -> list[_Job | None]:
        batch = [self._jobs.get()]
        while batch[-1] is not None and len(batch) < 512:
            try:
                batch.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return batch

    def _handle(self, kind: str, jobs: list[_Job]) -> None:
        try:
            results: Sequence[Any] = self._handlers[kind]([job.item for job in jobs])
        except BooksUnavailable as error:
            results = [error] * len(jobs)
        except Exception as error:
            log.exception("journal batch failed", kind=kind)
            results = [BooksUnavailable(type(error).__name__)] * len(jobs)
        jobs[0].loop.call_soon_threadsafe(_resolve_all, jobs, results)


def _resolve_all(jobs: list[_Job], results: Sequence[Any]) -> None:
    for job, result in zip(jobs, results, strict=True):
        if job.future.done():
            continue
        if isinstance(result, Exception):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)
