"""A whole Latchkey, as an operator starts it, with the provider and the fault proxy in front of what it needs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from gateway_project.environment import socket_path
from tests.gateway.running import MASTER, eventually
from tests.scenarios.rig.bill import Bill
from tests.scenarios.rig.books import Books
from tests.scenarios.rig.counter_store import GivenStore, OwnStore
from tests.scenarios.rig.faults import FaultProxy
from tests.scenarios.rig.operator import Operator
from tests.scenarios.rig.postgres import GivenPostgres, OwnPostgres
from tests.scenarios.rig.processes import Program, free_port, listens

LEASE_SECONDS = 5
_CONFIG = """
model_list:
  - model_name: flat
    litellm_params: {model: openai/flat, api_base: "URL/a/v1", api_key: os.environ/UPSTREAM_KEY,
      input_cost_per_token: 0, output_cost_per_token: 0.00001, timeout: 60, max_retries: 0}
  - model_name: books
    litellm_params: {model: openai/books, api_base: "URL/a/v1", api_key: os.environ/UPSTREAM_KEY,
      input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001, timeout: 60, max_retries: 0}
  - model_name: agent
    litellm_params: {model: openai/books, api_base: "URL/a/v1", api_key: os.environ/UPSTREAM_KEY,
      input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001, timeout: 60, max_retries: 0}
    model_info: {max_input_tokens: 128000, max_output_tokens: 16384}
  - model_name: pair
    litellm_params: {model: openai/books, api_base: "URL/a/v1", api_key: os.environ/UPSTREAM_KEY,
      input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001, timeout: 60, max_retries: 2}
  - model_name: pair
    litellm_params: {model: openai/books, api_base: "URL/b/v1", api_key: os.environ/UPSTREAM_KEY,
      input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001, timeout: 60, max_retries: 2}
