"""A ceiling over everything that a rig serves, for as long as one scenario lasts."""

from collections.abc import Iterator
from contextlib import contextmanager

from teams.scopes import PLATFORM
from tests.scenarios.rig.books import Counter
from tests.scenarios.rig.house import CALL_NANO
from tests.scenarios.rig.judge import PATIENCE, until
from tests.scenarios.rig.latchkey import Rig


@contextmanager
def ceiling(rig: Rig, calls: int) -> Iterator[None]:
    """Everybody together may spend so many more calls of `flat`; what earlier scenarios spent counts as well."""
    rig.operator.ask("limit_platform", max_budget_nano=spent_by_all(rig) + calls * CALL_NANO)
    try:
        yield
    finally:
        rig.operator.ask("limit_platform", max_budget_nano=None)


def spent_by_all(rig: Rig) -> int:
    return sum(nano for scope, (nano, _) in rig.books.rollups().items() if scope.startswith("org:"))


async def settled_for_all(rig: Rig) -> None:
    """Wait until the ceiling's counter shows what all organizations spent together, and nothing held."""

    def agrees() -> bool:
        idle = rig.books.holds_in_store(PLATFORM, of_every_epoch=False) == 0
        return idle and rig.books.counters(PLATFORM) == {"platform:1|lifetime": Counter(spent_by_all(rig), 0)}

    await until(agrees, PATIENCE, "the platform's counter is the sum of all organizations")
