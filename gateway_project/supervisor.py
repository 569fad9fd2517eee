"""Running several processes as one: started together, stopped together, in the foreground."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

_PR_SET_PDEATHSIG = 1
#: Between two starts of what ended.
_PAUSE_SECONDS = 5.0


@dataclass
class Child:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    grace_seconds: float = 110
    restarts: bool = False
    """Whether all else goes on without it for a while, so that it is started again when it ends."""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """In a session of its own, so that Ctrl-C reaches the supervisor alone, which stops all in order."""
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.environment},
            start_new_session=True,
            preexec_fn=end_with_parent,
        )

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(self.grace_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def exit_code(self) -> int | None:
        return self.process.poll() if self.process else None


def end_with_parent() -> None:
    """Ask the kernel (Linux) for SIGTERM when the supervisor dies, so that a killed one leaves nothing running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Children are stopped in the order they are listed: what takes traffic first, what it needs last."""

    def __init__(self, children: list[Child], *, needed: Mapping[str, Callable[[], bool]]) -> None:
        """`needed` names what else must stay alive, with a question that tells whether it does."""
        self._children, self._needed = children, needed
        self._stopping = self._was_up = False
        self._again_at = 0.0

    def run(self, when_up: Callable[[], bool], announce: Callable[[], None]) -> int:
        """Start everything, `announce` once `when_up` says so, and wait. Returns the exit code."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._stop)
        for child in reversed(self._children):
            child.start()
        failure = ""
        while not self._stopping and not failure:
            if self._was_up:
                self._revive()
            failure = self._failure()
            if not self._was_up and when_up():
                self._was_up = True
                announce()
            time.sleep(0.2)
        for child in self._children:
            child.stop()
        if failure:
            sys.stderr.write(f"Latchkey stops: {failure}\n")
        return 1 if failure else 0

    def _revive(self) -> None:
        """Before everything was up once, nothing that ends is worth another try."""
        for child in self._children:
            if child.restarts and child.exit_code is not None and time.monotonic() >= self._again_at:
                sys.stderr.write(f"{child.name} ended with code {child.exit_code} and is started again\n")
                self._again_at = time.monotonic() + _PAUSE_SECONDS
                child.start()

    def _failure(self) -> str:
        """What ended that must not, or nothing."""
        for child in self._children:
            if child.exit_code is not None and not (child.restarts and self._was_up):
                return f"{child.name} ended with code {child.exit_code}"
        return next((f"{name} ended" for name, is_alive in self._needed.items() if not is_alive()), "")

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
