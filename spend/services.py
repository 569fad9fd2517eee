"""Every change to holds and the ledger. The gateway's journal, the sweeper and corrections all come here."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import orjson
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from spend import activity, fence, rollups, wire
from spend.bulk import elements
from spend.models import Crossing, Hold, LedgerEntry, Refusal
from spend.rows import (
    BURIED,
    ENTRIES,
    HOLDS,
    REFUSALS,
    VOIDS,
    attribution_of,
    buried_row,
    entry_row,
    hold_row,
    orphan_row,
    refusal_row,
    void_row,
)  # fmt: skip
from spend.wire import Intent, Posting
from teams import audit, changes
from teams.actors import Actor
from teams.models import Organization, Platform
from teams.money import format_usd
from teams.scopes import PLATFORM


class LateHold(NamedTuple):
    """A pending hold whose lease is over in SQL, and where the counter store keeps it."""

    hold_id: str
    organization_pk: int
    epoch: int


def write_intents(intents: Sequence[Intent]) -> list[bool]:
    """Write pending holds, all at once. False marks one that must not be sent: it was held in an epoch that is over
    (its organization's or the platform's), by the counter store while SQL judges, or the sweeper took its worker for
    dead.
    """
    written = fence.write(intents)
    rest = [intent.hold_id for intent in intents if intent.hold_id not in written]
    if rest:
        written.update(Hold.objects.filter(pk__in=rest, state=Hold.State.PENDING).values_list("pk", flat=True))
    return [intent.hold_id in written for intent in intents]


def post(postings: Sequence[Posting], *, now: datetime) -> dict[str, int]:
    """Post or void holds in one transaction; returns what each hold finally cost, in nano-USD.

    A hold is resolved once: whoever comes second (a retry, the sweeper) changes nothing and is told
    the amount that stands.
    """
    try:
        return _post(postings, now, raising=False)
    except _EpochOver:
        return _post(postings, now, raising=True)


def _post(postings: Sequence[Posting], now: datetime, *, raising: bool) -> dict[str, int]:
    by_id = {posting.intent.hold_id: posting for posting in postings}
    charged = sorted(hold_id for hold_id, posting in by_id.items() if posting.amount_nano is not None)
    unwritten = [p.intent for p in by_id.values() if not p.intent.written and p.amount_nano is not None]
    # Only those may have to be posted again, within whatever transaction this is part of.
    with transaction.atomic(savepoint=bool(unwritten)):
        if unwritten:
            _write_unwritten(unwritten, raising=raising)
        closed = _close(charged)
        voided = _void([by_id[hold_id] for hold_id in sorted(by_id.keys() - set(charged))])
        fresh = [by_id[hold_id] for hold_id in charged if hold_id in closed]
        failed = [by_id[hold_id].intent for hold_id in sorted(voided)]
        ENTRIES.run([entry_row(posting, now) for posting in fresh])
        rollups.add(rollups.Sums.of_posting(posting) for posting in fresh)
        activity.add([*map(activity.Deed.of_posting, fresh), *map(activity.Deed.of_failure, failed)])
    stands = dict.fromkeys(voided, 0) | {p.intent.hold_id: p.amount_nano or 0 for p in fresh}
    missing = by_id.keys() - stands.keys()
    return stands | settled_amounts(missing) if missing else stands


def settled_amounts(hold_ids: Collection[str]) -> dict[str, int]:
    """What each resolved hold cost in all its entries (nano-USD); voided holds cost 0."""
    amounts = dict.fromkeys(
        Hold.objects.filter(pk__in=hold_ids).exclude(state=Hold.State.PENDING).values_list("pk", flat=True), 0
    )
    for hold_id, amount in LedgerEntry.objects.of_holds(amounts).values_list("hold_id", "amount_nano"):
        amounts[hold_id] += amount
    return amounts


def adopt(intents: Sequence[Intent]) -> None:
    """Write holds that only the counter store knows of (durability `fast`), before it forgets them.

    Their workers post them as ever; if they are dead, the sweeper does.
    """
    with transaction.atomic():
        write_holds(intents)


def adopt_late(intents: Sequence[Intent]) -> None:
    """Write holds of calls that were sent while SQL was away. Where the epoch of one is over, counters may have been
    read without it, and are read once more."""
    with transaction.atomic():
        _write_unwritten(intents, raising=True)


def renew_leases(hold_ids: Sequence[str], *, until: datetime) -> None:
    """Tell the sweeper that the worker of these holds is alive."""
    Hold.objects.filter(pk__in=hold_ids, state=Hold.State.PENDING).update(lease_until=until)


def late_holds(*, now: datetime) -> list[LateHold]:
    """Pending holds that nobody renewed in SQL, at most 500."""
    due = Hold.objects.filter(state=Hold.State.PENDING, lease_until__lt=now)
    # In the order of the index of pending holds: for any other, a database may read the whole table.
    rows = due.order_by("organization_id").values_list("pk", "organization_id", "epoch")
    return [LateHold(*row) for row in rows[:500]]


def post_orphans(hold_ids: Collection[str], *, now: datetime) -> list[str]:
    """Charge those of the holds that are pending and late, at the held amount; returns their ids.

    The provider may have been called, so the unknown outcome counts as the worst case, and says so.
    """
    with transaction.atomic():
        late = Hold.objects.select_for_update(no_key=True).filter(
            pk__in=hold_ids, state=Hold.State.PENDING, lease_until__lt=now
        )
        rows = list(late.order_by("pk"))
        _close([hold.pk for hold in rows])
        ENTRIES.run([orphan_row(hold, now) for hold in rows])
        rollups.add(rollups.Sums.of_orphan(hold) for hold in rows)
        activity.add(activity.Deed.of_orphan(hold) for hold in rows)
    return [hold.pk for hold in rows]


def tombstone(hold_id: str, *, organization_pk: int, amount_nano: int, now: datetime) -> bool:
    """Void a hold that never became an intent, so that its worker can no longer write one.

    Returns whether the hold is now void; False means an intent exists after all.
    """
    row = Hold(
        id=hold_id,
        organization_id=organization_pk,
        state=Hold.State.VOID,
        epoch=0,
        amount_nano=amount_nano,
        admitted_at=now,
        lease_until=now,
    )
    Hold.objects.bulk_create([row], ignore_conflicts=True)
    return Hold.objects.filter(pk=hold_id, state=Hold.State.VOID).exists()


@transaction.atomic
def correct(entry: LedgerEntry, amount_nano: int, *, reason: str, actor: Actor, now: datetime) -> LedgerEntry:
    """Add a correction of `amount_nano` (may be negative) to the window of the entry it mends."""
    correction = LedgerEntry(**attribution_of(entry), hold_id=entry.hold_id, kind=LedgerEntry.Kind.CORRECTION)
    correction.amount_nano, correction.usage_source, correction.scopes = amount_nano, entry.usage_source, entry.scopes
    correction.finished_at = correction.posted_at = now
    correction.save(force_insert=True)
    rollups.add([rollups.Sums.of_correction(correction)])
    activity.add([activity.Deed.of_correction(correction)])
    # Counters are mirrors: a new epoch makes the gateway read them from the ledger again.
    changes.raise_epoch(PLATFORM)
    changes.raise_epoch(entry.organization_id)
    audit.record("ledger.corrected", correction, actor=actor, after={"amount_nano": amount_nano, "reason": reason})
    return correction


@transaction.atomic
def correct_to(entry: LedgerEntry, cost_nano: int, *, reason: str, actor: Actor, now: datetime) -> LedgerEntry:
    """Have the call of an entry cost `cost_nano` in all, whatever was corrected before. Raises ValidationError."""
    Hold.objects.select_for_update(no_key=True).get(pk=entry.hold_id)
    stands = settled_amounts([entry.hold_id])[entry.hold_id]
    if cost_nano < 0:
        raise ValidationError({"cost": "a call costs nothing at least"})
    if cost_nano == stands:
        raise ValidationError({"cost": f"in all its entries the call costs {format_usd(stands)} already"})
    return correct(entry, cost_nano - stands, reason=reason, actor=actor, now=now)


def note_crossings(crossings: Iterable[wire.Crossing], *, now: datetime) -> None:
    """Write down that soft budgets were crossed, each once per window, however many workers noticed it."""
    rows = (Crossing(scope=c.scope, counter=c.counter, amount_nano=c.soft_nano, at=now) for c in crossings)
    Crossing.objects.bulk_create(rows, ignore_conflicts=True)


def note_refusals(calls: Iterable[wire.RefusedCall]) -> None:
    """Write down calls that were refused before anything was held, for who reads the spend log."""
    REFUSALS.run([refusal_row(call) for call in calls])


def forget_refusals(*, before: datetime) -> int:
    """Delete refusals that are older. Returns how many."""
    return Refusal.objects.filter(admitted_at__lt=before).delete()[0]


def raise_epoch(organization_pk: int, *, seen: int, above: int = 0) -> tuple[int, bool]:
    """Raise an organization's epoch, or the platform's, from `seen`, beyond `above`.

    Returns the one that stands and whether we raised it.

    While SQL judges its budgets nobody may. Only the one who raised it may publish it to the counter store: nobody
    can have held anything in an epoch that was never published.
    """
    epoch = max(seen, above) + 1
    if organization_pk == PLATFORM:
        raised = Platform.objects.filter(epoch=seen).update(epoch=epoch)
    else:
        raised = Organization.objects.filter(pk=organization_pk, epoch=seen, sql_until__isnull=True).update(epoch=epoch)
    # Not the one that stands a moment later: somebody else may have raised that, and will publish it too.
    return (epoch, True) if raised else (current_epoch(organization_pk), False)


def current_epoch(organization_pk: int) -> int:
    return changes.epoch_row(organization_pk).values_list("epoch", flat=True).get()


class _EpochOver(Exception):
    """An epoch is to be raised, and for that its row must be locked alone from the start."""


def _write_unwritten(intents: Sequence[Intent], *, raising: bool) -> None:
    """Write holds that were posted before SQL heard of them (durability `fast`, or spooled).

    If the epoch of one is over and nobody carried it into the new one, counters may have been read without it: they
    are read once more. Raises _EpochOver unless `raising`, as two who share a lock could not both go on to write.
    """
    epochs = _locked_epochs(intents, alone=raising)
    late = [intent for intent in intents if epochs.get(intent.owners.organization_id) != (intent.epoch, False)]
    if late:
        known = set(Hold.objects.filter(pk__in=[i.hold_id for i in late]).values_list("pk", flat=True))
        late = [intent for intent in late if intent.hold_id not in known]
    if late and not raising:
        raise _EpochOver
    write_holds(intents)
    for organization_pk in [PLATFORM, *sorted({intent.owners.organization_id for intent in late})] if late else ():
        changes.raise_epoch(organization_pk)


def _locked_epochs(intents: Sequence[Intent], *, alone: bool = False) -> dict[int, tuple[int, bool]]:
    """Epochs, and whether SQL judges, locked where the database has row locks: shared, or `alone` by who raises them.

    The platform's only if it was asked or is to be raised, and before those of organizations: everybody locks them in
    this order.
    """
    organization_pks = sorted({intent.owners.organization_id for intent in intents})
    marks = ",".join(["%s"] * len(organization_pks))
    how = "NO KEY UPDATE" if alone else "SHARE"
    locked = f" FOR {how}" if connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        epochs = {}
        if alone or any(intent.platform_epoch is not None for intent in intents):
            cursor.execute(f"SELECT epoch FROM teams_platform{locked}")  # noqa: S608
            epochs[PLATFORM] = (cursor.fetchone()[0], False)
        cursor.execute(
            "SELECT id, epoch, sql_until IS NOT NULL FROM teams_organization "  # noqa: S608
            f"WHERE id IN ({marks}) ORDER BY id{locked}",
            organization_pks,
        )
        return epochs | {pk: (epoch, bool(in_sql)) for pk, epoch, in_sql in cursor.fetchall()}


def _void(postings: Sequence[Posting]) -> set[str]:
    """Resolve holds that bought nothing, each with the reason; one that is not known yet is buried, so that it cannot
    come any more.

    Returns those that were pending until now, or unknown.
    """
    rows = [void_row(posting) for posting in postings]
    voided = VOIDS.run_and_tell(rows)
    if len(voided) == len(rows):
        return voided
    unknown = [buried_row(posting) for posting in postings if posting.intent.hold_id not in voided]
    return voided | BURIED.run_and_tell(unknown) | VOIDS.run_and_tell(rows)


def write_holds(intents: Sequence[Intent]) -> set[str]:
    """Write pending holds; returns the ids of those that the sweeper has voided already."""
    if HOLDS.run([hold_row(intent) for intent in intents]) == len(intents):
        return set()
    known = Hold.objects.filter(pk__in=[intent.hold_id for intent in intents])
    return set(known.exclude(state=Hold.State.PENDING).values_list("pk", flat=True))


def _close(hold_ids: Sequence[str]) -> set[str]:
    """Resolve those of the holds that are still pending, and are charged; returns their ids."""
    if not hold_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE spend_hold SET state = 'posted' WHERE id IN (SELECT t.value FROM {elements('%s')}) "  # noqa: S608
            "AND state = 'pending' RETURNING id",
            [orjson.dumps(hold_ids).decode()],
        )
        return {hold_id for (hold_id,) in cursor.fetchall()}
