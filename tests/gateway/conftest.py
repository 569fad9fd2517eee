"""One running Latchkey and one upstream with its own books for all gateway tests of a process."""

from collections.abc import Iterator

import pytest

from tests.gateway.running import Running, running
from tests.gateway.upstream import Books, running_upstream


@pytest.fixture(scope="session")
def provider() -> Iterator[Books]:
    with running_upstream() as books:
        yield books


@pytest.fixture
def books(provider: Books) -> Books:
    provider.clear()
    return provider


@pytest.fixture(scope="session")
def latchkey(provider: Books, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("latchkey"), provider.url) as server:
        yield server


@pytest.fixture(autouse=True)
def empty_store() -> None:
    """These tests have a counter store of their own, which nobody empties."""
