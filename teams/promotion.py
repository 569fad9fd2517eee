"""What ends when somebody gets rights: ways into the account that others handed out, or may know, who have fewer."""

from collections.abc import Callable
from datetime import datetime

from django.db.models import Model

from teams import audit
from teams.actors import MASTER, SYSTEM, Actor
from teams.models import Invitation, Membership, OrganizationMembership, User
from teams.reach import caller_of, exceeds

#: Called with who got rights while others know a way into the account, inside the transaction.
Follower = Callable[[User, Actor], None]
_followers: list[Follower] = []
_LEADING = frozenset({
    User.Role.PROXY_ADMIN, User.Role.PROXY_ADMIN_VIEWER, OrganizationMembership.Role.ADMIN, Membership.Role.ADMIN,
})  # fmt: skip


def on_promotion(follower: Follower) -> Follower:
    """Have `follower` called whenever somebody gets rights that others should not have by what they know."""
    _followers.append(follower)
    return follower


def note_opened(user: User | None, actor: Actor) -> None:
    """Note that `actor` was given a personal secret of somebody else: a key, or a link that sets the password."""
    if user is not None and actor.user_id not in (None, user.pk):
        user.opened_by.add(actor.user_id)


def end_older_ways_in(after: Model, before: Model | None = None, *, actor: Actor, now: datetime) -> None:
    """Take what others may know from whom a changed row gives a leading role, so that they do not get it as well.

    Nothing ends that whoever gives the role, the platform itself, or somebody who may do as much has handed out.
    """
    if not isinstance(after, User | Membership | OrganizationMembership):
        return
    if not _role(after) or _role(after) == (before and _role(before)):
        return
    person = after if isinstance(after, User) else after.user
    opened = Invitation.objects.filter(user=person, accepted_at=None, expires_at__gt=now)
    opened.exclude(created_by__in=[actor.signature, MASTER.signature, SYSTEM.signature]).update(expires_at=now)
    if any(exceeds(person, caller_of(one)) for one in person.opened_by.exclude(pk=actor.user_id)):
        _renew(person, actor)


def _role(row: Model) -> str:
    """By which a row lets somebody lead; empty if it does not."""
    if getattr(row, "is_superuser", False):
        return str(User.Role.PROXY_ADMIN)
    role = getattr(row, "role", "")
    return role if role in _LEADING else ""


def _renew(person: User, actor: Actor) -> None:
    """From here on the account is one that nobody else knows a way into."""
    person.opened_by.clear()
    for follower in _followers:
        follower(person, actor)
    person.set_unusable_password()
    person.save(update_fields=["password"])
    audit.record("user.password_ended", person, actor=actor, after={})
