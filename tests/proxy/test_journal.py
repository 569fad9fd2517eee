"""The journal: one batch at a time, and nobody waits long for a database that keeps silent."""

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from proxy.runtime.journal import TRIALS, Asks, BooksUnavailable, Journal, Lane, WritesRefused


class Table:
    """A handler that remembers its batches and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.open = threading.Event()

    def __call__(self, items: Sequence[Any]) -> list[Any]:
        self.batches.append(list(items))
        self.open.wait(5)
        return [item * 2 for item in items]


def journal_of(table: Table, **options: Any) -> Journal:
    return Journal([Lane({"numbers": table}, opened=lambda asks: None, closed=lambda: None)], **options)


async def busy(**options: Any) -> tuple[Table, Journal, "asyncio.Task[Any]"]:
    """A journal whose table is held up by the first item."""
    table = Table()
    journal = journal_of(table, **options)
    journal.start()
    first = asyncio.create_task(journal.ask("numbers", 1))
    while not table.batches:
        await asyncio.sleep(0.001)
    return table, journal, first


async def test_what_arrives_while_a_batch_commits_is_the_next_batch() -> None:
    table, journal, first = await busy()
    others = [asyncio.create_task(journal.ask("numbers", number)) for number in (2, 3, 4)]
    await asyncio.sleep(0.01)
    table.open.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert table.batches == [[1], [2, 3, 4]]
    await journal.stop()


async def test_at_the_end_what_waits_is_done_and_whoever_comes_later_is_refused() -> None:
    table, journal, first = await busy()
    second = asyncio.create_task(journal.ask("numbers", 2))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(journal.stop())
    await asyncio.sleep(0)
    with pytest.raises(BooksUnavailable) as late:
        await asyncio.wait_for(journal.ask("numbers", 3), 5)
    assert late.value.never
    table.open.set()
    assert await asyncio.wait_for(asyncio.gather(first, second), 5) == [2, 4]
    await stopping
    assert table.batches == [[1], [2]]


async def test_a_silent_database_is_given_up_and_what_it_never_saw_says_so() -> None:
    table, journal, first = await busy(patience_seconds=0.1)
    second = asyncio.create_task(journal.ask("numbers", 2))
    with pytest.raises(BooksUnavailable) as unknown:
        await first
    with pytest.raises(BooksUnavailable) as never:
        await second
    assert (unknown.value.never, never.value.never) == (False, True)
    assert not journal.available
    table.open.set()
    assert await journal.ask("numbers", 3) == 6
    assert journal.available and [2] not in table.batches
    await journal.stop()


async def test_a_database_that_answers_one_statement_after_the_other_is_not_given_up() -> None:
    told: list[Asks] = []

    def statements(items: Sequence[Any]) -> list[Any]:
        for _ in range(8):
            told[0]()
            time.sleep(0.05)
        return list(items)

    journal = Journal([Lane({"numbers": statements}, opened=told.append, closed=lambda: None)], patience_seconds=0.2)
    journal.start()
    assert await journal.ask("numbers", 1) == 1
    await journal.stop()


async def test_a_batch_that_never_comes_to_its_end_is_given_up_all_the_same() -> None:
    told: list[Asks] = []

    def statements(items: Sequence[Any]) -> list[Any]:
        for _ in range(40):
            told[0]()
            time.sleep(0.02)
        return list(items)

    journal = Journal([Lane({"numbers": statements}, opened=told.append, closed=lambda: None)], patience_seconds=0.05)
    journal.start()
    with pytest.raises(BooksUnavailable, match="in time"):
        await journal.ask("numbers", 1)
    await journal.stop()


async def test_what_is_waiting_is_still_handled_at_the_end() -> None:
    table = Table()
    table.open.set()
    journal = journal_of(table)
    journal.start()
    last = asyncio.create_task(journal.ask("numbers", 7))
    await asyncio.sleep(0)
    await journal.stop()
    assert await last == 14


async def test_a_database_that_takes_no_writes_is_away_until_it_takes_one_whatever_is_read_meanwhile() -> None:
    refusing = True

    def write(items: Sequence[Any]) -> Sequence[Any]:
        if refusing:
            raise WritesRefused("it only reads")
        return items

    handlers = {"reads": list, "writes": write, TRIALS: write}
    journal = Journal([Lane(handlers, opened=lambda asks: None, closed=lambda: None)])
    journal.start()
    with pytest.raises(WritesRefused):
        await journal.ask("writes", 1)
    assert await journal.ask("reads", 2) == 2
    await asyncio.sleep(0.6)
    assert not journal.available
    refusing = False
    await asyncio.sleep(0.6)
    assert journal.available
    await journal.stop()
