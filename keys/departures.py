"""Keys leave with their owners, whichever door these are shown."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keys import services
from keys.models import VirtualKey
from teams.actors import Actor
from teams.departures import on_departure


@on_departure
def delete_keys_of(owners: Mapping[str, Any], actor: Actor, now: datetime) -> None:
    """Delete the keys that belong to all of `owners`."""
    for key in VirtualKey.objects.live().filter(**owners).order_by("pk"):
        services.delete_key(key, actor=actor, now=now)
