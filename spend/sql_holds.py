"""Judging budgets in SQL itself while the counter store is away: slower, and just as exact.

An organization's budgets have one judge at a time. `take_over` makes it SQL and `give_back` the counter store again,
each in a new epoch: intents that were judged by the other one are refused, and counters are read from the ledger.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import OperationalError
from django.db.models import F
from django.db.models.functions import Greatest

from spend import rollups, services
from spend.versions import outdated
from spend.wire import Authority, CounterRef, SqlHold
from teams.models import Organization
from teams.scopes import PLATFORM

#: Each try waits for whoever holds the organization's row and then looks again, so one of all that wait gets on.
_TRIES = 100
_SERIALIZATION_FAILURE = "40001"


def authority_of(organization_pk: int) -> Authority:
    """SQL never judges the platform's: while the store is away, calls under a ceiling over everybody are refused."""
    if organization_pk == PLATFORM:
        return Authority(services.current_epoch(PLATFORM), None)
    return Authority(*Organization.objects.values_list("epoch", "sql_until").get(pk=organization_pk))


def take_over(organization_pk: int, *, until: datetime) -> Authority:
    """Have SQL judge from the commit on, at least `until`. The update waits for every intent that is being written."""
    own = Organization.objects.filter(pk=organization_pk)
    if not own.filter(sql_until__isnull=True).update(epoch=F("epoch") + 1, sql_until=until):
        own.filter(sql_until__lt=until).update(sql_until=until)
    return authority_of(organization_pk)


def give_back(organization_pk: int, *, above: int, now: datetime) -> tuple[Authority, bool]:
    """Have the counter store judge again, in an epoch beyond `above`, unless somebody without it wants SQL to go on.

    Returns who judges now, and whether that is our doing: only then may the new epoch be published.
    """
    own = Organization.objects.filter(pk=organization_pk)
    given = own.filter(sql_until__lte=now).update(epoch=Greatest(F("epoch"), above) + 1, sql_until=None)
    return authority_of(organization_pk), bool(given)


def hold(wanted: Sequence[SqlHold]) -> list[list[str]]:
    """Judge calls one after the other and write the intents of those that fit, in one transaction.

    Answers in the words of the hold script: OK, DENY and SHARE with the tightest budget, what is spent and held
    there, STALE with a scope whose policy has changed, and EPOCH where the call has to find out anew who judges.
    """
    for _ in range(_TRIES):
        try:
            with rollups.snapshot():
                return _hold(wanted)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != _SERIALIZATION_FAILURE:
                raise
    raise OperationalError("too many workers judge the budgets of one organization")


def _hold(wanted: Sequence[SqlHold]) -> list[list[str]]:
    epochs = _alone_with(wanted)
    stale = outdated(version for one in wanted for version in one.versions)
    used: dict[CounterRef, tuple[int, int]] = {}
    answers = []
    for one in wanted:
        if epochs.get(one.intent.owners.organization_id) != one.intent.epoch:
            answers.append(["EPOCH"])
        elif changed := stale.intersection(one.versions):
            answers.append(["STALE", min(changed)[0]])
        else:
            answers.append(_judge(one, used))
    fit = [one.intent for one, answer in zip(wanted, answers, strict=True) if answer == ["OK"]]
    buried = services.write_holds(fit)
    return [["EPOCH"] if one.intent.hold_id in buried else answer for one, answer in zip(wanted, answers, strict=True)]


def _alone_with(wanted: Sequence[SqlHold]) -> dict[int, int]:
    """Epochs of the organizations that SQL judges, each of whose rows is now ours alone until the commit.

    Their update, in sorted order, is the first thing that the snapshot sees: had somebody judged and committed since,
    the database would refuse it, and nobody else can commit before us.
    """
    until: dict[int, list[datetime]] = {one.intent.owners.organization_id: [] for one in wanted}
    for one in wanted:
        until[one.intent.owners.organization_id] += [one.until] if one.until else []
    epochs = {}
    for pk in sorted(until):
        judged = Organization.objects.filter(pk=pk, sql_until__isnull=False)
        if judged.update(sql_until=Greatest(F("sql_until"), *until[pk]) if until[pk] else F("sql_until")):
            epochs[pk] = authority_of(pk).epoch
    return epochs


def _judge(one: SqlHold, used: dict[CounterRef, tuple[int, int]]) -> list[str]:
    """The judgement of `lua/hold.lua`; a call that fits is counted for those after it."""
    amount, least = one.intent.amount_nano, one.least_nano
    rooms = [(limit - sum(_used(ref, used)), place, ref) for place, ref, limit in one.budgets]
    if rooms:
        room, place, ref = min(rooms, key=lambda found: found[:2])
        told = [str(place), *map(str, used[ref])]
        if amount > room and not (least is not None and least <= room):
            return ["DENY", *told]
        if least is not None and amount * max(1, min(one.peers, room // max(1, least))) > room:
            return ["SHARE", *told]
    for _, _, ref in rooms:
        spent, held = used[ref]
        used[ref] = spent, held + amount
    return ["OK"]


def _used(ref: CounterRef, used: dict[CounterRef, tuple[int, int]]) -> tuple[int, int]:
    """What is spent and held on a window; the ledger is asked for each one once."""
    if ref not in used:
        known, first = rollups.load_counter(ref), ref.window.first_slice
        spent = sum(nano for number, nano in known.spent if number >= first)
        used[ref] = spent, sum(nano for _, nano, _, _ in known.pending)
    return used[ref]
