"""A worker whose background work fails ends, so that another one takes its place."""

import asyncio
import os
import signal

import pytest

from proxy.runtime.app import replace_the_worker


async def _fails() -> None:
    raise RuntimeError("a bug")


async def _ends() -> None:
    return


async def test_only_work_that_fails_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: ended.append((pid, number)))
    forever = asyncio.create_task(asyncio.sleep(60))
    for task in (asyncio.create_task(_ends()), forever, asyncio.create_task(_fails())):
        task.add_done_callback(replace_the_worker)
    forever.cancel()
    await asyncio.sleep(0.01)
    assert ended == [(os.getpid(), signal.SIGTERM)]
