"""Ids that no two workers ever make alike. They are names, not secrets."""

import os
import random
import time

_random = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=_random.seed)


def request_id() -> str:
    return hold_id()


def hold_id() -> str:
    """32 hex digits; later ones sort after earlier ones, so that an index grows at its end."""
    return f"{time.time_ns() // 1_000_000:012x}{_random.getrandbits(80):020x}"


def load_name() -> str:
    """Tells one load of a counter from every other of it."""
    return f"{_random.getrandbits(40):010x}"