"""


class Rig:
    """One running Latchkey. `servers[0]` is `manage.py up`, further ones are `manage.py gateway`.

    `engine` is full, fast (the same with intents in the counter store) or embedded.
    """

    def __init__(self, folder: Path, *, engine: str, gateways: int, workers: int) -> None:
        self.folder, self.engine = folder, engine
        self.database: OwnPostgres | GivenPostgres | None = None
        self.store: OwnStore | GivenStore | None = None
        self._workers, self.provider_port = workers, free_port()
        self.ports = [free_port() for _ in range(gateways)]
        self.servers: list[Program] = []
        self.extra: list[Program] = []
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports[0]}", timeout=30, headers={"authorization": f"Bearer {MASTER}"}
        )

    def start(self) -> None:
        """Everything from the bottom up; returns when every gateway serves calls."""
        bill = self.folder / "bill.jsonl"
        bill.touch()
        self.bill = Bill(bill)
        command = [sys.executable, "-m", "tests.scenarios.rig.provider", str(self.provider_port), str(bill)]
        self.provider = Program(command, self.folder / "provider.log")
        self.provider.start()
        targets = {"provider": ("127.0.0.1", self.provider_port)}
        if self.engine != "embedded":
            self._start_dependencies(targets)
        self.faults = FaultProxy(targets, self._piped("faults"))
        self.provider.await_ready(lambda: listens(self.provider_port))
        config = self.folder / "config.yaml"
        config.write_text(_CONFIG.replace("URL", f"http://127.0.0.1:{self.faults.ports['provider']}"))
        self.environment = self._settings(config)
        self.servers = [self._server(index) for index in range(len(self.ports))]
        self.servers[0].start()
        self.await_alive(0)
        for index in range(1, len(self.ports)):
            self.servers[index].start()
        for index in range(1, len(self.ports)):
            self.await_alive(index)
        self.operator = Operator(self._piped("operator", self._direct()))
        self.books = Books(
            postgres=self.database.url if self.database else "",
            sqlite=None if self.database else self.folder / "latchkey.sqlite3",
            store_url=self.store.url if self.store else self._socket_url(),
        )

    def manage(self, method: str, path: str, **options: Any) -> Any:
        """One call of the management API with the master key."""
        answer = self.http.request(method, path, **options)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}\n{self.logs()[-3000:]}"
        return answer.json()

    def worker_pids(self) -> list[int]:
        """All gateway workers of all servers."""
        return [pid for server in self.servers if server.is_alive for pid in server.workers()]

    def kill(self, pid: int) -> None:
        """kill -9 of one gateway worker; its gunicorn starts another one."""
        os.kill(pid, signal.SIGKILL)

    def await_alive(self, index: int) -> None:
        """Until the server answers, and with all of its workers."""
        url = f"http://127.0.0.1:{self.ports[index]}/v1/models"
        self.servers[index].await_ready(lambda: _answers(url))
        self.servers[index].await_ready(lambda: len(self.servers[index].workers()) == self._workers)

    def recover(self) -> None:
        """After a scenario: everything runs and answers again, whatever was done to it."""
        for dependency in (self.database, self.store):
            if dependency is not None and dependency.is_ours and not dependency.is_running:
                dependency.start()
        self.faults.pass_everything()
        for program in self.extra:
            program.end()
        self.extra.clear()
        for index, server in enumerate(self.servers):
            if not server.is_alive:
                server.start()
            self.await_alive(index)
        eventually(self._is_ready, 60)

    def run_beside(self, *arguments: str, **more: str) -> Program:
        """One more `manage.py` process, as on another machine where the engine allows it, until the scenario ends.
        `more` is added to its environment."""
        log, environment = self.folder / f"beside-{len(self.extra)}.log", self.environment | more
        if self.engine != "embedded":
            environment = environment | {"LATCHKEY_DATA_DIR": str(self.folder / log.stem)}
            (self.folder / log.stem).mkdir(exist_ok=True)
        program = Program([sys.executable, "manage.py", *arguments], log, environment=environment)
        program.start()
        self.extra.append(program)
        return program

    def gateway_beside(self, workers: int, **more: str) -> tuple[Program, int]:
        """One more gateway, and its port; it answers when this returns."""
        port = free_port()
        program = self.run_beside("gateway", "--port", str(port), "--workers", str(workers), **more)
        program.await_ready(lambda: _answers(f"http://127.0.0.1:{port}/v1/models"))
        program.await_ready(lambda: len(program.workers()) == workers)
        return program, port

    def end(self) -> None:
        for program in [*self.extra, *reversed(self.servers)]:
            program.end()
        self.http.close()
        self.operator.end()
        self.books.store.close()
        self.faults.end()
        self.provider.kill()
        for dependency in (self.database, self.store):
            if dependency is not None:
                dependency.throw_away()

    def logs(self) -> str:
        """Everything that Latchkey's own processes wrote to stderr."""
        return "".join(server.log.read_text(errors="replace") for server in self.servers)

    def _start_dependencies(self, targets: dict[str, tuple[str, int]]) -> None:
        given = os.environ.get("TEST_DATABASE_URL"), os.environ.get("TEST_REDIS_URL")
        self.database = GivenPostgres(given[0]) if given[0] else OwnPostgres(self.folder / "postgres.log")
        self.store = GivenStore(given[1]) if given[1] else OwnStore(self.folder / "store.log")
        self.database.start()
        self.store.start()
        targets |= {"database": self.database.place, "store": self.store.place}

    def _settings(self, config: Path) -> dict[str, str]:
        values = {
            "LATCHKEY_CONFIG": str(config),
            "LATCHKEY_DATA_DIR": str(self.folder),
            "LATCHKEY_MASTER_KEY": MASTER,
            "LATCHKEY_SALT_KEY": "salt-of-the-scenarios-4Kd91",
            "SECRET_KEY": "django-of-the-scenarios-Pq73x",
            "LATCHKEY_DURABILITY": "fast" if self.engine == "fast" else "strict",
            "LATCHKEY_HOLD_LEASE_SECONDS": str(LEASE_SECONDS),
            "ALLOWED_HOSTS": "127.0.0.1",
            "LATCHKEY_DEMO": "0",
            "UPSTREAM_KEY": "sk-upstream-secret-Zk81",
            "LOG_LEVEL": "WARNING",
        }
        if self.database is not None and self.store is not None:
            values["DATABASE_URL"] = _through(self.database.url, self.faults.ports["database"])
            values["REDIS_URL"] = _through(self.store.url, self.faults.ports["store"])
        return values

    def _direct(self) -> dict[str, str]:
        """The same settings without the fault proxy: this rig's own eyes are never covered."""
        if self.database is None or self.store is None:
            return self.environment
        return self.environment | {"DATABASE_URL": self.database.url, "REDIS_URL": self.store.url}

    def _socket_url(self) -> str:
        return f"unix://{socket_path(self.folder / 'valkey' / 'valkey.sock')}"

    def _server(self, index: int) -> Program:
        role = "up" if index == 0 else "gateway"
        command = [sys.executable, "manage.py", role, "--port", str(self.ports[index])]
        command += ["--workers", str(self._workers)]
        return Program(command, self.folder / f"{role}-{index}.log", environment=self.environment)

    def _piped(self, name: str, environment: dict[str, str] | None = None) -> Callable[[list[str]], Program]:
        """How to start a helper that is steered through its stdin and stdout."""
        log = self.folder / f"{name}.log"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return lambda command: Program(command, log, environment=environment, **pipes)

    def _is_ready(self) -> bool:
        try:
            return bool(self.http.get("/health/readiness").json()["status"] == "healthy")
        except httpx.TransportError:
            return False


@contextmanager
def running_rig(folder: Path, *, engine: str, gateways: int, workers: int) -> Iterator[Rig]:
    rig = Rig(folder, engine=engine, gateways=gateways, workers=workers)
    begin = time.monotonic()
    rig.start()
    print(f"\n{engine}: {gateways} gateway(s) of {workers} workers, up in {time.monotonic() - begin:.1f} s")
    try:
        yield rig
    finally:
        rig.end()


def _through(url: str, port: int) -> str:
    """The same address by way of the fault proxy."""
    parts = urlsplit(url)
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return urlunsplit(parts._replace(netloc=f"{login}127.0.0.1:{port}"))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 401
    except httpx.TransportError:
        return False
