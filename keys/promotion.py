"""Personal keys whose secret others may know call models alone, once their owner gets rights."""

from keys import services
from keys.models import VirtualKey
from teams.actors import Actor
from teams.models import User
from teams.promotion import on_promotion


@on_promotion
def narrow_keys_of(person: User, actor: Actor) -> None:
    """A key of a team has no rights outside of it, and its secret is the team's."""
    for key in VirtualKey.objects.live().filter(user=person, team=None).order_by("pk"):
        services.narrow_key(key, actor=actor)
