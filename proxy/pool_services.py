"""Every change to pools: what calls to a provider, or to the models of an access group, may spend together."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from proxy.models import Deployment, Pool
from proxy.providers import REGISTRY
from spend.spent import Stretch, spent_in
from teams import audit, changes, platform_services
from teams.actors import Actor
from teams.rows import reset_at
from teams.windows import window_at

log = structlog.get_logger()


class Spending(NamedTuple):
    """Of one pool: nano-USD, and when its window ends, in UTC."""

    nano: int
    until: datetime | None


@transaction.atomic
def save_pool(pool: Pool, *, actor: Actor, now: datetime) -> Pool:
    """Save a new or changed one; in force at the next call. Raises ValidationError naming the field.

    Whoever changes only some of it starts from a locked one: see `find`.
    """
    platform_services.platform(locked=True)
    stored = Pool.objects.select_for_update(no_key=True).get(pk=pool.pk) if pool.pk else None
    before = audit.snapshot(stored) if stored else {}
    if stored is not None:
        changes.keep_system_fields(pool, stored)
    if stored is None or stored.budget_duration != pool.budget_duration:
        pool.budget_started_at = now
    pool.created_by, pool.updated_by = pool.created_by or actor.signature, actor.signature
    pool.full_clean()
    if stored is None:
        _check(pool)
    pool.save()
    # Who does not know of a new one does not count for it either, so it needs a new epoch even without a budget.
    changes.publish_above(pool, new_windows=stored is None or changes.windows_differ(stored, pool))
    changes.publish_catalog()
    audit.record("pool.updated" if stored else "pool.created", pool, actor=actor, before=before)
    return pool


@transaction.atomic
def delete_pool(pool: Pool, *, actor: Actor) -> None:
    """Calls are held on it no longer. What was spent is forgotten with it, though not by the ledger."""
    changes.publish_above(pool, new_windows=False)
    changes.publish_catalog()
    audit.record("pool.deleted", pool, actor=actor, before=audit.snapshot(pool), after={})
    pool.delete()


def find(kind: Pool.Kind, name: str, *, locked: bool = False) -> Pool | None:
    """Locked, it stays as it is until the transaction ends, and so does the platform, which is locked before pools."""
    rows = _locked() if locked else Pool.objects.all()
    return rows.filter(kind=kind, name=name).first()


def _locked() -> QuerySet[Pool]:
    platform_services.platform(locked=True)
    return Pool.objects.select_for_update(no_key=True)


def joined(groups: Collection[str]) -> None:
    """Models were put into access groups: from the commit on, no call to them is admitted beside the groups' pools."""
    if not groups:
        return
    # Under the lock that whoever makes a pool takes: it is there to be seen, or finds the models in the group.
    platform_services.platform(locked=True)
    if Pool.objects.filter(kind=Pool.Kind.ACCESS_GROUP, name__in=set(groups)).exists():
        changes.raise_every_epoch()


@transaction.atomic
def apply_file(values: Mapping[str, dict[str, Any]], *, actor: Actor, now: datetime) -> None:
    """Have the providers' budgets that the configuration file names, at every start; those it names no more go."""
    known = {pool.name: pool for pool in _locked().filter(kind=Pool.Kind.PROVIDER)}
    for gone in [pool for name, pool in known.items() if pool.is_from_file and name not in values]:
        delete_pool(gone, actor=actor)
    for name, columns in values.items():
        if name not in REGISTRY:
            place = f"router_settings.provider_budget_config.{name}"
            log.error("budget left out", place=place, reason="there is no such provider here")
            continue
        pool = known.get(name) or Pool(kind=Pool.Kind.PROVIDER, name=name)
        wanted = {**columns, "is_from_file": True}
        if pool.pk is None or any(getattr(pool, column) != value for column, value in wanted.items()):
            for column, value in wanted.items():
                setattr(pool, column, value)
            save_pool(pool, actor=actor, now=now)


def spending(pools: Iterable[Pool], now: datetime) -> dict[str, Spending]:
    """What was spent in the window of each pool's main budget that `now` falls in, by scope. Few queries for all."""
    zone = ZoneInfo(platform_services.platform().timezone)
    windows = {
        pool.scope: window_at(pool.budget_duration, now, zone=zone, anchor=pool.budget_started_at) for pool in pools
    }
    stretches = {scope: Stretch(scope, window.start) for scope, window in windows.items()}
    spent = spent_in(stretches.values())
    return {scope: Spending(spent[stretches[scope]], reset_at(window)) for scope, window in windows.items()}


def _check(pool: Pool) -> None:
    """Raises ValidationError where nothing would ever be counted."""
    if pool.kind == Pool.Kind.PROVIDER and pool.name not in REGISTRY:
        raise ValidationError({"name": f"choose a provider that there is: {', '.join(REGISTRY)}"})
    if pool.kind == Pool.Kind.ACCESS_GROUP and not _is_group(pool.name):
        raise ValidationError({"name": f"no model is in an access group '{pool.name}'; put one there first"})


def _is_group(name: str) -> bool:
    return any(name in row.groups for row in Deployment.objects.only("access_groups", "model_info"))
