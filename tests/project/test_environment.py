"""Reading the environment, function by function, and whole starts of the settings in a fresh process."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from gateway_project import environment as env

ROOT = Path(__file__).parents[2]
STRONG = {
    "LATCHKEY_MASTER_KEY": "sk-Jq7v2LxPz9TnWb4R",
    "LATCHKEY_SALT_KEY": "Hs8dK2mQ4vXc6Zn1",
    "SECRET_KEY": "Yt5gB9rEw3UoPl7A",
}
FULL = STRONG | {"DATABASE_URL": "postgres://u:p@localhost/x", "REDIS_URL": "redis://localhost/0"}


def start(tmp_path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Import the settings in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "import gateway_project.settings as s; print(s.DEMO, s.EMBEDDED)"],
        env={"PATH": os.environ["PATH"], "LATCHKEY_DATA_DIR": str(tmp_path / "data"), **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_newcomer_gets_the_demo_with_generated_secrets(tmp_path: Path) -> None:
    assert start(tmp_path).stdout == "True True\n"
    folder = tmp_path / "data" / "secrets"
    assert {path.name for path in folder.iterdir()} == {"secret_key", "latchkey_salt_key", "latchkey_master_key"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    before = (folder / "latchkey_master_key").read_text()
    start(tmp_path)
    assert (folder / "latchkey_master_key").read_text() == before


def test_the_full_engine_starts_with_strong_secrets(tmp_path: Path) -> None:
    assert start(tmp_path, **FULL).stdout == "False False\n"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", STRONG)
def test_the_full_engine_refuses_a_missing_secret_by_name(tmp_path: Path, name: str) -> None:
    result = start(tmp_path, **{key: value for key, value in FULL.items() if key != name})
    assert result.returncode != 0
    assert f"{name} is not set" in result.stderr


@pytest.mark.parametrize("name", STRONG)
@pytest.mark.parametrize("weak", ["sk-1234", "changeme", "sk-aaaaaaaaaaaaaaaaaaaaaa", "short"])
def test_the_full_engine_refuses_a_weak_secret_without_repeating_it(tmp_path: Path, name: str, weak: str) -> None:
    result = start(tmp_path, **FULL | {name: weak})
    assert result.returncode != 0
    assert f"{name} is weak" in result.stderr
    assert "run with LATCHKEY_DEMO=1 and without DATABASE_URL" in result.stderr
    assert weak not in result.stderr.splitlines()[-1]


def test_the_embedded_engine_without_demo_wants_a_master_key(tmp_path: Path) -> None:
    assert "LATCHKEY_MASTER_KEY is not set" in start(tmp_path, LATCHKEY_DEMO="0").stderr
    given = start(tmp_path, LATCHKEY_DEMO="0", LATCHKEY_MASTER_KEY=STRONG["LATCHKEY_MASTER_KEY"])
    assert given.stdout == "False True\n"


def test_the_master_key_of_an_environment_made_for_litellm_will_do(tmp_path: Path) -> None:
    theirs = {"LITELLM_MASTER_KEY": STRONG["LATCHKEY_MASTER_KEY"]}
    assert start(tmp_path, **theirs).stdout == "False True\n"
    assert "LATCHKEY_MASTER_KEY is weak" in start(tmp_path, LITELLM_MASTER_KEY="sk-1234").stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LATCHKEY_DEMO", "perhaps"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("LATCHKEY_CONFIG", "/nowhere.yaml"),
        ("LATCHKEY_BUDGET_STATUS", "200"),
        ("LATCHKEY_MAX_BODY_BYTES", "-1"),
        ("LATCHKEY_HOLD_LEASE_SECONDS", "soon"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    result = start(tmp_path, **STRONG | {name: value})
    assert result.returncode != 0
    assert name in result.stderr.splitlines()[-1]


def test_policies_for_outages_that_need_intents_in_sql_are_refused_where_the_store_keeps_them(tmp_path: Path) -> None:
    result = start(tmp_path, **STRONG, LATCHKEY_DURABILITY="fast", LATCHKEY_BUDGETS_WITHOUT_STORE="pg_exact")
    assert result.returncode != 0
    assert "LATCHKEY_BUDGETS_WITHOUT_STORE must be 'deny'" in result.stderr.splitlines()[-1]


def test_a_secret_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    path.write_text("from-the-file-1234567\n")
    monkeypatch.setenv("EXAMPLE", "from-the-environment")
    monkeypatch.setenv("EXAMPLE_FILE", str(path))
    assert env.secret("EXAMPLE", folder=None) == "from-the-file-1234567"
    monkeypatch.setenv("EXAMPLE_FILE", str(tmp_path / "missing"))
    with pytest.raises(ImproperlyConfigured, match="EXAMPLE_FILE"):
        env.text("EXAMPLE")


def test_words_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE", " a, b ,,c")
    assert env.words("EXAMPLE") == ["a", "b", "c"]
    monkeypatch.delenv("EXAMPLE")
    assert env.words("EXAMPLE") == []


def test_what_the_address_of_the_database_asks_for_is_kept() -> None:
    address = "postgres://u:p@db/x?sslmode=verify-full&sslrootcert=/etc/ca.pem&options=-c%20work_mem%3D64MB"
    options = env.postgresql(address)["OPTIONS"]
    assert (options["sslmode"], options["sslrootcert"]) == ("verify-full", "/etc/ca.pem")
    assert options["options"] == "-c jit=off -c work_mem=64MB"
    assert options["connect_timeout"] == 3
    assert env.postgresql(f"{address}&connect_timeout=9")["OPTIONS"]["connect_timeout"] == 9


def test_a_database_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL must start with postgres://"):
        env.postgresql("mysql://u:p@db/x")
