"""The second half of a hold, on what is counted over all organizations: the platform, and pools.

The counters of all organizations carry a hash tag of their own, with an epoch of their own, and are judged by the same
scripts. So a call under a policy of the platform is held twice, by one id: on its organization first, which refuses
most of what is refused, then on the platform. Whoever is refused there takes the first half back. One intent follows,
fenced by both epochs, and under budgets of the platform it is a row in SQL in `fast` durability too: no half of a hold
could stand for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from keys.grants import Grant
from proxy.runtime.catalog import Target
from proxy.runtime.plan import Line, Moment, Plan, plan_for
from teams.scopes import PLATFORM, store_prefix

if TYPE_CHECKING:
    from proxy.runtime.counters import CounterStore
    from proxy.runtime.held import Held

PREFIX = store_prefix(PLATFORM)


@dataclass(frozen=True, slots=True)
class Half:
    """What is held on the platform's counters, in their own epoch."""

    epoch: int
    lines: tuple[Line, ...]
    slots: tuple[str, ...]


def plan_of(grant: Grant, target: Target) -> Plan | None:
    """What platform and pools ask of a call; None if nothing, which costs nothing."""
    policies = target.pools if grant.platform is None else (grant.platform, *target.pools)
    if not policies:
        return None
    plan = plan_for(policies, target.model, target.groups, grant.platform_zone, PREFIX, target.is_free)
    return plan if plan.asks else None


def joined(held: "Held", moment: Moment, epoch: int, reply: list[str]) -> "Held":
    """A hold with its second half, from what the hold script answered. Only windows need the intent's fence."""
    if moment.lines:
        held.intent.platform_epoch = epoch
    place = len(held.plan.rates)
    left = (*held.left[:place], *map(int, reply[2:]), *held.left[place:])
    return replace(held, platform=Half(epoch, moment.lines, moment.slots), left=left)


async def is_asked(store: "CounterStore") -> bool:
    """Whether the platform's counters are in use: they may have been read with calls that did not ask for them.

    Asked after those calls were posted: who reads counters only now finds them in the ledger.
    """
    return bool(await store.command("EXISTS", f"{PREFIX}:epoch"))


def settlements(due: Sequence[tuple["Held", int, int]]) -> list[tuple[str, str, int, int, int, str]]:
    """Arguments of the settle script for the platform's counters.

    Also for calls that were held before there was a policy: counters that were read meanwhile know of them.
    """
    return [
        (PREFIX, held.intent.hold_id, cost, tokens, held.platform.epoch if held.platform else 0, "")
        for held, cost, tokens in due
    ]
