"""Every change to discounts and margins. In force at every worker within a second; what was charged stays."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import transaction

from spend.markups import Margin
from spend.models import Markup
from teams import audit, changes
from teams.actors import Actor


def set_discounts(table: Mapping[str, Decimal], *, actor: Actor) -> None:
    """Have exactly these discounts stored."""
    _store({name: {"discount": share} for name, share in table.items()}, {"discount": None}, actor)


def set_margins(table: Mapping[str, Margin], *, actor: Actor) -> None:
    """Have exactly these margins stored."""
    wanted = {name: {"margin": each.share, "per_call": each.per_call} for name, each in table.items()}
    _store(wanted, {"margin": None, "per_call": Decimal(0)}, actor)


@transaction.atomic
def _store(wanted: Mapping[str, Mapping[str, Any]], nothing: Mapping[str, Any], actor: Actor) -> None:
    stored = {row.provider: row for row in Markup.objects.select_for_update(no_key=True)}
    changed = False
    for name in stored.keys() | wanted.keys():
        row = stored.get(name) or Markup(provider=name)
        changed |= _change(row, wanted.get(name, nothing), actor)
    if changed:
        changes.publish_catalog()


def _change(row: Markup, values: Mapping[str, Any], actor: Actor) -> bool:
    if all(getattr(row, name) == value for name, value in values.items()):
        return False
    before = audit.snapshot(row) if row.pk else {}
    for name, value in values.items():
        setattr(row, name, value)
    if row.discount is None and row.margin is None:
        audit.record("markup.deleted", row, actor=actor, before=before, after={})
        row.delete()
        return True
    row.full_clean()
    row.save()
    audit.record("markup.updated" if before else "markup.created", row, actor=actor, before=before)
    return True
