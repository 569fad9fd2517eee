"""Rates as one worker alone can keep them, while the counter store is away: its share of each limit. Pure."""

from collections.abc import Iterable

from proxy.runtime.plan import Rate

_MOST = 50_000


class LocalRates:
    def __init__(self, workers: int) -> None:
        self._workers = max(1, workers)
        self._minute = 0
        self._used: dict[str, int] = {}
        self._running: dict[str, set[str]] = {}
        """Calls of this worker that are not over, by what limits how many there may be."""

    def cannot_judge(self, rates: Iterable[tuple[Rate, int]]) -> bool:
        """Whether a share has no room for such an amount even when nobody else calls; the whole limit may have."""
        return any(rate.limit > 0 and rate.limit // self._workers < amount for rate, amount in rates)

    def refused(self, rates: Iterable[tuple[Rate, int]], minute: int) -> Rate | None:
        """Count each amount against its rate, or count nothing and name the first that has not enough left."""
        if minute != self._minute or len(self._used) > _MOST:
            self._minute, self._used = minute, {}
        asked = list(rates)
        for rate, amount in asked:
            if self._used.get(rate.name, 0) + amount > rate.limit // self._workers:
                return rate
        for rate, amount in asked:
            self._used[rate.name] = self._used.get(rate.name, 0) + amount
        return None

    def give_back(self, rates: Iterable[tuple[Rate, int]], minute: int) -> None:
        """Of a call that was counted and then not admitted."""
        if minute == self._minute:
            for rate, amount in rates:
                self._used[rate.name] = max(0, self._used.get(rate.name, 0) - amount)

    def full(self, slots: Iterable[Rate]) -> Rate | None:
        """The first limit of parallel requests whose share of this worker is taken."""
        return next((slot for slot in slots if self.running(slot) >= slot.limit // self._workers), None)

    def running(self, slot: Rate) -> int:
        return len(self._running.get(slot.name, ()))

    def began(self, hold_id: str, slots: Iterable[Rate]) -> None:
        for slot in slots:
            self._running.setdefault(slot.name, set()).add(hold_id)

    def ended(self, hold_id: str, slots: Iterable[Rate]) -> None:
        """Safe to repeat."""
        for slot in slots:
            calls = self._running.get(slot.name, set())
            calls.discard(hold_id)
            if not calls:
                self._running.pop(slot.name, None)
