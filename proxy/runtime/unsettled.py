"""What calls of this worker have cost that the counters of their keys do not show yet. Pure."""


class Unsettled:
    """Nano-USD by a key's primary key; only of keys that have some."""

    def __init__(self) -> None:
        self._nano: dict[int, int] = {}

    def add(self, key_id: int, nano: int) -> None:
        """A negative amount is settled, or given up. What comes to nothing is forgotten."""
        total = self._nano.pop(key_id, 0) + nano
        if total:
            self._nano[key_id] = total

    def of(self, key_id: int) -> int:
        return self._nano.get(key_id, 0)
