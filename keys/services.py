"""Every change to a virtual key. Each function is atomic, audited, and announced to the gateway."""

from collections.abc import Set
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from keys import secrets
from keys.models import MASTER_ID, RetiredSecret, VirtualKey, WaitingSecret
from keys.throughput import refuse_oversold
from keys.validity import bound_by_team
from teams import audit, changes
from teams.actors import SYSTEM, Actor
from teams.models import Membership, Team, User
from teams.services import default_organization
from teams.windows import BadDuration, duration_delta


def issue_key(key: VirtualKey, *, actor: Actor, custom: str | None = None) -> str:
    """Complete and save an unsaved key; return its secret, which is stored nowhere.

    `custom` is a key of the caller's choosing: `sk-` and at least 16 characters.
    Raises ValidationError naming the field.
    """
    issued = _accept_custom(custom) if custom is not None else secrets.generate()
    key.public_id, key.token = issued.public_id, secrets.token_of(issued.plaintext)
    key.masked = secrets.masked(issued.plaintext)
    key.created_by = key.updated_by = actor.signature
    place(key)
    bound_by_team(key, timezone.now())
    _refuse_known_token(key.token)
    _plan_rotation(key, timezone.now())
    key.full_clean()
    with transaction.atomic():
        if hold_place(key.team_id, key.holder_id) is None and key.team_id and key.sponsor_id:
            raise ValidationError({"team": "whoever makes this key left the team a moment ago"})
        refuse_oversold(key)
        key.save(force_insert=True)
        _seal(key)
        _note_known(key, actor.hearers)
        audit.record("key.issued", key, actor=actor)
    return issued.plaintext


@transaction.atomic
def ensure_master_key(master: str) -> VirtualKey:
    """The row that calls made with the master key are attributed to; follows a changed master key.

    It has no limits of its own and appears in no list of keys.
    """
    key, created = VirtualKey.objects.select_for_update(no_key=True).get_or_create(
        public_id=MASTER_ID,
        defaults={
            "token": secrets.token_of(master),
            "masked": secrets.masked(master),
            "alias": "master key",
            "organization": default_organization(),
            "created_by": SYSTEM.label,
        },
    )
    if created or key.token != secrets.token_of(master):
        before = None if created else audit.snapshot(key)
        key.token, key.masked = secrets.token_of(master), secrets.masked(master)
        key.save(update_fields=["token", "masked", "updated_at"])
        _seal(key)
        audit.record("key.issued" if created else "key.regenerated", key, actor=SYSTEM, before=before)
        changes.publish(key, organization_pk=key.organization_id)
    return key


@transaction.atomic
def update_key(key: VirtualKey, *, actor: Actor, now: datetime | None = None) -> VirtualKey:
    """Save a changed key. In force at its next call on every worker."""
    stored = VirtualKey.objects.select_for_update(no_key=True).get(pk=key.pk)
    _refuse_master(stored)
    before = audit.snapshot(stored)
    changes.keep_system_fields(key, stored)
    place(key)
    bound_by_team(key, now or timezone.now(), stored=stored)
    if stored.expires_at != key.expires_at:
        key.expiry_noted_at = None
    if stored.budget_duration != key.budget_duration:
        key.budget_started_at = now or timezone.now()
    if (key.auto_rotate, key.rotation_interval) != (stored.auto_rotate, stored.rotation_interval):
        _plan_rotation(key, now or timezone.now())
    key.updated_by = actor.signature
    key.full_clean()
    refuse_oversold(key, stored=stored)
    key.save()
    is_moved = stored.organization_id != key.organization_id
    new_windows = changes.windows_differ(stored, key) and not is_moved
    changes.publish(key, organization_pk=key.organization_id, new_windows=new_windows)
    if stored.user_id != key.user_id:
        _handed_on(key, stored, actor)
    if is_moved:
        changes.publish_move(key, before=stored.organization_id, after=key.organization_id)
    audit.record("key.updated", key, actor=actor, before=before)
    return key


def block_key(key: VirtualKey, *, actor: Actor) -> VirtualKey:
    return _set_blocked(key, True, actor)


def unblock_key(key: VirtualKey, *, actor: Actor) -> VirtualKey:
    return _set_blocked(key, False, actor)


