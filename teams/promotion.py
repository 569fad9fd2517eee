"""What ends when somebody gets rights: ways into the account that were handed out by others before."""

from datetime import datetime

from django.db.models import Model

from teams.actors import MASTER, SYSTEM, Actor
from teams.models import Invitation, Membership, OrganizationMembership, User

_LEADING = frozenset({
    User.Role.PROXY_ADMIN, User.Role.PROXY_ADMIN_VIEWER, OrganizationMembership.Role.ADMIN, Membership.Role.ADMIN,
})  # fmt: skip


def end_invitations(after: Model, before: Model | None = None, *, actor: Actor, now: datetime) -> None:
    """Void open invitations of whom a changed row gives a leading role, but for those of whoever gives it and of the
    platform itself: a link sets a password, and may be in hands that are to have none of these rights.
    """
    if not isinstance(after, User | Membership | OrganizationMembership):
        return
    if after.role not in _LEADING or after.role == getattr(before, "role", None):
        return
    person = after if isinstance(after, User) else after.user
    opened = Invitation.objects.filter(user=person, accepted_at=None, expires_at__gt=now)
    opened.exclude(created_by__in=[actor.signature, MASTER.signature, SYSTEM.signature]).update(expires_at=now)
