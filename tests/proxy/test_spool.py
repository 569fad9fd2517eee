"""The journal on this machine's disk: what is on it, who may take it, how much fits."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from keys.grants import Owners
from proxy.runtime import overall, spool
from proxy.runtime.config import GatewayConfig, OutagePolicy
from proxy.runtime.counters import StoreUnavailable
from proxy.runtime.journal import BooksUnavailable
from proxy.runtime.spool import Spool
from proxy.runtime.spooling import Spooling
from spend.pricing import Usage
from spend.wire import UPSTREAM, Failure, Intent, Posting

NOW = datetime(2026, 3, 28, 22, 30, 1, 500, tzinfo=UTC)
INTENT = Intent(
    hold_id="hold-1", epoch=3, amount_nano=900, counters=("key:1|lifetime",), scopes=("org:1", "key:1"),
    owners=Owners(1, 7, team_id=2), customer_id=None, request_id="request-1", call_type="completion", model="m",
    deployment="d", provider="p", upstream_model="u", price_id=4, input_estimate=10, output_cap=20, attempt=1,
    admitted_at=NOW, lease_until=NOW + timedelta(seconds=60), token="t", tags=("a",), written=False, degraded=True,
)  # fmt: skip
POSTING = Posting(INTENT, 500, 3, Usage(10, 5, service="flex"), UPSTREAM, "chat-1", NOW, NOW)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Spool]:
    journal = Spool(tmp_path / "spool", most_bytes=20_000)
    journal.start()
    yield journal
    await journal.stop()


def read(path: Path) -> list[spool.Line]:
    with path.open("rb") as file:
        return list(spool.lines(file))


async def test_what_is_spooled_reads_as_it_was_written(journal: Spool, tmp_path: Path) -> None:
    void = replace(POSTING, amount_nano=None, first_byte_at=None, failure=Failure(502, "upstream_error", "no answer"))
    await asyncio.gather(journal.keep_intent(INTENT), journal.keep_intent(replace(INTENT, hold_id="hold-2")))
    assert await journal.keep_postings([POSTING, void])
    (path,) = spool.waiting(tmp_path / "spool")
    assert read(path) == [
        ("intent", INTENT),
        ("intent", replace(INTENT, hold_id="hold-2")),
        ("posting", POSTING),
        ("posting", void),
    ]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_was_spooled_before_reasons_were_kept_is_read_as_ever() -> None:
    written = orjson.loads(orjson.dumps(replace(POSTING, amount_nano=None)))
    del written["failure"]
    assert Posting.of(written) == replace(POSTING, amount_nano=None)


async def test_a_file_belongs_to_its_worker_until_it_is_closed(journal: Spool, tmp_path: Path) -> None:
    await journal.keep_intent(INTENT)
    (path,) = spool.waiting(tmp_path / "spool")
    with spool.taken(path) as file:
        assert file is None
    await journal.close()
    assert not journal.is_open
    with spool.taken(path) as file, spool.taken(path) as again:
        assert file is not None and again is None
    await journal.keep_intent(INTENT)
    assert len(spool.waiting(tmp_path / "spool")) == 2


async def test_a_line_that_a_crash_cut_off_is_left_out(journal: Spool, tmp_path: Path) -> None:
    await journal.keep_intent(INTENT)
    await journal.close()
    (path,) = spool.waiting(tmp_path / "spool")
    path.write_bytes(path.read_bytes() + b'{"intent": {"hold_id": "ho')
    assert read(path) == [("intent", INTENT)]


async def test_a_full_spool_takes_no_more_calls_but_what_they_cost(journal: Spool, tmp_path: Path) -> None:
    calls = 0
    while journal.has_room:
        await journal.keep_intent(replace(INTENT, hold_id=f"hold-{calls}"))
        calls += 1
    assert 5 < calls < 20_000 // 2 // 500
    with pytest.raises(BooksUnavailable) as refused:
        await journal.keep_intent(INTENT)
    assert refused.value.never
    assert await journal.keep_postings([POSTING] * 3)
    assert not await journal.keep_postings([POSTING] * 100)
    (path,) = spool.waiting(tmp_path / "spool")
    assert path.stat().st_size < 20_000


async def test_there_is_room_again_once_a_file_is_brought_to_the_database(journal: Spool, tmp_path: Path) -> None:
    assert await journal.keep_postings([POSTING] * 10)
    await journal.close()
    await journal.keep_intent(INTENT)
    assert not journal.has_room, "the file from before still counts"
    await journal.close()
    for path in spool.waiting(tmp_path / "spool"):
        path.unlink()
    await journal.keep_intent(INTENT)
    assert journal.has_room


async def test_a_disk_that_cannot_be_written_refuses_calls(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    journal = Spool(tmp_path / "file", most_bytes=20_000)
    journal.start()
    with pytest.raises(BooksUnavailable):
        await journal.keep_intent(INTENT)
    assert not await journal.keep_postings([POSTING])
    await journal.stop()


class Books:
    """The gateway's journal; it refuses single holds, or is away."""

    def __init__(self) -> None:
        self.available, self.refused = True, {""}
        self.done: list[tuple[str, str]] = []

    async def ask(self, kind: str, items: list[Any]) -> Any:
        if not self.available:
            raise BooksUnavailable("away")
        ids = [item.hold_id if kind == "late_intents" else item.intent.hold_id for item in items]
        if self.refused & set(ids):
            raise BooksUnavailable("refused", down=False)
        self.done += [(kind, hold_id) for hold_id in ids]
        return {item.intent.hold_id: item.amount_nano or 0 for item in items} if kind == "postings" else None


