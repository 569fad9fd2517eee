"""What ends when somebody gets rights: ways into the account that were handed out by others before."""

from datetime import datetime

from django.db.models import Model, Q, QuerySet

from teams import audit
from teams.actors import Actor
from teams.models import Invitation, Membership, OrganizationMembership, User

_LEADING = frozenset({
    User.Role.PROXY_ADMIN, User.Role.PROXY_ADMIN_VIEWER, OrganizationMembership.Role.ADMIN, Membership.Role.ADMIN,
})  # fmt: skip


def end_older_ways_in(after: Model, before: Model | None = None, *, actor: Actor, now: datetime) -> None:
    """Void open invitations of whom a changed row gives a leading role, and end the password of who gets one on the
    platform, where somebody may know these who is to have none of the rights.

    Whoever gives the role may, and platform admins.
    """
    if not isinstance(after, User | Membership | OrganizationMembership):
        return
    if not _role(after) or _role(after) == (before and _role(before)):
        return
    person = after if isinstance(after, User) else after.user
    others = _others(person, actor)
    if isinstance(after, User) and person.password_known_to.filter(pk__in=others).exists():
        person.set_unusable_password()
        person.save(update_fields=["password"])
        person.password_known_to.clear()
        audit.record("user.password_ended", person, actor=actor, after={})
    open_links = Invitation.objects.filter(user=person, known_to__in=others, expires_at__gt=now)
    Invitation.objects.filter(pk__in=list(open_links.values_list("pk", flat=True))).update(expires_at=now)


def _role(row: Model) -> str:
    """By which a row lets somebody lead; empty if it does not."""
    if getattr(row, "is_superuser", False):
        return str(User.Role.PROXY_ADMIN)
    role = getattr(row, "role", "")
    return role if role in _LEADING else ""


def _others(person: User, actor: Actor) -> QuerySet[User]:
    """Everybody who is neither the person, nor whoever gives the role, nor a platform admin."""
    is_admin = Q(role=User.Role.PROXY_ADMIN) | Q(is_superuser=True)
    admins = User.objects.filter(is_admin, deleted_at=None, is_active=True, blocked=False)
    return User.objects.exclude(pk__in=admins.values("pk")).exclude(pk__in=[person.pk, actor.user_id or 0])
