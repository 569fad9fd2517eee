"""Every change of what all organizations together may spend, and how fast."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from teams import audit, changes
from teams.actors import Actor
from teams.models import Platform


def platform(*, locked: bool = False) -> Platform:
    """The one row, made by a migration. Locked for whoever changes only some of it."""
    rows = Platform.objects.select_for_update(no_key=True) if locked else Platform.objects
    return rows.get()


@transaction.atomic
def update_platform(changed: Platform, *, actor: Actor, now: datetime | None = None) -> Platform:
    """Save changed limits of everybody; in force at the next call. Raises ValidationError."""
    stored = Platform.objects.select_for_update(no_key=True).get()
    before = audit.snapshot(stored)
    changes.keep_system_fields(changed, stored)
    if stored.budget_duration != changed.budget_duration:
        changed.budget_started_at = now or timezone.now()
    changed.full_clean()
    changed.save()
    changes.publish_above(changed, new_windows=changes.windows_differ(stored, changed))
    audit.record("platform.updated", changed, actor=actor, before=before)
    return changed


@transaction.atomic
def apply_file(values: Mapping[str, Any], *, zone: str, actor: Actor, now: datetime) -> Platform:
    """Set what the configuration file says, at every start; what it only said at the last one is cleared."""
    row = Platform.objects.select_for_update(no_key=True).get()
    gone = {name: "" if name == "budget_duration" else None for name in row.from_file if name not in values}
    wanted = {**gone, **values, "timezone": zone or row.timezone, "from_file": sorted(values)}
    if any(getattr(row, name) != value for name, value in wanted.items()):
        for name, value in wanted.items():
            setattr(row, name, value)
        update_platform(row, actor=actor, now=now)
    return row
