"""Two running Latchkeys for all scenarios of a process, one on each engine; a new organization for every test."""

import os
from collections.abc import Iterator

import pytest

from tests.scenarios.rig import counter_store, postgres
from tests.scenarios.rig.house import House
from tests.scenarios.rig.latchkey import Rig, running_rig
from tests.scenarios.rig.scale import SOAK, scaled


@pytest.fixture(scope="session")
def full_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    _skip_without_servers()
    with running_rig(tmp_path_factory.mktemp("full"), engine="full", gateways=2, workers=scaled(2, 4)) as rig:
        yield rig


@pytest.fixture(scope="session")
def fast_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    _skip_without_servers()
    with running_rig(tmp_path_factory.mktemp("fast"), engine="fast", gateways=2, workers=scaled(2, 4)) as rig:
        yield rig


@pytest.fixture(scope="session")
def embedded_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running_rig(tmp_path_factory.mktemp("lite"), engine="embedded", gateways=1, workers=scaled(2, 4)) as rig:
        yield rig


@pytest.fixture
def rig(full_rig: Rig) -> Iterator[Rig]:
    """The full engine; whatever a scenario broke is whole again afterwards."""
    yield full_rig
    full_rig.recover()


@pytest.fixture(params=["full", "embedded", *(["fast"] if SOAK else [])])
def either_rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """The full engine, the embedded one (S55), and in a soak also the full one in `fast` durability."""
    rig: Rig = request.getfixturevalue(f"{request.param}_rig")
    yield rig
    rig.recover()


@pytest.fixture
def house(rig: Rig) -> House:
    return House(rig)


@pytest.fixture(autouse=True)
def empty_store() -> None:
    """Scenarios have a counter store of their own, which only they empty."""


def _skip_without_servers() -> None:
    if not os.environ.get("TEST_DATABASE_URL") and postgres.binaries() is None:
        pytest.skip(postgres.MISSING)
    if not os.environ.get("TEST_REDIS_URL") and counter_store.binary() is None:
        pytest.skip(counter_store.MISSING)
