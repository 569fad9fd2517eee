"""Asks the process inside Latchkey's walls (`doors.py`) for what has no path in the management API."""

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

from tests.scenarios.rig.processes import Program


class Operator:
    """Usable from any thread."""

    def __init__(self, start: Callable[[list[str]], Program]) -> None:
        self._program = start([sys.executable, "-m", "tests.scenarios.rig.doors"])
        self._program.start()
        self._turn = threading.Lock()

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """One call of a function in `doors.py`. Fails with what it raised."""
        with self._turn:
            self._program.stdin.write(json.dumps({"do": do, **values}).encode() + b"\n")
            self._program.stdin.flush()
            line = self._program.stdout.readline()
        answer: dict[str, Any] = json.loads(line or b'{"error": "the operator is gone"}')
        assert "error" not in answer, f"{do}: {answer['error']}\n{self._program.tail()}"
        return answer

    def end(self) -> None:
        self._program.end(10)
