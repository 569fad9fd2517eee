"""Every change to the models that take over from others."""

from collections.abc import Mapping, Sequence

from django.core.exceptions import ValidationError
from django.db import transaction

from proxy.fallback_rules import EVERY, MOST_MODELS
from proxy.models import Fallback, LanguageModel
from proxy.runtime.catalog import captured
from teams import audit, changes
from teams.actors import Actor


@transaction.atomic
def save_fallback(fallback: Fallback, *, actor: Actor) -> Fallback:
    """Save a new or changed one; in force at every worker within a second. Raises ValidationError naming the field."""
    created = fallback.pk is None
    before = {} if created else audit.snapshot(Fallback.objects.select_for_update(no_key=True).get(pk=fallback.pk))
    fallback.created_by = fallback.created_by or actor.signature
    fallback.updated_by = actor.signature
    fallback.full_clean()
    _check(fallback)
    fallback.save()
    audit.record("fallback.created" if created else "fallback.updated", fallback, actor=actor, before=before)
    changes.publish_catalog()
    return fallback


@transaction.atomic
def delete_fallback(fallback: Fallback, *, actor: Actor) -> None:
    """What the configuration file says of the model counts again."""
    audit.record("fallback.deleted", fallback, actor=actor, before=audit.snapshot(fallback), after={})
    fallback.delete()
    changes.publish_catalog()


@transaction.atomic
def set_table(kind: str, table: Mapping[str, Sequence[str]], *, actor: Actor) -> None:
    """Have exactly these fallbacks of a kind stored. Raises ValidationError naming the field."""
    stored = {row.model_name: row for row in Fallback.objects.select_for_update(no_key=True).filter(kind=kind)}
    for name in stored.keys() - table.keys():
        delete_fallback(stored[name], actor=actor)
    for name, models in table.items():
        row = stored.get(name) or Fallback(model_name=name, kind=kind)
        if row.fallback_models != list(models):
            row.fallback_models = list(models)
            save_fallback(row, actor=actor)


def unserved(names: list[str]) -> list[str]:
    """Those of the names that no deployment serves, not by way of a wildcard either."""
    served = set(LanguageModel.objects.values_list("name", flat=True))
    wildcards = [name for name in served if "*" in name]
    return [name for name in names if name not in served and not any(captured(card, name) for card in wildcards)]


def _check(fallback: Fallback) -> None:
    models = fallback.fallback_models
    if not models or len(models) > MOST_MODELS or len(set(models)) < len(models):
        raise ValidationError({"fallback_models": f"write 1 to {MOST_MODELS} models, each of them once"})
    if fallback.model_name in models:
        raise ValidationError({"fallback_models": f"'{fallback.model_name}' cannot be its own fallback"})
    missing = unserved(models)
    if missing:
        raise ValidationError({"fallback_models": f"Invalid fallback models: {', '.join(missing)} not found in router"})
    if fallback.model_name != EVERY and unserved([fallback.model_name]):
        raise ValidationError({"model": f"Model '{fallback.model_name}' not found in router"})