@transaction.atomic
def delete_key(key: VirtualKey, *, actor: Actor, now: datetime | None = None) -> VirtualKey:
    """Archive a key: it stops working, and its row stays for the ledger and the audit trail."""
    key = VirtualKey.objects.select_for_update(no_key=True).get(pk=key.pk)
    if key.deleted_at:
        return key
    _refuse_master(key)
    before = audit.snapshot(key)
    WaitingSecret.objects.filter(key=key).delete()
    key.deleted_at, key.deleted_by = now or timezone.now(), actor.signature
    key.save(update_fields=["deleted_at", "deleted_by", "updated_at"])
    changes.publish(key, organization_pk=key.organization_id)
    audit.record("key.deleted", key, actor=actor, before=before)
    return key


@transaction.atomic
def regenerate_key(
    key: VirtualKey,
    *,
    actor: Actor,
    custom: str | None = None,
    grace: timedelta = timedelta(0),
    now: datetime | None = None,
) -> str:
    """Give a key a new secret and return it; the old one works until the end of `grace`.

    The row stays the same, so the budget and the history go on.
    """
    now = now or timezone.now()
    key_row = VirtualKey.objects.select_for_update(no_key=True).get(pk=key.pk)
    _refuse_master(key_row)
    issued = _accept_custom(custom) if custom is not None else secrets.generate()
    token = secrets.token_of(issued.plaintext)
    _refuse_known_token(token)
    WaitingSecret.objects.filter(key=key_row).delete()
    # Whoever ends a secret ends those before it, however long these were to live on.
    RetiredSecret.objects.filter(key=key_row, valid_until__gt=now + grace).update(valid_until=now + grace)
    retired = RetiredSecret.objects.create(
        key=key_row,
        public_id=key_row.public_id,
        token=key_row.token,
        seal=key_row.seal,
        retired_at=now,
        valid_until=now + grace,
    )
    retired.known_to.set(key_row.known_to.all())
    key_row.public_id, key_row.token = issued.public_id, token
    key_row.masked, key_row.updated_by = secrets.masked(issued.plaintext), actor.signature
    key_row.rotation_count, key_row.rotated_at = key_row.rotation_count + 1, now
    _plan_rotation(key_row, now)
    key_row.save(
        update_fields=[
            "public_id", "token", "masked", "updated_by", "updated_at", "rotation_count", "rotated_at", "rotate_at",
        ]
    )  # fmt: skip
    _seal(key_row)
    if actor != SYSTEM:
        # A rotation by itself is picked up by one of those who knew the secret before.
        told_to(key_row, actor)
    changes.publish(key_row, organization_pk=key_row.organization_id)
    audit.record("key.regenerated", key_row, actor=actor, after={"grace_seconds": int(grace.total_seconds())})
    key.refresh_from_db()
    return issued.plaintext


def note_expired_keys(*, now: datetime, actor: Actor) -> int:
    """Write the audit event of every key whose time has passed; each key once. Returns how many.

    The gateway itself compares `expires_at` at every call, so a late run lets nobody in.
    """
    due = VirtualKey.objects.live().filter(expires_at__lte=now, expiry_noted_at__isnull=True).order_by("expires_at")
    return sum(_note_expired(pk, now, actor) for pk in due.values_list("pk", flat=True))


@transaction.atomic
def _note_expired(pk: int, now: datetime, actor: Actor) -> int:
    """1 if this run was the one to note it: the conditional update claims the key."""
    claimed = VirtualKey.objects.filter(pk=pk, expiry_noted_at__isnull=True).update(expiry_noted_at=now)
    if claimed:
        key = VirtualKey.objects.get(pk=pk)
        audit.record("key.expired", key, actor=actor, after={"expires_at": str(key.expires_at)})
    return claimed


@transaction.atomic
def _set_blocked(key: VirtualKey, blocked: bool, actor: Actor) -> VirtualKey:
    key = VirtualKey.objects.select_for_update(no_key=True).get(pk=key.pk)
    _refuse_master(key)
    before = audit.snapshot(key)
    key.blocked, key.updated_by = blocked, actor.signature
    key.save(update_fields=["blocked", "updated_by", "updated_at"])
    changes.publish(key, organization_pk=key.organization_id)
    audit.record("key.blocked" if blocked else "key.unblocked", key, actor=actor, before=before)
    return key


