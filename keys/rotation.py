"""Keys that get a new secret by themselves, and where their owners fetch it: once, and never kept in the clear."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from keys import vault
from keys.models import VirtualKey, WaitingSecret
from keys.services import regenerate_key, told_to
from teams import audit
from teams.actors import Actor
from teams.api_types import ApiError

_AT_ONCE = 500


def rotate_due(*, now: datetime, actor: Actor, grace: timedelta) -> int:
    """Give every key that is due a new secret; the old one goes on working for `grace`. Returns how many."""
    due = VirtualKey.objects.live().filter(_due(now)).order_by("rotate_at").values_list("pk", flat=True)
    return sum(_rotate(pk, now, actor, grace) for pk in due[:_AT_ONCE])


@transaction.atomic
def _rotate(pk: int, now: datetime, actor: Actor, grace: timedelta) -> int:
    """1 if this run rotated the key: under its lock it is still due, unless another worker was first."""
    key = VirtualKey.objects.live().select_for_update(no_key=True).filter(_due(now), pk=pk).first()
    if key is None:
        return 0
    secret = regenerate_key(key, actor=actor, grace=grace, now=now)
    WaitingSecret.objects.create(key=key, envelope=vault.seal(secret, _context(key), settings.SALT_KEY), made_at=now)
    return 1


@transaction.atomic
def pick_up(key: VirtualKey, *, actor: Actor) -> str:
    """The secret that a rotation gave the key; whoever takes it first is the only one. ApiError 404."""
    waiting = WaitingSecret.objects.select_for_update(no_key=True).filter(key=key).first()
    if waiting is None:
        raise ApiError(404, "No new secret is waiting for this key; make one with /key/regenerate", param="key")
    secret = vault.open_envelope(waiting.envelope, _context(key), [settings.SALT_KEY])
    waiting.delete()
    told_to(key, actor)
    audit.record("key.secret_picked_up", key, actor=actor, after={"made_at": str(waiting.made_at)})
    return secret


def _due(now: datetime) -> Q:
    alive = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    return alive & Q(auto_rotate=True, blocked=False, rotate_at__lte=now)


def _context(key: VirtualKey) -> str:
    return f"waiting secret:{key.pk}:{key.token}"
