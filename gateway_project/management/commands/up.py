"""`manage.py up`: everything in one foreground process tree."""

import fcntl
import socket
import sys
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from gateway_project import banner, processes, startup
from gateway_project.embedded import CannotStart, EmbeddedStore
from gateway_project.supervisor import Child, Supervisor


class Command(BaseCommand):
    help = "Migrate, load the configuration, and serve web, gateway, worker and beat. SIGTERM drains and posts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        parser.add_argument("--port", type=int, default=4000, help="port to listen on (default 4000)")
        parser.add_argument("--workers", type=int, default=1, help="gateway processes (default 1)")

    def handle(self, *args: Any, host: str, port: int, workers: int, **options: Any) -> None:
        _refuse_used_port(host, port)
        if workers < 1:
            raise CommandError("--workers must be at least 1")
        store = EmbeddedStore(settings.VALKEY_SOCKET, settings.DATA_DIR / "valkey") if settings.EMBEDDED_STORE else None
        with _owning(settings.DATA_DIR):
            try:
                if store is not None:
                    store.start()
                code = self._serve(host, port, workers, store)
            except CannotStart as error:
                raise CommandError(str(error)) from error
            finally:
                if store is not None:
                    store.stop()
        sys.exit(code)

    def _serve(self, host: str, port: int, workers: int, store: EmbeddedStore | None) -> int:
        call_command("prepare")
        now = timezone.now()
        children = [
            Child("the server", processes.server("all", host=host, port=port, workers=workers)),
            Child(
                "the worker",
                processes.worker(beat=True, concurrency=1, schedule=settings.DATA_DIR / "beat"),
                # As root, in a container for instance, Celery warns at every start.
                environment={"PYTHONWARNINGS": "ignore:You're running the worker with superuser"},
                grace_seconds=30,
                # A broker that goes away in the middle of a task may end Celery, and calls need neither.
                restarts=True,
            ),
        ]
        demo = None
        if settings.DEMO:
            provider_port = _free_port()
            children.append(processes.demo_provider(provider_port))
            demo = startup.prepare_demo(f"http://127.0.0.1:{provider_port}/v1", now=now)
        else:
            startup.remove_demo(now=now)
        return Supervisor(children, needed={"the counter store": store.is_alive} if store else {}).run(
            lambda: _is_ready(host, port), lambda: self.stdout.write(banner.text(host, port, demo))
        )


@contextmanager
def _owning(folder: Path) -> Iterator[None]:
    """Hold the data folder: a second `up` on it would end the counter store of the first."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "up.lock").open("w")
    except OSError as error:
        raise CommandError(f"LATCHKEY_DATA_DIR: cannot write to {folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(
                f"another `manage.py up` runs on the data folder {folder}: stop it, or set LATCHKEY_DATA_DIR"
            ) from error
        yield


def _refuse_used_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise CommandError(f"cannot listen on {host}:{port} ({error}): choose another one with --port") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_ready(host: str, port: int) -> bool:
    address = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/health/liveliness", timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return True  # it answers; this address is just not one of ALLOWED_HOSTS
    except (urllib.error.URLError, OSError):
        return False
