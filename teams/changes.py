"""Making a policy change take effect: version, announcement and, where windows change, a new epoch."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import F, QuerySet

from teams import store
from teams.models import CounterServer, Limits, Organization, Platform, PolicyChange, SharedBudget, Terms
from teams.scopes import CATALOG, PLATFORM, PLATFORM_SCOPE, ScopeKind, scope_name

#: Columns that only their own services write. An edit that began before such a change must not undo it.
_SYSTEM = (
    "version", "epoch", "sql_until", "created_at", "password", "last_login", "public_id", "token", "seal", "masked",
    "created_by", "deleted_at", "deleted_by", "rotated_at", "rotation_count",
)  # fmt: skip


def keep_system_fields(instance: Terms, stored: Terms) -> None:
    """Take what an edit does not own from `stored`, the row as it is now under its lock."""
    for name in {field.name for field in stored._meta.concrete_fields}.intersection(_SYSTEM):
        setattr(instance, name, getattr(stored, name))


def publish(instance: Limits, *, organization_pk: int, new_windows: bool = False) -> None:
    """Raise the scope's version, now in the database and on commit in the counter store.

    `new_windows` says that the set of budget windows changed: calls in flight hold nothing on the new
    window, so the organization's epoch is raised and its counters are read from the ledger again.
    """
    type(instance)._default_manager.filter(pk=instance.pk).update(version=F("version") + 1)
    instance.refresh_from_db(fields=["version"])
    PolicyChange.objects.create(scope=instance.scope)
    # The version first: whoever learns of the new epoch must find out that its grant is old.
    transaction.on_commit(
        partial(store.announce_version, organization_pk, instance.scope, instance.version), robust=True
    )
    if new_windows:
        raise_epoch(organization_pk)


def publish_move(instance: Limits, *, before: int, after: int) -> None:
    """As `publish`, beside it, for a scope that went to another organization, whose counters are elsewhere.

    Workers that did not hear of it hold on those of the old one: its epoch ends, so that they find out before they
    send. The new one's counters are read with what is in flight there.
    """
    transaction.on_commit(partial(store.announce_version, before, instance.scope, instance.version), robust=True)
    for organization_pk in sorted((before, after)):
        raise_epoch(organization_pk)


def publish_shared(budget: SharedBudget, *, organization_pks: Iterable[int], new_windows: bool) -> None:
    """As `publish`, in every organization whose scopes share the budget. Their rows are not touched."""
    SharedBudget.objects.filter(pk=budget.pk).update(version=F("version") + 1)
    budget.refresh_from_db(fields=["version"])
    PolicyChange.objects.create(scope=budget.scope)
    for organization_pk in sorted(organization_pks):
        transaction.on_commit(
            partial(store.announce_version, organization_pk, budget.scope, budget.version), robust=True
        )
        if new_windows:
            raise_epoch(organization_pk)


def publish_above(row: Terms, *, new_windows: bool) -> None:
    """As `publish`, for what is above every organization: the platform, whose row is locked, and its pools."""
    type(row)._default_manager.filter(pk=row.pk).update(version=F("version") + 1)
    row.refresh_from_db(fields=["version"])
    PolicyChange.objects.create(scope=row.scope)
    transaction.on_commit(partial(store.announce_version, PLATFORM, row.scope, row.version), robust=True)
    if new_windows:
        raise_every_epoch()


def windows_differ(stored: Terms, changed: Terms) -> bool:
    """Whether the *set* of windows changes; a new amount for the same window is not such a change."""
    return _windows(stored) != _windows(changed)


def _windows(row: Terms) -> tuple[str, set[tuple[str, str, datetime]]]:
    """Every window that calls are held on: of which model, how long, from when on, in which time zone."""
    zone = getattr(row, "timezone", "")
    return zone, {(budget.model, budget.duration, budget.anchor) for budget in row.budgets()}


def raise_every_epoch() -> None:
    """Have every call know what it is to be held on from the commit on. The platform's row is locked.

    A call in flight that asked nothing of the platform is fenced by its organization alone. So every epoch there is
    ends: whoever holds from then on has read the new windows, and whoever held before is in the ledger or refused.
    """
    raise_epoch(PLATFORM)
    # Locked in the order in which intents lock them.
    for organization_pk in (
        Organization.objects.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True)
    ):
        raise_epoch(organization_pk)


def epoch_row(organization_pk: int) -> QuerySet[Organization] | QuerySet[Platform]:
    """The row that keeps the epoch of an organization's counters, or of the platform's."""
    return Organization.objects.filter(pk=organization_pk) if organization_pk else Platform.objects.all()


def raise_epoch(organization_pk: int) -> None:
    """Have every counter of an organization, or of the platform, read from the ledger again, from the commit on.

    Workers that do not hear of it read their grants anew within a second, and find the epoch there. Who raises the
    platform's as well raises it first, as intents lock it first.
    """
    row = epoch_row(organization_pk)
    row.update(epoch=F("epoch") + 1)
    epoch = row.values_list("epoch", flat=True).get()
    scope = scope_name(ScopeKind.ORGANIZATION, organization_pk) if organization_pk else PLATFORM_SCOPE
    PolicyChange.objects.create(scope=scope)
    transaction.on_commit(partial(store.announce_epoch, organization_pk, epoch), robust=True)


def publish_catalog() -> None:
    """Announce a change of models, deployments, credentials or prices."""
    PolicyChange.objects.create(scope=CATALOG)


@transaction.atomic
def note_store(run_id: str) -> bool:
    """Have every counter read from the ledger again if the store is not the run we knew; returns whether it is not.

    A restarted, replaced or promoted store may be an older copy of the one that was written to.
    """
    known, created = CounterServer.objects.select_for_update(no_key=True).get_or_create(
        pk=1, defaults={"run_id": run_id}
    )
    if known.run_id == run_id and not created:
        return False
    CounterServer.objects.filter(pk=1).update(run_id=run_id)
    Platform.objects.update(epoch=F("epoch") + 1)
    Organization.objects.update(epoch=F("epoch") + 1)
    return True


def try_writing() -> None:
    """Write what is there already: fails like any other change where the database takes none."""
    CounterServer.objects.filter(pk=1).update(run_id=F("run_id"))
