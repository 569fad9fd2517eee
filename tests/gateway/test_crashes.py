"""A worker killed at any named point: nothing that was billed is missing, nothing stays held, nothing counts twice."""

from pathlib import Path

import httpx
import pytest

from proxy.runtime import faults
from tests.gateway.running import Running, eventually, running
from tests.gateway.upstream import Books

#: What the database must say once a killed worker's lease is over: nothing pending, one entry per hold.
_BOOKS = "SELECT count(*), count(DISTINCT hold_id), coalesce(sum(amount_nano), 0) FROM spend_ledgerentry"


@pytest.mark.parametrize("point", ["after_hold", "after_intent", "before_commit"])
def test_a_worker_killed_at_a_point_leaves_books_that_close(books: Books, tmp_path: Path, point: str) -> None:
    with running(tmp_path, books.url, LATCHKEY_FAULT_AT=f"{point}:kill:2") as latchkey:
        key = latchkey.new_key(max_budget=1)
        answers = [_call(latchkey, key) for _ in range(8)]
        eventually(lambda: latchkey.query("SELECT count(*) FROM spend_hold WHERE state = 'pending'") == [(0,)], 60)
        eventually(lambda: _held(latchkey) == 0, 60)
        ((entries, holds, amount),) = latchkey.query(_BOOKS)
        assert answers.count(200) >= 3
        assert len(books.billed) <= entries == holds
        assert amount >= books.total_nano


@pytest.mark.parametrize("text", ["after_lunch:kill", "after_hold", "after_hold:explode", "after_hold:kill:x"])
def test_a_fault_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(faults.BadFault, match="after_intent"):
        faults.parse(text)


def _call(latchkey: Running, key: str) -> int:
    """The status, or 0 if the worker died of it; a worker that is only just starting again is waited for."""
    try:
        return latchkey.chat(key).status_code
    except httpx.TransportError:
        eventually(lambda: _alive(latchkey), 60)
        return 0


def _alive(latchkey: Running) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{latchkey.port}/health/liveliness", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _held(latchkey: Running) -> int:
    with latchkey.store() as store:
        return sum(int(store.hget(name, "h") or 0) for name in store.scan_iter("lk:*:w:*"))
