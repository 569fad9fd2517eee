"""Named points at which a test can have a worker fail. Off unless `LATCHKEY_FAULT_AT` names one.

`LATCHKEY_FAULT_AT=after_intent:kill:3` kills the worker the third time it gets there; `hang` stops it for good,
`slow` for a second each time. The points are listed in `POINTS`, in the order in which a call passes them.
"""

import os
import signal
import time

POINTS = (
    "after_half", "after_hold", "after_intent", "after_send", "in_stream", "before_post", "before_commit", "after_post",
    "after_settle",
)  # fmt: skip
_DEEDS = ("kill", "hang", "slow")


class BadFault(ValueError):
    """The setting names no point or deed; the message lists them."""


def parse(text: str) -> tuple[str, str, int]:
    """`"after_intent:kill:3"` -> `("after_intent", "kill", 3)`; nothing is `("", "", 0)`."""
    if not text:
        return "", "", 0
    point, _, rest = text.partition(":")
    deed, _, times = rest.partition(":")
    if point not in POINTS or deed not in _DEEDS or not (times or "1").isdigit():
        raise BadFault(
            f"write one of {', '.join(POINTS)}, a colon, one of {', '.join(_DEEDS)}, e.g. 'after_hold:kill:3'"
        )
    return point, deed, int(times or 1)


_point, _deed, _left = "", "", 0


def arm(text: str) -> None:
    """Have this process fail at a point. Raises BadFault."""
    global _point, _deed, _left
    _point, _deed, _left = parse(text)


def reach(point: str) -> None:
    """Called at every named point; does nothing unless the point is armed."""
    if point == _point:
        _fail()


def _fail() -> None:
    global _left
    _left -= 1
    if _deed == "slow":
        time.sleep(1)
    elif _left == 0 and _deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif _left == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
