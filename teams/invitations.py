"""Services of invitations: one way in per link, once, for a week. Only a hash of the link's secret is stored."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from teams import audit
from teams.actors import Actor
from teams.models import Invitation, User
from teams.reach import exceeds, rights_of
from teams.services import set_password

VALID_FOR = timedelta(days=7)


@transaction.atomic
def invite(user: User, *, actor: Actor, now: datetime | None = None) -> tuple[Invitation, str]:
    """A new invitation and the secret of its link."""
    secret = secrets.token_urlsafe(32)
    expires_at = (now or timezone.now()) + VALID_FOR
    invitation = Invitation.objects.create(
        user=user,
        secret_hash=_hash(secret),
        created_by=actor.signature,
        updated_by=actor.signature,
        expires_at=expires_at,
    )
    invitation.known_to.set(actor.hearers)
    audit.record("invitation.created", invitation, actor=actor)
    return invitation, secret


def find_invitation(secret: str) -> Invitation | None:
    return Invitation.objects.select_related("user").filter(secret_hash=_hash(secret)).first()


def usable_invitation(secret: str, *, now: datetime | None = None) -> Invitation | None:
    """The invitation of a link that still lets its person in."""
    invitation = find_invitation(secret)
    if invitation is None or invitation.accepted_at or invitation.expires_at <= (now or timezone.now()):
        return None
    if not invitation.user.is_active or invitation.user.deleted_at:
        return None
    told = invitation.known_to.exclude(pk=invitation.user.pk)
    # Whoever knew the link and may do less by now, or nothing, would get in by it.
    return None if any(exceeds(invitation.user, rights_of(one)) for one in told) else invitation


@transaction.atomic
def accept(secret: str, user_id: str, password: str, *, now: datetime | None = None) -> User:
    """Set the password of the invited person. Raises ValidationError; of two who try at once one wins."""
    invitation = usable_invitation(secret, now=now)
    if invitation is None or invitation.user.public_id != user_id:
        raise ValidationError({"invitation_link": "is not valid, was used already, or is older than a week"})
    user = invitation.user
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from error
    claimed = Invitation.objects.filter(pk=invitation.pk, accepted_at=None)
    used = now or timezone.now()
    # Over for good: nobody opens a link again that somebody's password was set by.
    if not claimed.update(accepted_at=used, expires_at=used, updated_by=user.get_username()):
        raise ValidationError({"invitation_link": "is not valid, was used already, or is older than a week"})
    set_password(user, password, actor=Actor(user.get_username(), user.pk))
    # Whoever knew the link may have been the one who used it.
    user.password_known_to.set(invitation.known_to.exclude(pk=user.pk))
    return user


@transaction.atomic
def mark(invitation: Invitation, accepted: bool, *, actor: Actor, now: datetime | None = None) -> Invitation:
    """Say that an invitation was accepted, or open it again."""
    before = audit.snapshot(invitation)
    invitation.accepted_at = (now or timezone.now()) if accepted else None
    invitation.updated_by = actor.signature
    invitation.save(update_fields=["accepted_at", "updated_by", "updated_at"])
    audit.record("invitation.updated", invitation, actor=actor, before=before)
    return invitation


@transaction.atomic
def withdraw(invitation: Invitation, *, actor: Actor) -> None:
    audit.record("invitation.deleted", invitation, actor=actor, before=audit.snapshot(invitation), after={})
    invitation.delete()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
