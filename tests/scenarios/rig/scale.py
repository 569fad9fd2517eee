"""How large a run is: short within `make test`, in full under `make soak`."""

import os
import random
from typing import TypeVar

N = TypeVar("N", int, float)

SOAK = os.environ.get("LATCHKEY_SOAK", "") not in ("", "0")


def scaled(short: N, full: N) -> N:
    return full if SOAK else short


def seeds(full: int = 5) -> list[int]:
    """Seeds of the runs of one scenario; LATCHKEY_SEED repeats one of them."""
    given = os.environ.get("LATCHKEY_SEED")
    if given:
        return [int(given)]
    return [random.SystemRandom().randrange(10**6) for _ in range(full)] if SOAK else [1]
