"""A PostgreSQL of our own from the machine's binaries, or a database of our own on a server that is given."""

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.scenarios.rig.processes import Program, free_port

MISSING = (
    "PostgreSQL is not installed here and TEST_DATABASE_URL is not set: the scenarios on the full engine are SKIPPED"
)


def binaries() -> Path | None:
    """Where initdb and postgres are, or None."""
    on_path = shutil.which("initdb")
    found = sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(on_path).resolve().parent if on_path else (found[-1] if found else None)


class OwnPostgres:
    """A server on a private port and folder. A stop is an immediate one, as if its machine had gone down."""

    is_ours = True

    def __init__(self, log: Path) -> None:
        found = binaries()
        assert found is not None, MISSING
        self.place = ("127.0.0.1", free_port())
        self._home = Path(tempfile.mkdtemp(prefix="latchkey-postgres-"))
        # The server refuses to run as root.
        as_user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if _is_root() else {}
        if as_user:
            shutil.chown(self._home, "postgres", "postgres")
        initdb = [str(found / "initdb"), f"--pgdata={self._home}/data", "--username=latchkey", "--auth=trust"]
        subprocess.run([*initdb, "--encoding=UTF8", "--no-sync"], cwd="/", check=True, capture_output=True, **as_user)
        # A process that is killed loses nothing that it wrote, so only a power cut would need fsync.
        options = ["listen_addresses=127.0.0.1", f"port={self.place[1]}", "fsync=off", "max_connections=200"]
        command = [str(found / "postgres"), "-D", f"{self._home}/data", "-k", str(self._home)]
        command += [part for option in options for part in ("-c", option)]
        self._program = Program(command, log, stop_signal=signal.SIGQUIT, cwd="/", **as_user)

    @property
    def url(self) -> str:
        return f"postgres://latchkey@127.0.0.1:{self.place[1]}/postgres"

    def start(self) -> None:
        self._program.start()
        self._program.await_ready(lambda: answers(self.url))

    @property
    def is_running(self) -> bool:
        return self._program.is_alive

    def stop(self) -> None:
        self._program.end(30)

    def throw_away(self) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)


class GivenPostgres:
    """A database of our own on the server of TEST_DATABASE_URL, which scenarios cut off but never stop."""

    is_ours, is_running = False, True

    def __init__(self, given: str) -> None:
        self._given, self._name = given, f"latchkey_{uuid.uuid4().hex[:12]}"
        self.place = (urlsplit(given).hostname or "127.0.0.1", urlsplit(given).port or 5432)

    @property
    def url(self) -> str:
        return urlunsplit(urlsplit(self._given)._replace(path=f"/{self._name}"))

    def start(self) -> None:
        with psycopg.connect(self._given, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{self._name}"')

    def throw_away(self) -> None:
        with psycopg.connect(self._given, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')


def set_read_only(url: str, on: bool) -> None:
    """Have every session that begins from now on refuse to write, as on a server that is a copy of another one."""
    options = "-c default_transaction_read_only=off"
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(name, on))


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _is_root() -> bool:
    return os.getuid() == 0
