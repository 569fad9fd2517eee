"""Who may know the secret of a key. All of them bound what it may do in the management API."""

from collections.abc import Set

from django.conf import settings
from django.db.models import Q

from keys import secrets
from keys.models import RetiredSecret, VirtualKey
from teams.actors import Actor
from teams.api_types import ApiError


def hearers(actor: Actor, *key_pks: int) -> set[int]:
    """Who may learn what `actor` is told now: that person, and everybody who may know the key `actor` calls with.

    That key and those with `key_pks` stay as they are until the transaction ends. Raises ApiError 401 if it has another
    secret by now: its owner may have changed it because of those who knew it.
    """
    found = {actor.user_id} if actor.user_id else set()
    if not actor.token or actor.token == secrets.token_of(settings.MASTER_KEY):
        return found
    named = Q(token=actor.token) | Q(pk__in=key_pks)
    locked = VirtualKey.objects.select_for_update(no_key=True).filter(named).order_by("pk").only("pk", "token")
    calling = next((key for key in locked if key.token == actor.token), None)
    if calling is None:
        raise ApiError(401, "This key got a new secret a moment ago; send that one", kind="auth_error")
    return found | set(_known(calling.pk))


def hearers_of_new_secret(key: VirtualKey, actor: Actor) -> set[int]:
    """The same for one who may call with the secret that `key` had before."""
    found = {actor.user_id} if actor.user_id else set()
    if RetiredSecret.objects.filter(key=key, token=actor.token).exists():
        return found | set(_known(key.pk))
    return found | hearers(actor)


def note(key: VirtualKey, known_to: Set[int | None]) -> None:
    """Note that these people may know the key's secret, besides its owner."""
    others = {pk for pk in known_to if pk is not None and pk != key.user_id}
    if others:
        key.known_to.add(*others)


def _known(key_pk: int) -> list[int]:
    return list(VirtualKey.known_to.through.objects.filter(virtualkey_id=key_pk).values_list("user_id", flat=True))
