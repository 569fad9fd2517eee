"""A journal on this machine's disk for the time without a database: whole lines, on the disk before anybody goes on.

Each worker writes to a file of its own, which it keeps locked. A file that nobody locks is complete, and whoever finds
it may bring it to SQL: its worker once the database is back, or another one if that worker is gone.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import structlog

from proxy.runtime.journal import Asks, BooksUnavailable, Journal, Lane
from spend.wire import Intent, Posting

log = structlog.get_logger()
Line = tuple[str, Any]
"""`intent` or `posting`, and the one it is."""


class Spool:
    """`most_bytes` of this worker may wait for the database. Half of it is kept free for what calls cost in the end."""

    def __init__(self, folder: Path, *, most_bytes: int, patience_seconds: float = 2.0) -> None:
        self._folder, self._most = folder, most_bytes
        self._lane = Lane({"lines": self._write, "close": self._close}, opened=_nothing, closed=self._let_go)
        self._journal = Journal([self._lane], patience_seconds=patience_seconds)
        self._file: int | None = None
        self._earlier: list[Path] = []
        self._bytes = 0

    def start(self) -> None:
        self._journal.start()

    async def stop(self) -> None:
        await self._journal.stop()

    @property
    def has_room(self) -> bool:
        """Whether another call may begin."""
        return self._bytes < self._most // 2

    @property
    def is_open(self) -> bool:
        """Whether something waits in this worker's own file."""
        return self._file is not None

    async def keep_intent(self, intent: Intent) -> None:
        """Raises BooksUnavailable."""
        if not self.has_room:
            raise BooksUnavailable("the spool is full", down=False, never=True)
        await self._journal.ask("lines", _line("intent", intent))

    async def keep_postings(self, postings: Sequence[Posting]) -> bool:
        """False if the disk does not take them."""
        lines = b"".join(_line("posting", posting) for posting in postings)
        if self._bytes + len(lines) > self._most:
            return False
        try:
            await self._journal.ask("lines", lines)
        except BooksUnavailable as error:
            log.warning("postings not spooled", error=str(error), postings=len(postings))
            return False
        return True

    async def close(self) -> None:
        """Let whoever comes take this worker's file, and begin another one with the next line."""
        await self._journal.ask("close", None)

    # In the lane's thread

    def _write(self, items: Sequence[bytes]) -> list[None]:
        """One wait for the disk for everybody. A file that failed may be torn: the next line goes to another one."""
        text = whole = b"".join(items)
        file = self._open() if self._file is None else self._file
        try:
            while text:
                text = text[os.write(file, text) :]
            os.fsync(file)
        except OSError:
            self._let_go()
            raise
        self._bytes += len(whole)
        return [None] * len(items)

    def _open(self) -> int:
        """Nobody sees the file before it is locked: an empty one that is not would be taken and removed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{os.getpid()}-{time.time_ns()}.jsonl"
        hidden = path.with_suffix(".new")
        file = self._file = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        hidden.rename(path)
        _sync_folder(self._folder)
        self._earlier = [earlier for earlier in self._earlier if earlier.exists()]
        self._bytes = sum(_size(earlier) for earlier in self._earlier)
        self._earlier.append(path)
        return file

    def _close(self, items: Sequence[None]) -> list[None]:
        self._let_go()
        return [None] * len(items)

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file, self._bytes = None, 0


def waiting(folder: Path) -> list[Path]:
    """Files that wait for the database, of workers alive or dead; the oldest first."""
    return sorted(folder.glob("*.jsonl"))


@contextmanager
def taken(path: Path) -> Iterator[BinaryIO | None]:
    """A file that nobody else has; None if its worker or somebody else has it, or has brought it to SQL already."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file if path.exists() else None


def lines(file: BinaryIO) -> Iterator[Line]:
    """What a file says, without what a crash or a full disk cut off: for that, nobody was told to go on."""
    file.seek(0)
    for raw in file:
        try:
            ((kind, value),) = orjson.loads(raw).items()
            yield kind, (Intent.of(value) if kind == "intent" else Posting.of(value))
        except (ValueError, TypeError, KeyError):
            log.warning("torn line in the spool", bytes=len(raw))


def _line(kind: str, value: Intent | Posting) -> bytes:
    return orjson.dumps({kind: value}) + b"\n"


def _size(path: Path) -> int:
    """0 for a file that was brought to SQL meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _sync_folder(folder: Path) -> None:
    """So that the file's name, too, outlasts a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _nothing(asks: Asks) -> None:
    pass
