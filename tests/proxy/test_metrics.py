"""What operators watch is collected beside the calls, not before them."""

import asyncio
import threading
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from proxy.runtime import metrics


async def test_others_are_served_while_counts_are_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    served = threading.Event()
    monkeypatch.setattr(metrics, "_collected", lambda: b"beside" if served.wait(5) else b"in the way")
    asyncio.get_running_loop().call_soon(served.set)
    assert await metrics.text() == b"beside"


async def test_an_answer_is_counted_before_counts_are_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    metrics.answered(799)
    assert b'latchkey_answers_total{status="799"} 1.0' in await metrics.text()


async def test_counts_of_other_workers_are_read_from_their_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    other = MmapedDict(str(tmp_path / "counter_1.db"))
    named = mmap_key("latchkey_answers", "latchkey_answers_total", ["status"], ["200"], "Answers.")
    other.write_value(named, 7, 0)
    other.close()
    assert b'latchkey_answers_total{status="200"} 7.0' in await metrics.text()
