"""Which deployments a tag is for: where tags choose among deployments, `litellm_params.tags` of each say so."""

from collections.abc import Collection, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from proxy import services
from proxy.models import Deployment
from teams.actors import Actor

_TAGGED = Q(params__has_key="tags")


def deployments_of(tags: Iterable[str]) -> dict[str, dict[str, str]]:
    """Of each of these tags the deployments that are for it, and the model that each serves."""
    found: dict[str, dict[str, str]] = {tag: {} for tag in tags}
    for row in Deployment.objects.filter(_TAGGED).select_related("model").order_by("pk"):
        for tag in found.keys() & set(_tags(row)):
            found[tag][row.public_id] = row.model.name
    return found


@transaction.atomic
def set_deployments(tag: str, wanted: Collection[str], *, replace: bool, actor: Actor) -> bool:
    """Have these deployments be for calls with the tag; with `replace` none but these. Returns whether any changed.

    Raises ValidationError for one that there is not, or that the configuration file would have to change.
    """
    rows = Deployment.objects.with_owners().filter(Q(public_id__in=wanted) | _TAGGED)
    known = {row.public_id: row for row in rows.order_by("pk").select_for_update(of=("self",), no_key=True)}
    missing = [public_id[:64] for public_id in wanted if public_id not in known]
    if missing:
        raise ValidationError({"models": f"no model has the id {', '.join(missing[:5])}"})
    other = [row for row in known.values() if _differs(row, tag, wanted, replace=replace)]
    for row in other:
        _set_tags(row, [one for one in _tags(row) if one != tag] if tag in _tags(row) else [*_tags(row), tag], actor)
    return bool(other)


def _differs(row: Deployment, tag: str, wanted: Collection[str], *, replace: bool) -> bool:
    is_wanted, is_tagged = row.public_id in wanted, tag in _tags(row)
    return is_wanted != is_tagged and (is_wanted or replace)


def _set_tags(row: Deployment, tags: list[str], actor: Actor) -> None:
    if row.source == Deployment.Source.CONFIG:
        raise ValidationError(
            {
                "models": f"model '{row.model}' ({row.public_id}) is defined in the configuration file; change its "
                "litellm_params.tags there"
            }
        )
    others = {name: value for name, value in row.params.items() if name != "tags"}
    row.params = others | ({"tags": tags} if tags else {})
    services.update_deployment(row, actor=actor)


def _tags(row: Deployment) -> list[Any]:
    return row.params.get("tags") or []
