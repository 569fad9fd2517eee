"""The audit trail: one event per change, in the same transaction as the change."""

from typing import Any

from django.db import models

from teams.actors import Actor
from teams.models import AuditEvent

#: Fields whose values never reach the trail, whatever model carries them.
HIDDEN = frozenset(
    {"password", "token", "seal", "secret", "secret_hash", "envelope", "updated_at", "last_login", "version"}
)


def snapshot(instance: models.Model) -> dict[str, Any]:
    """Concrete field values of a row as JSON, secrets left out."""
    fields = (field for field in instance._meta.concrete_fields if field.name not in HIDDEN)
    return {field.attname: _plain(getattr(instance, field.attname)) for field in fields}


def record(
    action: str,
    instance: models.Model,
    *,
    actor: Actor,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write one event such as `key.issued`; of an update only the fields that changed are kept."""
    old, new = before or {}, snapshot(instance) if after is None else after
    if before:
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        old, new = _only(old, changed), _only(new, changed)
    AuditEvent.objects.create(
        actor=actor.label,
        actor_key=actor.token,
        action=action,
        object_type=instance._meta.label,
        object_id=str(getattr(instance, "public_id", "") or instance.pk or ""),
        before=old,
        after=new,
    )


def _only(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str | list | dict) else str(value)
