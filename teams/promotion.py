"""What ends when somebody gets rights: ways into the account that were handed out by others before."""

from datetime import datetime

from django.db.models import Model, Q

from teams import audit
from teams.actors import MASTER, SYSTEM, Actor
from teams.models import Invitation, Membership, OrganizationMembership, User

_LEADING = frozenset({
    User.Role.PROXY_ADMIN, User.Role.PROXY_ADMIN_VIEWER, OrganizationMembership.Role.ADMIN, Membership.Role.ADMIN,
})  # fmt: skip


def end_older_ways_in(after: Model, before: Model | None = None, *, actor: Actor, now: datetime) -> None:
    """Void open invitations of whom a changed row gives a leading role, and of who gets one on the platform also the
    password that an invitation set: a link may be in hands that are to have none of these rights.

    Not those of whoever gives the role, of platform admins, and of the platform itself.
    """
    if not isinstance(after, User | Membership | OrganizationMembership):
        return
    if not _role(after) or _role(after) == (before and _role(before)):
        return
    person = after if isinstance(after, User) else after.user
    links = Invitation.objects.filter(user=person).exclude(created_by__in=[*_trusted(actor)])
    if isinstance(after, User) and links.exclude(accepted_at=None).exists():
        person.set_unusable_password()
        person.save(update_fields=["password"])
        audit.record("user.password_ended", person, actor=actor, after={})
    links.filter(expires_at__gt=now).update(expires_at=now)


def _role(row: Model) -> str:
    """By which a row lets somebody lead; empty if it does not."""
    if getattr(row, "is_superuser", False):
        return str(User.Role.PROXY_ADMIN)
    role = getattr(row, "role", "")
    return role if role in _LEADING else ""


def _trusted(actor: Actor) -> set[str]:
    """Names by which invitations know those whose ones do not end."""
    admins = User.objects.filter(Q(role=User.Role.PROXY_ADMIN) | Q(is_superuser=True), deleted_at=None)
    names = {name for row in admins.values_list("public_id", "username", "email") for name in row}
    return {actor.signature, MASTER.signature, SYSTEM.signature, *names} - {""}
