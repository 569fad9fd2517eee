"""Programs that a scenario starts, kills and starts again; each is ended by its own process id."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.processes import server_workers
from gateway_project.supervisor import end_with_parent
from tests.gateway.running import ROOT, clean_environment


class Program:
    """One program and its log. Start it from the main thread: the kernel ends it with the thread that started it."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        **options: Any,
    ) -> None:
        self.command, self.log, self._stop_signal, self._options = list(command), log, stop_signal, options
        self._environment = clean_environment() | dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def stdin(self) -> Any:
        assert self._process is not None
        return self._process.stdin

    @property
    def stdout(self) -> Any:
        assert self._process is not None
        return self._process.stdout

    def start(self) -> None:
        options: dict[str, Any] = {"cwd": ROOT, **self._options}
        with self.log.open("ab") as out:
            options = {"stdout": out, "stderr": out} | options
            self._process = subprocess.Popen(
                self.command, env=self._environment, preexec_fn=end_with_parent, start_new_session=True, **options
            )

    def signal(self, number: signal.Signals) -> None:
        if self.is_alive:
            os.kill(self.pid, number)

    def end(self, seconds: float = 90) -> int:
        """Ask it to end and wait; returns its exit code."""
        if self._process is None:
            return 0
        self.signal(self._stop_signal)
        return self.ended(seconds)

    def ended(self, seconds: float = 90) -> int:
        """Wait for the end of one that was asked already. One that does not end in time is killed."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()
        finally:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    def kill(self) -> int:
        """kill -9, this process alone."""
        assert self._process is not None
        self.signal(signal.SIGKILL)
        return self._process.wait()

    def workers(self) -> list[int]:
        """The server workers below it."""
        return server_workers(self.pid)

    def await_ready(self, ready: Callable[[], bool], seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while not ready():
            assert self.is_alive and time.monotonic() < end, f"{self.command[:4]} does not come up:\n{self.tail()}"
            time.sleep(0.05)

    def tail(self, characters: int = 3000) -> str:
        return self.log.read_text(errors="replace")[-characters:]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
