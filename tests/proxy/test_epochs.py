"""Agreeing on an epoch while other workers do the same."""

from typing import Any

from proxy.runtime.epochs import Epochs
from spend.wire import Authority


class Store:
    """Publishes what somebody raised after so many looks."""

    def __init__(self, *, after: int, epoch: int) -> None:
        self.looks, self._after, self._epoch = 0, after, epoch
        self.published: list[int] = []

    async def command(self, *command: Any) -> Any:
        self.looks += 1
        return None if self.looks <= self._after else self._epoch

    async def script(self, script: Any, prefix: str, epoch: int) -> Any:
        self.published.append(epoch)


class Journal:
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    async def ask(self, kind: str, item: Any) -> Any:
        if kind == "raise_epochs":
            self.epoch += 1
            return self.epoch, True
        return Authority(self.epoch, None)


async def agreed(store: Store, journal: Journal) -> int:
    epochs = Epochs(store, journal)  # type: ignore[arg-type]
    await epochs.renew(7)
    return await epochs.current(7)


async def test_an_epoch_that_another_worker_is_about_to_publish_is_waited_for_and_not_raised() -> None:
    store, journal = Store(after=3, epoch=2), Journal(2)
    assert await agreed(store, journal) == 2
    assert (store.looks, store.published) == (4, [])


async def test_an_epoch_that_nobody_publishes_is_raised() -> None:
    store, journal = Store(after=10**6, epoch=2), Journal(2)
    assert await agreed(store, journal) == 3
    assert store.published == [3]


async def test_the_first_call_of_an_organization_waits_for_nobody() -> None:
    store, journal = Store(after=10**6, epoch=1), Journal(1)
    assert await agreed(store, journal) == 2
    assert (store.looks, store.published) == (1, [2])
