"""A worker killed at any named point: nothing that was billed is missing, nothing stays held, nothing counts twice."""

from pathlib import Path

import httpx
import pytest

from proxy.runtime import faults
from tests.gateway.running import Running, eventually, running
from tests.gateway.upstream import Books

pytestmark = pytest.mark.xdist_group("gateway")


@pytest.mark.parametrize("point", ["after_hold", "after_intent", "after_send", "before_commit", "after_post"])
def test_a_worker_killed_at_a_point_leaves_books_that_close(books: Books, tmp_path: Path, point: str) -> None:
    with running(tmp_path, books.url, LATCHKEY_FAULT_AT=f"{point}:kill:3") as latchkey:
        key = latchkey.new_key(max_budget=1)
        answers = [_call(latchkey, key) for _ in range(10)]
        assert answers.count(0) >= 1, "no worker was killed"
        assert latchkey.key_rows(key) is not None
        rows = latchkey.query(
            "SELECT h.id, e.amount_nano, h.amount_nano FROM spend_hold h JOIN spend_ledgerentry e ON e.hold_id = h.id"
        )
        assert len(rows) == len({hold for hold, _, _ in rows})
        assert sum(amount for _, amount, _ in rows) >= books.total_nano
        assert len(rows) >= len(books.billed)
        assert all(amount <= held for _, amount, held in rows)
        eventually(lambda: _held(latchkey) == 0, 30)


@pytest.mark.parametrize("text", ["after_lunch:kill", "after_hold", "after_hold:explode", "after_hold:kill:x"])
def test_a_fault_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(faults.BadFault, match="after_intent"):
        faults.parse(text)


def _call(latchkey: Running, key: str) -> int:
    """The status, or 0 if the worker died of it; a worker that is only just starting again is waited for."""
    try:
        return latchkey.chat(key).status_code
    except httpx.TransportError:
        eventually(lambda: _alive(latchkey), 30)
        return 0


def _alive(latchkey: Running) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{latchkey.port}/health/liveliness", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _held(latchkey: Running) -> int:
    with latchkey.store() as store:
        return sum(int(store.hget(name, "h") or 0) for name in store.scan_iter("lk:*:w:*"))
