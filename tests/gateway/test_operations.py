"""Starting, stopping and being killed."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.gateway.running import MASTER, ROOT, Running, clean_environment, eventually, running
from tests.gateway.upstream import Books, say


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"LATCHKEY_DEMO": "0"}, "LATCHKEY_MASTER_KEY is not set"),
        ({"LATCHKEY_DEMO": "0", "LATCHKEY_MASTER_KEY": "sk-1234"}, "LATCHKEY_MASTER_KEY is weak"),
        ({"LATCHKEY_MASTER_KEY": MASTER, "SECRET_KEY": "short"}, "SECRET_KEY is weak"),
        ({"LATCHKEY_MASTER_KEY": MASTER, "LATCHKEY_CONFIG": "/no/such.yaml"}, "LATCHKEY_CONFIG: cannot read"),
        ({"LATCHKEY_MASTER_KEY": MASTER, "LATCHKEY_MAX_BODY_BYTES": "many"}, "LATCHKEY_MAX_BODY_BYTES is 'many'"),
        ({"LATCHKEY_MASTER_KEY": MASTER, "REDIS_URL": "http://x"}, "REDIS_URL must start with"),
        ({"LATCHKEY_MASTER_KEY": MASTER, "LATCHKEY_DATA_DIR": "/proc/x"}, "LATCHKEY_DATA_DIR"),
        ({"DATABASE_URL": "postgres://nobody@127.0.0.1:9/none"}, "SECRET_KEY is not set"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(tmp_path: Path, wrong: dict[str, str], named: str) -> None:
    done = _up({"LATCHKEY_DATA_DIR": str(tmp_path), **wrong})
    assert done.returncode != 0
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_one_on_the_same_data_folder_is_refused_and_harms_nothing(latchkey: Running, books: Books) -> None:
    done = _up({"LATCHKEY_DATA_DIR": str(latchkey.folder), "LATCHKEY_MASTER_KEY": MASTER})
    assert done.returncode != 0 and "another `manage.py up`" in done.stderr
    assert latchkey.chat(latchkey.new_key()).status_code == 200


def test_another_salt_is_refused_by_name(latchkey: Running, books: Books, tmp_path: Path) -> None:
    with (
        sqlite3.connect(latchkey.folder / "latchkey.sqlite3") as used,
        sqlite3.connect(tmp_path / "latchkey.sqlite3") as copy,
    ):
        used.backup(copy)
    refused = pytest.raises(AssertionError, match="LATCHKEY_SALT_KEY is not the one")
    with refused, running(tmp_path, books.url, LATCHKEY_SALT_KEY="another-salt-5Tg7Uj2Lp"):
        pass


def test_a_call_whose_worker_is_killed_is_charged_at_its_hold(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=1)
    caller = threading.Thread(target=_call_and_lose, args=(latchkey, key), daemon=True)
    caller.start()
    eventually(lambda: len(books.billed) == 1)
    workers = _gateway_workers(latchkey)
    assert len(workers) == 2
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    rows = []

    def charged() -> bool:
        rows[:] = latchkey.query(
            "SELECT e.amount_nano, h.amount_nano, e.usage_source FROM spend_ledgerentry e "
            "JOIN spend_hold h ON h.id = e.hold_id JOIN keys_virtualkey k ON k.id = e.key_id WHERE k.masked = ?",
            f"sk-...{key[-4:]}",
        )
        return bool(rows)

    eventually(charged, 40)
    ((amount, held, source),) = rows
    assert (amount, source) == (held, "estimated_orphan")
    assert amount >= books.total_nano
    eventually(lambda: _answers(latchkey, key))


def test_sigterm_lets_calls_finish_and_posts_them(books: Books, tmp_path: Path) -> None:
    with running(tmp_path, books.url) as server:
        key = server.new_key()
        answers: list[int] = []
        caller = threading.Thread(
            target=lambda: answers.append(server.chat(key, messages=say(delay=1.0)).status_code), daemon=True
        )
        caller.start()
        eventually(lambda: len(books.billed) == 1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        caller.join(5)
        assert answers == [200]
        assert server.query("SELECT amount_nano FROM spend_ledgerentry") == [(225_000,)]
        assert server.query("SELECT count(*) FROM spend_hold WHERE state = 'pending'") == [(0,)]


def test_no_secret_reaches_the_log_or_the_database(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    latchkey.chat(key)
    latchkey.chat(key + "x")
    files = [latchkey.log, *latchkey.folder.glob("latchkey.sqlite3*"), *latchkey.folder.glob("valkey/**/*")]
    stored = b"".join(path.read_bytes() for path in files if path.is_file())
    for secret in (key, MASTER, "sk-upstream-secret-Zk81"):
        assert secret[6:].encode() not in stored


def test_a_worker_on_sqlite_does_not_load_the_driver_of_postgresql(latchkey: Running) -> None:
    loaded = [Path(f"/proc/{pid}/maps").read_text() for pid in _gateway_workers(latchkey)]
    assert loaded
    assert not any("psycopg" in maps for maps in loaded)


def _up(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `up` where it is expected to refuse."""
    command = [sys.executable, "manage.py", "up", "--port", "0"]
    values = clean_environment() | environment
    return subprocess.run(command, cwd=ROOT, env=values, capture_output=True, text=True, timeout=60)


def _call_and_lose(latchkey: Running, key: str) -> None:
    try:
        latchkey.chat(key, messages=say(delay=1.5))
    except Exception as error:  # the connection dies with its worker
        assert "disconnect" in str(error).lower() or "reset" in str(error).lower(), error


def _answers(latchkey: Running, key: str) -> bool:
    try:
        return latchkey.chat(key).status_code == 200
    except OSError:
        return False


def _gateway_workers(latchkey: Running) -> list[int]:
    """Children of gunicorn's master below this `up`."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    masters = {
        pid for pid, parent, args in rows if parent == str(latchkey.process.pid) and "gateway_project.asgi" in args
    }
    return [int(pid) for pid, parent, _ in rows if parent in masters]
