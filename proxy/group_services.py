"""Every change to access groups: names that models are put under, and grants of models to keys and teams."""

from collections.abc import Collection, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from keys.models import KeyQuerySet, VirtualKey
from proxy import pool_services, shelves
from proxy.models import AccessGroup, Deployment, Pool
from proxy.runtime import permit
from teams import audit, changes
from teams.access_groups import FIELD, assigns_groups, tells_beyond
from teams.actors import Actor
from teams.api_types import ApiError
from teams.models import Team


def keys_of(keys: KeyQuerySet, public_id: str) -> KeyQuerySet:
    """Those of some keys that an access group is assigned to."""
    return keys.filter(access_groups__public_id=public_id)


def members(name: str) -> list[Deployment]:
    """Deployments that are in an access group, also by the configuration file."""
    return [row for row in Deployment.objects.with_owners() if name in row.groups]


@transaction.atomic
def set_members(name: str, wanted: Iterable[Deployment], *, actor: Actor, fresh: bool = False) -> int:
    """Have exactly these deployments in the group; returns how many rows changed. Raises ValidationError.

    A `fresh` one is ApiError 409 if there is such a group: a group has no row of its own, so only who has locked all
    deployments can tell.
    """
    keep = {row.pk for row in wanted}
    rows = list(Deployment.objects.with_owners().select_for_update(of=("self",), no_key=True))
    if fresh and any(name in row.groups for row in rows):
        raise ApiError(409, f"Access group '{name}' already exists. Use PUT to update it.", param="access_group")
    changed, pool = 0, pool_services.find(Pool.Kind.ACCESS_GROUP, name)
    if pool is not None and not keep:
        pool_services.delete_pool(pool, actor=actor)
    for row in rows:
        if row.pk in keep and name not in row.groups:
            changed += _set_groups(row, [*row.access_groups, name], actor)
        elif row.pk not in keep and name in row.groups:
            if name in (row.model_info.get("access_groups") or ()):
                raise ValidationError(
                    {"access_group": f"the configuration file puts model '{row.model}' into '{name}'; change it there"}
                )
            changed += _set_groups(row, [group for group in row.access_groups if group != name], actor)
    if changed:
        pool_services.joined([name])
        changes.publish_catalog()
    return changed


def locked(group: AccessGroup) -> AccessGroup:
    """The group as it is stored, unchanged by others until the transaction ends. Raises ValidationError."""
    stored = AccessGroup.objects.select_for_update(no_key=True).filter(pk=group.pk).first()
    if stored is None:
        raise ValidationError({"access_group_id": "somebody else deleted this access group meanwhile"})
    return stored


@transaction.atomic
def save_group(
    group: AccessGroup, *, teams: Iterable[Team] | None, keys: Iterable[VirtualKey] | None, actor: Actor
) -> AccessGroup:
    """Save a new or changed group; None leaves its teams or keys as they are. In force within a second.

    Whoever changes only some of it starts from `locked`. Raises ValidationError naming the field.
    """
    created = group.pk is None
    before = {} if created else _snapshot(locked(group))
    group.created_by = group.created_by or actor.signature
    group.updated_by = actor.signature
    group.full_clean()
    group.save()
    if teams is not None:
        group.teams.set(teams)
    if keys is not None:
        group.keys.set(keys)
    action = "access_group.created" if created else "access_group.updated"
    audit.record(action, group, actor=actor, before=before, after=_snapshot(group))
    changes.publish_catalog()
    return group


@tells_beyond
def beyond(names: Collection[str], models: Collection[str]) -> frozenset[str]:
    """Those of some names by which a list would mean a model that the list `models` does not cover: access groups,
    aliases, and names that providers give."""
    catalog, found = shelves.load_catalog(timezone.now()), set[str]()
    for team in (None, *catalog.of_team):
        for name in {name for shelf in catalog.shelves(team) for name in shelf.names()}:
            further = catalog.groups_of(name, team)
            if not any(permit.covers(entry, name, further) for entry in models):
                found |= {wanted for wanted in names if permit.covers(wanted, name, further)}
    return frozenset(found)


@assigns_groups
@transaction.atomic
def assign_groups(row: Team | VirtualKey, wanted: list[str], actor: Actor) -> None:
    """Give a key or a team exactly these groups; the same assignment that `save_group` makes from the other side."""
    known = {group.public_id: group for group in AccessGroup.objects.filter(public_id__in=wanted)}
    missing = [name[:64] for name in wanted if name not in known]
    if missing:
        raise ApiError(400, f"{FIELD}: not found: {', '.join(missing)}", param=FIELD)
    held = {group.public_id: group for group in row.access_groups.all()}
    for public_id in sorted(held.keys() ^ known.keys()):
        group = (held | known)[public_id]
        rows: Any = group.teams if isinstance(row, Team) else group.keys
        before = _snapshot(group)
        (rows.remove if public_id in held else rows.add)(row)
        audit.record("access_group.updated", group, actor=actor, before=before, after=_snapshot(group))
    changes.publish_catalog()


@transaction.atomic
def delete_group(group: AccessGroup, *, actor: Actor) -> None:
    audit.record("access_group.deleted", group, actor=actor, before=_snapshot(group), after={})
    group.delete()
    changes.publish_catalog()


def _set_groups(row: Deployment, groups: list[str], actor: Actor) -> int:
    before = audit.snapshot(row)
    row.access_groups, row.updated_by = groups, actor.signature
    row.save(update_fields=["access_groups", "updated_by", "updated_at"])
    audit.record("model.updated", row, actor=actor, before=before)
    return 1


def _snapshot(group: AccessGroup) -> dict[str, Any]:
    return audit.snapshot(group) | {
        "teams": sorted(group.teams.values_list("public_id", flat=True)),
        "keys": sorted(group.keys.values_list("public_id", flat=True)),
    }
