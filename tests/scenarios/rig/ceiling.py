"""A ceiling over everything that a rig serves, for as long as one scenario lasts."""

from collections.abc import Iterator
from contextlib import contextmanager

from teams.scopes import PLATFORM
from tests.scenarios.rig.bill import say
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

    found: dict[str, Counter] = {}

    def agrees() -> bool:
        nonlocal found
        found = rig.books.counters(PLATFORM)
        if not found:
            _call(rig)
        idle = rig.books.holds_in_store(PLATFORM, of_every_epoch=False) == 0
        return idle and found == {"platform:1|lifetime": Counter(spent_by_all(rig), 0)}

    try:
        await until(agrees, PATIENCE, "the platform's counter is the sum of all organizations")
    except AssertionError as error:
        raise AssertionError(f"{error}: {found}, spent {spent_by_all(rig)}, {rig.books.records(PLATFORM)}") from None


def _call(rig: Rig) -> None:
    """Have the counters read: an epoch that the comparison with the ledger began has none before its first call."""
    rig.http.post("/v1/chat/completions", json={"model": "flat", "max_tokens": 20, "messages": say("ceiling")})
