"""Every change to holds and the ledger. The gateway's journal, the sweeper and corrections all come here."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction

from spend import rollups
from spend.models import Hold, LedgerEntry
from spend.wire import ORPHAN, Intent, Posting
from teams import audit, changes
from teams.actors import Actor
from teams.models import Organization


def write_intents(intents: Sequence[Intent]) -> list[bool]:
    """Write pending holds in one transaction. False marks one whose organization has a newer epoch.

    The epoch rows are locked (shared) until commit: a rebuild that raises the epoch waits for this
    transaction, or this transaction sees the raised epoch and refuses. None slips between.
    """
    with transaction.atomic():
        epochs = _locked_epochs({intent.owners.organization_id for intent in intents})
        fits = [epochs.get(intent.owners.organization_id) == intent.epoch for intent in intents]
        Hold.objects.bulk_create(_hold_row(intent) for intent, fit in zip(intents, fits, strict=True) if fit)
    return fits


def post(postings: Sequence[Posting], *, now: datetime) -> dict[str, int]:
    """Post or void holds in one transaction; returns what each hold finally cost, in nano-USD.

    A hold is resolved once: whoever comes second (a retry, the sweeper) changes nothing and is told
    the amount that stands.
    """
    by_id = {posting.intent.hold_id: posting for posting in postings}
    with transaction.atomic():
        pending = set(
            Hold.objects.select_for_update()
            .filter(pk__in=by_id, state=Hold.State.PENDING)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        fresh = [by_id[hold_id] for hold_id in sorted(pending)]
        charged = [posting for posting in fresh if posting.amount_nano is not None]
        entries = LedgerEntry.objects.bulk_create(_entry_row(posting, now) for posting in charged)
        _close([posting.intent.hold_id for posting in charged], Hold.State.POSTED)
        _close([p.intent.hold_id for p in fresh if p.amount_nano is None], Hold.State.VOID)
        rollups.add(entries)
    stands = {p.intent.hold_id: p.amount_nano or 0 for p in fresh}
    return stands | settled_amounts(by_id.keys() - pending)


def settled_amounts(hold_ids: "set[str]") -> dict[str, int]:
    """What each resolved hold cost in all its entries (nano-USD); voided holds cost 0."""
    amounts = dict.fromkeys(
        Hold.objects.filter(pk__in=hold_ids).exclude(state=Hold.State.PENDING).values_list("pk", flat=True), 0
    )
    for hold_id, amount in LedgerEntry.objects.filter(hold__in=amounts).values_list("hold_id", "amount_nano"):
        amounts[hold_id] += amount
    return amounts


def renew_leases(hold_ids: Sequence[str], *, until: datetime) -> None:
    """Tell the sweeper that the worker of these holds is alive."""
    Hold.objects.filter(pk__in=hold_ids, state=Hold.State.PENDING).update(lease_until=until)


def post_orphans(*, now: datetime, grace: timedelta = timedelta(0)) -> list[str]:
    """Charge every pending hold whose worker stopped renewing it, at the held amount; returns their ids.

    The provider may have been called, so the unknown outcome counts as the worst case, and says so.
    """
    due = Hold.objects.filter(state=Hold.State.PENDING, lease_until__lt=now - grace)
    ids = list(due.order_by("pk").values_list("pk", flat=True)[:500])
    with transaction.atomic():
        rows = list(Hold.objects.select_for_update().filter(pk__in=ids, state=Hold.State.PENDING, lease_until__lt=now))
        entries = LedgerEntry.objects.bulk_create(_orphan_row(hold, now) for hold in rows)
        _close([hold.pk for hold in rows], Hold.State.POSTED)
        rollups.add(entries)
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
    correction = LedgerEntry(**_attribution(entry), hold_id=entry.hold_id, kind=LedgerEntry.Kind.CORRECTION)
    correction.amount_nano, correction.usage_source = amount_nano, entry.usage_source
    correction.scopes, correction.tags, correction.token = entry.scopes, entry.tags, entry.token
    correction.finished_at = correction.posted_at = now
    correction.save(force_insert=True)
    rollups.add([correction])
    # Counters are mirrors: a new epoch makes the gateway read them from the ledger again.
    changes.raise_epoch(entry.organization_id)
    audit.record("ledger.corrected", correction, actor=actor, after={"amount_nano": amount_nano, "reason": reason})
    return correction


def raise_epoch(organization_pk: int, *, seen: int) -> tuple[int, bool]:
    """Raise an organization's epoch from `seen`; returns the epoch that stands and whether we raised it.

    Only the one who raised it may publish it to the counter store: nobody can have held anything in an
    epoch that was never published.
    """
    raised = Organization.objects.filter(pk=organization_pk, epoch=seen).update(epoch=seen + 1)
    return current_epoch(organization_pk), bool(raised)


def current_epoch(organization_pk: int) -> int:
    return Organization.objects.values_list("epoch", flat=True).get(pk=organization_pk)


_ATTRIBUTES = (
    "organization_id", "key_id", "team_id", "member_id", "user_id", "customer_id", "request_id", "call_type",
    "model", "deployment", "provider", "upstream_model", "admitted_at",
)  # fmt: skip


def _attribution(row: Hold | LedgerEntry) -> dict[str, object]:
    return {name: getattr(row, name) for name in _ATTRIBUTES}


def _locked_epochs(organization_pks: set[int]) -> dict[int, int]:
    """Epochs under a shared lock where the database has row locks; SQLite's one writer needs none."""
    marks = ",".join(["%s"] * len(organization_pks))
    share = " FOR SHARE" if connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, epoch FROM teams_organization WHERE id IN ({marks}) ORDER BY id{share}",  # noqa: S608
            sorted(organization_pks),
        )
        return dict(cursor.fetchall())