def place(key: VirtualKey) -> None:
    """A key lives in the organization of its team, else of its user, else where it was put.

    A person may have keys in another organization than the own, if a member there.
    """
    if key.user_id is not None:
        key.sponsor = None
    if key.team is not None:
        key.organization = key.team.organization
    elif key.user is not None and key.user.organization is not None and not is_guest(key):
        key.organization = key.user.organization
    elif not key.organization_id:
        key.organization = default_organization()


def is_guest(key: VirtualKey) -> bool:
    """Whether a key belongs to an organization that is not its owner's own, and may: as a member's, or an old one."""
    user, organization = key.user, key.organization_id
    if user is None or not organization or user.organization_id in (None, organization):
        return False
    return (
        user.organization_memberships.filter(organization=organization).exists()
        or VirtualKey.objects.filter(pk=key.pk, user=user, organization=organization).exists()
    )


def hold_place(team_pk: int | None, user_pk: int | None) -> Membership | None:
    """Keep a key's owners as they are until the transaction ends, so that who leaves meanwhile takes the key along.

    Returns the person's place in the team. ValidationError naming an owner that was deleted.
    """
    if team_pk and not Team.objects.live().select_for_update(no_key=True).filter(pk=team_pk):
        raise ValidationError({"team": "was deleted a moment ago"})
    if user_pk and not User.objects.live().select_for_update(no_key=True).filter(pk=user_pk):
        raise ValidationError({"user": "was deleted a moment ago"})
    both = team_pk and user_pk
    places = Membership.objects.select_for_update(no_key=True).filter(team=team_pk, user=user_pk)
    return places.first() if both else None


def told_to(key: VirtualKey, actor: Actor) -> None:
    """Nobody but `actor` and those who learn what it is answered knows the key's secret, which is new."""
    key.known_to.clear()
    _note_known(key, actor.hearers)


def _handed_on(key: VirtualKey, stored: VirtualKey, actor: Actor) -> None:
    """Whose a key was knows its secret, and those before it that live on."""
    before = {stored.user_id, stored.sponsor_id}
    _note_known(key, actor.hearers | before)
    for old in key.retired_secrets.all():
        old.known_to.add(*(pk for pk in before if pk is not None and pk != key.user_id))


def _note_known(key: VirtualKey, people: Set[int | None]) -> None:
    """Note who may know a key's secret besides its owner."""
    others = {pk for pk in people if pk is not None and pk != key.user_id}
    if others:
        key.known_to.add(*others)


def _plan_rotation(key: VirtualKey, now: datetime) -> None:
    """When a key is due; a wrong interval is refused by the model's own check."""
    key.rotate_at = None
    if key.auto_rotate and key.rotation_interval:
        try:
            key.rotate_at = now + duration_delta(key.rotation_interval)
        except BadDuration as error:
            raise ValidationError({"rotation_interval": str(error)}) from error


def _refuse_master(key: VirtualKey) -> None:
    if key.public_id == MASTER_ID:
        raise ValidationError({"key": "the master key is what LATCHKEY_MASTER_KEY says; nothing else changes it"})


def _seal(key: VirtualKey) -> None:
    key.seal = secrets.seal_of(key.token, key.pk, settings.SEALING_KEY)
    key.save(update_fields=["seal"])


def _accept_custom(custom: str) -> secrets.Issued:
    if not secrets.is_well_formed(custom):
        raise ValidationError(
            {"key": "a custom key starts with 'sk-' and has 16 to 512 printable characters without spaces"}
        )
    if not secrets.can_be_hidden(custom):
        told = "a custom key has no slash, quote or bracket and none of , ; : < > &, where logs would cease to hide it"
        raise ValidationError({"key": told})
    return secrets.Issued(custom, secrets.generate().public_id)


def _refuse_known_token(token: str) -> None:
    known = VirtualKey.objects.filter(token=token).exists()
    if known or RetiredSecret.objects.filter(token=token).exists():
        raise ValidationError({"key": "this key already exists; choose another one"})
