"""Tags of a call that are read while others of it are dropped from the worker's cache."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from keys.grants import ScopePolicy
from proxy.runtime.grants import Grants


class Books:
    """Books that answer about tags once `go` is set."""

    available = True

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def ask(self, kind: str, item: tuple[int, tuple[str, ...]]) -> Any:
        await self.go.wait()
        return {name: ScopePolicy(f"tag:{name}", f"tag '{name}'", 1) for name in item[1]}


async def test_a_tag_that_is_dropped_while_another_one_is_read_still_governs_the_call() -> None:
    books = Books()
    grants = Grants(books, lambda: datetime.now(UTC))  # type: ignore[arg-type]
    books.go.set()
    await grants.tags(1, ("1",))
    books.go.clear()
    asked = asyncio.create_task(grants.tags(1, ("1", "2")))
    await asyncio.sleep(0)
    grants.forget(["tag:1"])
    books.go.set()
    assert [policy.scope for policy in await asked] == ["tag:1", "tag:2"]
