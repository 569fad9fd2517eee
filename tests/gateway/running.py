"""A whole Latchkey, started as an operator starts it: `manage.py up` with a configuration file."""

import atexit
import functools
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import redis

from keys.secrets import token_of

MASTER = "sk-master-3Jd8Wq0RzYb5TtLx"
ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
model_list:
  - model_name: gpt-books
    litellm_params:
      model: openai/real-model
      api_base: {url}
      api_key: os.environ/UPSTREAM_KEY
      input_cost_per_token: 0.0000025
      output_cost_per_token: 0.00001
      timeout: 10
      max_retries: 1
  - model_name: gpt-down
    litellm_params:
      model: openai/real-model
      api_base: http://127.0.0.1:9/v1
      input_cost_per_token: 0.0000025
      output_cost_per_token: 0.00001
      max_retries: 1
  - model_name: gpt-cancel
    litellm_params:
      model: openai/real-model
      api_base: {url}
      input_cost_per_token: 0.0000025
      output_cost_per_token: 0.00001
      on_disconnect: cancel
  - model_name: embed-books
    litellm_params: {{model: openai/embed, api_base: "{url}", input_cost_per_token: 0.0000001}}
    model_info: {{mode: embedding}}
  - model_name: gpt-free
    litellm_params: {{model: openai/real-model, api_base: "{url}", input_cost_per_token: 0, output_cost_per_token: 0}}
"""


@dataclass
class Running:
    """A running Latchkey as its clients see it."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    log: Path
    http: httpx.Client = field(repr=False)

    def manage(self, method: str, path: str, **options: Any) -> Any:
        answer = self.http.request(method, path, headers={"authorization": f"Bearer {MASTER}"}, **options)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def new_key(self, **fields: Any) -> str:
        key: str = self.manage("POST", "/key/generate", json=fields)["key"]
        return key

    def sdk(self, key: str, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key=key, max_retries=0, **options)

    def chat(self, key: str, **body: Any) -> httpx.Response:
        """One chat completion on a connection of its own, so that any worker may get it."""
        body = {"model": "gpt-books", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}], **body}
        url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
        return httpx.post(url, json=body, headers={"authorization": f"Bearer {key}"}, timeout=30)

    def store(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.folder / "valkey" / "valkey.sock"), decode_responses=True)

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with sqlite3.connect(f"file:{self.folder / 'latchkey.sqlite3'}?mode=ro", uri=True, timeout=20) as connection:
            return connection.execute(sql, values).fetchall()

    def key_rows(self, key: str, columns: str = "amount_nano") -> list[tuple[Any, ...]]:
        """Ledger entries of a key, once none of its holds is pending any more."""
        token = token_of(key)
        pending = (
            "SELECT count(*) FROM spend_hold h JOIN keys_virtualkey k ON k.id = h.key_id "
            "WHERE k.token = ? AND h.state = 'pending'"
        )
        eventually(lambda: self.query(pending, token)[0][0] == 0)
        return self.query(f"SELECT {columns} FROM spend_ledgerentry WHERE token = ? ORDER BY id", token)


def eventually(check: Any, seconds: float = 60) -> None:
    """Wait until `check` holds; a call's last byte does not wait for its posting."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.02)


@contextmanager
def running(folder: Path, upstream_url: str, more: str = "", **environment: str) -> Iterator[Running]:
    """`more` is added to the configuration file."""
    if not (folder / "latchkey.sqlite3").exists():
        shutil.copy(_migrated(), folder / "latchkey.sqlite3")
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(url=upstream_url) + more)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = folder / "latchkey.log"
    values = clean_environment() | {
        "LATCHKEY_CONFIG": str(config),
        "LATCHKEY_DATA_DIR": str(folder),
        "LATCHKEY_MASTER_KEY": MASTER,
        "LATCHKEY_HOLD_LEASE_SECONDS": "5",
        "UPSTREAM_KEY": "sk-upstream-secret-Zk81",
        **environment,
    }
    command = [sys.executable, "manage.py", "up", "--port", str(port), "--workers", "2"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=values, stdout=out, stderr=out)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            eventually(lambda: process.poll() is not None or _alive(client), 180)
            assert process.poll() is None, log.read_text()
            yield Running(port, folder, process, log, client)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


@functools.cache
def _migrated() -> Path:
    """A database with nothing in it but what migrations write, which takes as long as everything else of a start."""
    folder = Path(tempfile.mkdtemp(prefix="latchkey-migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    environment = clean_environment() | {"LATCHKEY_DATA_DIR": str(folder), "LATCHKEY_DEMO": "1"}
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity=0"], cwd=ROOT, env=environment, check=True)
    return folder / "latchkey.sqlite3"


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that configures Latchkey."""
    # Whoever asks Python to write no bytecode would have each of our processes compile all of it anew.
    ours = (
        "LATCHKEY_",
        "PYTHONDONTWRITEBYTECODE",
        "DJANGO_",
        "DATABASE_URL",
        "REDIS_URL",
        "SECRET_KEY",
        "ALLOWED_HOSTS",
        "LOG_LEVEL",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _alive(client: httpx.Client) -> bool:
    try:
        return client.get("/health/liveliness").status_code == 200
    except httpx.TransportError:
        return False