def _close(hold_ids: list[str], state: Hold.State) -> None:
    if hold_ids:
        Hold.objects.filter(pk__in=hold_ids, state=Hold.State.PENDING).update(state=state)


def _hold_row(intent: Intent) -> Hold:
    return Hold(
        id=intent.hold_id,
        epoch=intent.epoch,
        amount_nano=intent.amount_nano,
        counters=list(intent.counters),
        scopes=list(intent.scopes),
        price_id=intent.price_id,
        input_estimate=intent.input_estimate,
        output_cap=intent.output_cap,
        attempt=intent.attempt,
        lease_until=intent.lease_until,
        **_intent_attribution(intent),
    )


def _entry_row(posting: Posting, now: datetime) -> LedgerEntry:
    intent, usage, amount_nano = posting.intent, posting.usage, posting.amount_nano or 0
    return LedgerEntry(
        hold_id=intent.hold_id,
        amount_nano=amount_nano,
        residue_pico=posting.residue_pico,
        price_id=intent.price_id,
        input_tokens=usage.input,
        output_tokens=usage.output,
        cached_tokens=usage.cached,
        cache_write_tokens=usage.cache_write,
        reasoning_tokens=usage.reasoning,
        usage_source=posting.usage_source,
        overrun=amount_nano > intent.amount_nano,
        response_id=posting.response_id[:255],
        token=intent.token,
        tags=list(intent.tags),
        scopes=list(intent.scopes),
        finished_at=posting.finished_at,
        first_byte_at=posting.first_byte_at,
        posted_at=now,
        **_intent_attribution(intent),
    )


def _intent_attribution(intent: Intent) -> dict[str, object]:
    owners = intent.owners
    return {
        "organization_id": owners.organization_id,
        "key_id": owners.key_id,
        "team_id": owners.team_id,
        "member_id": owners.member_id,
        "user_id": owners.user_id,
        "customer_id": intent.customer_id,
        "request_id": intent.request_id,
        "call_type": intent.call_type,
        "model": intent.model,
        "deployment": intent.deployment,
        "provider": intent.provider,
        "upstream_model": intent.upstream_model,
        "admitted_at": intent.admitted_at,
    }


def _orphan_row(hold: Hold, now: datetime) -> LedgerEntry:
    """An orphan is charged what was held; its tokens are the estimate the hold was made from."""
    return LedgerEntry(
        hold_id=hold.pk,
        amount_nano=hold.amount_nano,
        price_id=hold.price_id,
        input_tokens=hold.input_estimate,
        output_tokens=hold.output_cap,
        usage_source=ORPHAN,
        scopes=hold.scopes,
        finished_at=now,
        posted_at=now,
        **_attribution(hold),
    )
