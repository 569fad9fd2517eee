"""Reading the environment: every value typed, every secret also as `NAME_FILE`, every refusal named.

In the embedded demo missing secrets are generated into the data folder (mode 600). On the embedded
engine without the demo the same is done for `SECRET_KEY` and `LATCHKEY_SALT_KEY`, which nobody types;
the master key must be given. On the full engine everything must be given.
"""

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}
_MINIMUM_SECRET = 16
_KNOWN_WEAK = {"sk-1234", "changeme", "secret", "password", "admin", "test", "latchkey", "sk-12345678"}


def text(name: str, default: str = "") -> str:
    """The value of `NAME`, or the content of the file that `NAME_FILE` points to."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE: cannot read {path}: {error.strerror}") from error
    return os.environ.get(name, default)


def flag(name: str, default: bool) -> bool:
    value = text(name, "1" if default else "0").lower()
    if value not in _TRUE | _FALSE:
        raise ImproperlyConfigured(f"{name} is '{value}': write 1 or 0")
    return value in _TRUE


def number(name: str, default: int, *, least: int = 0) -> int:
    value = text(name, str(default))
    if not value.isascii() or not value.isdigit() or int(value) < least:
        raise ImproperlyConfigured(f"{name} is '{value}': write a whole number of at least {least}")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} is '{value}': write one of {', '.join(allowed)}")
    return value


def secret(name: str, *, given: str = "", folder: Path | None, prefix: str = "", allow_weak: bool = False) -> str:
    """A strong secret: from the environment, else `given`, else generated into `folder` if there is one."""
    value = text(name) or given
    if not value and folder is not None:
        return generated(folder / name.lower(), lambda: prefix + secrets.token_urlsafe(32))
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set. Set it to a random secret, e.g. the output of "
            f"`python3 -c \"import secrets; print('{prefix}' + secrets.token_urlsafe(32))\"`, or run with "
            "LATCHKEY_DEMO=1 to try Latchkey out."
        )
    if not allow_weak and is_weak(value):
        raise ImproperlyConfigured(
            f"{name} is weak: it needs at least {_MINIMUM_SECRET} characters, eight different ones, and must not "
            "be a value from an example. To try Latchkey out with it, run with LATCHKEY_DEMO=1 and without "
            "DATABASE_URL."
        )
    return value


def socket_path(wanted: Path) -> Path:
    """`wanted`, or a short stand-in where the path is longer than a Unix socket's name may be."""
    if len(str(wanted)) <= 100:
        return wanted
    name = hashlib.sha256(str(wanted).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"latchkey-{os.getuid()}-{name}" / wanted.name


def is_weak(value: str) -> bool:
    return len(value) < _MINIMUM_SECRET or len(set(value)) < 8 or value.lower() in _KNOWN_WEAK


def generated(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> str:
    """The secret kept at `path` (mode 600); the first process to need it makes it, whoever else races it."""
    try:
        _make_once(path, make)
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"LATCHKEY_DATA_DIR: cannot keep a secret in {path}: {error.strerror}") from error


def _make_once(path: Path, make: Callable[[], str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        return
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(make())
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def postgresql(url: str) -> dict[str, Any]:
    """Django's settings of the database at this address; what the address itself asks for (`?sslmode=...`) is kept.

    Raises ImproperlyConfigured for a database of another kind.
    """
    found: dict[str, Any] = environ.Env.db_url_config(url)
    if found["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured("DATABASE_URL must start with postgres:// (leave it out for the embedded SQLite)")
    wished = found.get("OPTIONS", {})
    # A short wait: a database that is down is answered with 503, not with silence.
    # And a short memory of failures: after each the pool waits twice as long, until it gives up and asks anew.
    ours = {"pool": {"min_size": 0, "max_size": 8, "timeout": 1.5, "reconnect_timeout": 3}, "connect_timeout": 3}
    # To compile a report's query takes PostgreSQL a third of the time that the report takes, each time anew.
    options = f"-c jit=off {wished.get('options', '')}".strip()
    engine = "gateway_project.postgresql"
    return found | {"ENGINE": engine, "OPTIONS": ours | wished | {"options": options}, "CONN_HEALTH_CHECKS": True}
