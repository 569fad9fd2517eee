"""Keys whose secret others may know call models alone, once their owner gets rights."""

from keys import services
from keys.models import VirtualKey
from teams.actors import Actor
from teams.models import User
from teams.promotion import on_promotion


@on_promotion
def narrow_keys_of(person: User, teams: frozenset[int] | None, actor: Actor) -> None:
    """Who knows a personal key may have made keys of any team by it; who knows one of a team, of that team."""
    keys = VirtualKey.objects.live().filter(user=person)
    for key in (keys if teams is None else keys.filter(team__in=teams)).order_by("pk"):
        services.narrow_key(key, actor=actor)
