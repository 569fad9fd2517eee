"""Rates that are guaranteed: those of all keys of a team, or of an organization, fit into its own."""

from django.core.exceptions import ValidationError
from django.db.models import Sum

from keys.extras import GUARANTEED
from keys.models import VirtualKey
from teams.models import Limits


def refuse_oversold(key: VirtualKey) -> None:
    """Raises ValidationError if a guaranteed rate of the key does not fit beside the others. Call it in a transaction.

    The owner's row is locked, so of two keys that are made at once the second counts the first.
    """
    owner: Limits = key.team or key.organization
    for name in ("rpm_limit", "tpm_limit"):
        wanted, top = getattr(key, name), owner.effective(name)
        if key.metadata.get(f"{name}_type") != GUARANTEED or wanted is None or top is None:
            continue
        type(owner)._default_manager.select_for_update(no_key=True).get(pk=owner.pk)
        others = VirtualKey.objects.live().filter(**{f"metadata__{name}_type": GUARANTEED}).exclude(pk=key.pk)
        others = others.filter(team=key.team) if key.team else others.filter(organization=key.organization)
        sold = others.aggregate(sold=Sum(name))["sold"] or 0
        if sold + wanted > top:
            given = f"{sold} of {top} per minute of '{owner}' are given to other keys"
            raise ValidationError({name: f"{wanted} cannot be guaranteed: {given}"})
