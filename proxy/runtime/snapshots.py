"""What a worker has read, for as long as nothing that it was read from has changed. Pure.

A change costs the same however much is kept: it is noted once, and each snapshot is judged when it is next asked for.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
_MOST = 100_000
_MOST_CHANGES = 10_000


class Changes:
    """Which scopes changed, in the order in which this worker heard of it."""

    def __init__(self) -> None:
        self.serial = 0
        self._last: dict[str, int] = {}
        self._forgotten = 0

    def note(self, scopes: Iterable[str]) -> None:
        self.serial += 1
        if len(self._last) >= _MOST_CHANGES:
            self._last.clear()
            self._forgotten = self.serial
        self._last.update(dict.fromkeys(scopes, self.serial))

    def touch(self, scopes: Iterable[str], since: int) -> bool:
        """Whether one of the scopes changed after `since`, or may have."""
        last = self._last
        return since < self._forgotten or any(last.get(scope, 0) > since for scope in scopes)


class Snapshots(Generic[K, V]):
    """`scopes_of` names every scope that a value was read from."""

    def __init__(self, changes: Changes, scopes_of: Callable[[V], Iterable[str]]) -> None:
        self._changes, self._scopes_of = changes, scopes_of
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __contains__(self, key: object) -> bool:
        """Whether it was read once, in force or not."""
        return key in self._kept

    def get(self, key: K) -> V | None:
        """The value, unless something that it was read from has changed since."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        value, seen = kept
        serial = self._changes.serial
        if seen != serial:
            if self._changes.touch(self._scopes_of(value), seen):
                del self._kept[key]
                return None
            self._kept[key] = value, serial
        return value

    def put(self, key: K, value: V, since: int) -> None:
        """`since` is the serial of the last change that was known before the reading began."""
        self._kept[key] = value, since
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