class Store:
    available = True

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.later: list[Any] = []

    async def scripts(self, script: object, calls: list[tuple[Any, ...]]) -> None:
        if not self.available:
            raise StoreUnavailable("away")
        self.calls += calls

    def when_back(self, action: Any) -> None:
        self.later.append(action)


class Known:
    as_of = NOW


def spooling(folder: Path, books: Books, store: Store, **policy: Any) -> Spooling:
    given = OutagePolicy(spool_folder=str(folder), **policy)
    made = Spooling(books, store, Known(), GatewayConfig("", "", outage=given), lambda: NOW)  # type: ignore[arg-type]
    made.start()
    return made


async def test_what_waits_is_brought_to_the_database_postings_first(journal: Spool, tmp_path: Path) -> None:
    await journal.keep_intent(INTENT)
    await journal.keep_intent(replace(INTENT, hold_id="open"))
    await journal.keep_postings([POSTING])
    await journal.close()
    books, store = Books(), Store()
    other = spooling(tmp_path / "spool", books, store)
    assert await other.bring()
    assert books.done == [("postings", "hold-1"), ("late_intents", "hold-1"), ("late_intents", "open")]
    assert store.calls == [("lk:{o1}", "hold-1", 500, 15, 3, ""), (overall.PREFIX, "hold-1", 500, 15, 0, "")]
    assert spool.waiting(tmp_path / "spool") == []
    await other.stop()


async def test_one_line_that_the_database_refuses_holds_up_no_other_and_is_tried_again(
    journal: Spool, tmp_path: Path
) -> None:
    await journal.keep_postings([replace(POSTING, intent=replace(INTENT, hold_id=f"hold-{i}")) for i in range(5)])
    await journal.close()
    books = Books()
    books.refused = {"hold-2"}
    other = spooling(tmp_path / "spool", books, Store())
    assert await other.bring()
    assert [hold_id for _, hold_id in books.done] == ["hold-0", "hold-1", "hold-3", "hold-4"]
    (path,) = spool.waiting(tmp_path / "spool")
    assert len(read(path)) == 5
    books.refused = {""}
    assert await other.bring()
    assert "hold-2" in [hold_id for _, hold_id in books.done]
    assert spool.waiting(tmp_path / "spool") == []
    await other.stop()


async def test_the_spool_waits_for_a_database_that_goes_away_again(journal: Spool, tmp_path: Path) -> None:
    await journal.keep_postings([POSTING])
    await journal.close()
    books, store = Books(), Store()
    other = spooling(tmp_path / "spool", books, store)
    books.available = False
    assert not await other.bring()
    assert len(spool.waiting(tmp_path / "spool")) == 1
    books.available, store.available = True, False
    assert await other.bring()
    assert len(store.later) == 1, "settled once the store is back"
    await other.stop()


@pytest.mark.parametrize(
    ("policy", "hard", "free"),
    [
        ({}, False, True),
        ({"budgets_without_database": "spool"}, True, True),
        ({"unbudgeted_without_database": "deny"}, False, False),
        ({"budgets_without_database": "spool", "unbudgeted_without_database": "deny"}, True, False),
        ({"budgets_without_database": "spool", "spool_seconds": -1}, False, False),
    ],
)
async def test_policy_says_which_calls_are_spooled(
    tmp_path: Path, policy: dict[str, Any], hard: bool, free: bool
) -> None:
    made = spooling(tmp_path, Books(), Store(), **policy)
    assert [takes(made, has_ceiling=limited) for limited in (True, False)] == [hard, free]
    await made.stop()


async def test_nothing_is_spooled_while_the_store_is_away_too(tmp_path: Path) -> None:
    store = Store()
    store.available = False
    made = spooling(tmp_path, Books(), store, budgets_without_database="spool")
    assert not made.is_open
    await made.stop()


def takes(made: Spooling, *, has_ceiling: bool) -> bool:
    try:
        made.take(asking(has_ceiling=has_ceiling))
    except BooksUnavailable:
        return False
    return True


def asking(*, has_ceiling: bool, platform: Any = None) -> Any:
    plan = SimpleNamespace(has_ceiling=has_ceiling)
    return SimpleNamespace(plan=plan, platform=platform, spooled=False, lease=timedelta(seconds=60))


async def test_a_spooled_call_is_given_time_until_it_is_brought_to_the_database(tmp_path: Path) -> None:
    made = spooling(tmp_path, Books(), Store())
    above = SimpleNamespace(moment=SimpleNamespace(lines=()), lease=timedelta(seconds=60))
    call = asking(has_ceiling=False, platform=above)
    for _ in range(2):
        made.take(call)
        assert call.spooled and call.lease == above.lease == timedelta(seconds=120)
    above.moment.lines = ("a budget of the platform",)
    with pytest.raises(BooksUnavailable):
        made.take(call)
    await made.stop()
