"""Keys leave with their owners, whichever door these are shown."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keys import services
from keys.loading import payer_of
from keys.models import VirtualKey
from keys.succession import leave_sponsor
from teams.actors import Actor
from teams.departures import on_departure
from teams.models import Membership, OrganizationMembership


@on_departure
def take_over_limits(owners: Mapping[str, Any], actor: Actor, now: datetime) -> None:
    """What a program's key was held to by the member who made it becomes its own: it outlives the membership."""
    if "user" not in owners:
        return
    for place in Membership.objects.filter(**owners).select_related("shared_budget", "user", "team__organization"):
        outer = OrganizationMembership.objects.filter(organization=place.team.organization, user=place.user)
        keys = VirtualKey.objects.live().with_owners().filter(sponsor=place.user, team=place.team)
        for key in keys.order_by("pk"):
            leave_sponsor(key, [place, *outer], payer_of(key))
            services.update_key(key, actor=actor, now=now)


@on_departure
def delete_keys_of(owners: Mapping[str, Any], actor: Actor, now: datetime) -> None:
    """Delete the keys that belong to all of `owners`."""
    for key in VirtualKey.objects.live().filter(**owners).order_by("pk"):
        services.delete_key(key, actor=actor, now=now)
