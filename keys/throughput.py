"""Rates that are guaranteed: those of all keys of a team, or of an organization, fit into its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from keys.extras import GUARANTEED
from keys.models import KeyQuerySet, VirtualKey
from teams.budgets import matches
from teams.models import Limits

Models = Mapping[str, Mapping[str, Any]]
"""Limits by model, as columns hold them."""


def refuse_oversold(key: VirtualKey, *, stored: VirtualKey | None = None) -> None:
    """Raises ValidationError if a guaranteed rate of the key does not fit beside the others. Call it in a transaction.

    The owner's row is locked, so of two keys that are made at once the second counts the first. What the `stored` key
    was promised already is not judged again: a limit of the owner that was lowered since stops no other change.
    """
    if stored is not None and _promised(stored) == _promised(key):
        return
    for kind in ("rpm", "tpm"):
        if key.metadata.get(f"{kind}_limit_type") == GUARANTEED:
            _judge(key, kind)


def _judge(key: VirtualKey, kind: str) -> None:
    owner: Limits = key.team or key.organization
    name, rates = f"{kind}_limit", _rates(key.model_limits, kind)
    wanted, top = getattr(key, name), owner.effective(name)
    bounds = list(_bounds(rates, _rates(owner.limits_by_model, kind), top))
    has_whole = wanted is not None and top is not None
    if not bounds and not has_whole:
        return
    type(owner)._default_manager.select_for_update(no_key=True).get(pk=owner.pk)
    others = list(_others(key, name).values_list(name, "model_limits"))
    if has_whole:
        _refuse_above(name, wanted, sum(rate or 0 for rate, _ in others), top, f"'{owner}'")
    given = [_rates(models, kind) for _, models in others]
    for entry, most in bounds:
        sold = sum(_covered(one, entry) for one in given)
        _refuse_above(f"model_{name}", _covered(rates, entry), sold, most, f"'{entry}' of '{owner}'")


def _promised(key: VirtualKey) -> tuple[Any, ...]:
    kinds = [(key.metadata.get(f"{kind}_limit_type"), _rates(key.model_limits, kind)) for kind in ("rpm", "tpm")]
    return key.team_id, key.organization_id, key.rpm_limit, key.tpm_limit, kinds


def _others(key: VirtualKey, name: str) -> KeyQuerySet:
    """The other keys of the owner whose rates are guaranteed, too."""
    others = VirtualKey.objects.live().filter(**{f"metadata__{name}_type": GUARANTEED}).exclude(pk=key.pk)
    return others.filter(team=key.team) if key.team else others.filter(organization=key.organization)


def _rates(models: Models, kind: str) -> dict[str, int]:
    return {entry: limits[kind] for entry, limits in models.items() if kind in limits}


def _bounds(wanted: Mapping[str, int], owned: Mapping[str, int], top: int | None) -> Iterator[tuple[str, int]]:
    """What the entries of a key have to fit into: entries of its owner that cover them, and the owner's whole rate."""
    for entry in wanted:
        if top is not None:
            yield entry, top
    yield from ((above, most) for above, most in owned.items() if any(matches(above, entry) for entry in wanted))


def _covered(rates: Mapping[str, int], above: str) -> int:
    """What a key may use of an entry. What a wider entry of the key itself covers is in that one."""
    inside = {entry: rate for entry, rate in rates.items() if matches(above, entry)}
    return sum(
        rate for entry, rate in inside.items() if not any(matches(wider, entry) for wider in inside.keys() - {entry})
    )


def _refuse_above(field: str, wanted: int, sold: int, top: int, whose: str) -> None:
    if sold + wanted > top:
        given = f"{sold} of {top} per minute of {whose} are given to other keys"
        raise ValidationError({field: f"{wanted} cannot be guaranteed: {given}"})
