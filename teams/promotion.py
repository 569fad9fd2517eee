"""What ends when somebody gets rights: ways into the account that others handed out, or may know, who have fewer."""

from collections.abc import Callable, Iterable
from datetime import datetime

from django.db.models import Model

from teams import audit
from teams.actors import MASTER, SYSTEM, Actor
from teams.models import Invitation, Membership, Opening, OrganizationMembership, Team, User
from teams.reach import caller_of, exceeds

#: Called, inside the transaction, with who got rights, and the teams of which others may know the person's keys;
#: None for all keys, of whatever team.
Follower = Callable[[User, frozenset[int] | None, Actor], None]
_followers: list[Follower] = []
_NOTHING, _GRANTED, _LEADS, _PLATFORM = range(4)


def on_promotion(follower: Follower) -> Follower:
    """Have `follower` called whenever somebody gets rights that others should not have by what they know."""
    _followers.append(follower)
    return follower


def note_opened(user: User | None, actor: Actor, team: Team | None = None) -> None:
    """Note that `actor` was given a secret of somebody: a key, or a link that sets the password."""
    if user is not None:
        note_known(user, [actor.user_id], team)


def note_known(user: User, others: Iterable[int | None], team: Team | None) -> None:
    """The same of several people, by primary keys."""
    for other in {*others} - {None, user.pk}:
        Opening.objects.get_or_create(user=user, by_id=other, team=team)


def end_older_ways_in(after: Model, before: Model | None = None, *, actor: Actor, now: datetime) -> None:
    """Take what others may know from whom a changed row gives rights, so that they do not get these as well.

    Nothing ends that whoever gives them, the platform itself, or somebody who may do as much has handed out.
    """
    if not isinstance(after, User | Membership | OrganizationMembership) or _level(after) <= _level(before):
        return
    person = after if isinstance(after, User) else after.user
    if not isinstance(after, User) and _has_already(person, after):
        return
    known = person.openings.select_related("by", "team").exclude(by=actor.user_id)
    if unfit := [one for one in known if _is_unfit(one, person)]:
        _renew(person, unfit, actor, now)


def _level(row: Model | None) -> int:
    """How much a row lets its person do; a blocked one nothing."""
    if isinstance(row, User):
        role = User.Role.PROXY_ADMIN if row.is_superuser else row.role
        levels = {User.Role.PROXY_ADMIN: _PLATFORM, User.Role.PROXY_ADMIN_VIEWER: _LEADS}
        return levels.get(User.Role(role), _NOTHING)
    if isinstance(row, OrganizationMembership):
        return _LEADS if row.role == OrganizationMembership.Role.ADMIN and not row.blocked else _NOTHING
    if isinstance(row, Membership) and not row.blocked:
        return _LEADS if row.role == Membership.Role.ADMIN else _GRANTED if row.team.member_permissions else _NOTHING
    return _NOTHING


def _has_already(person: User, place: Membership | OrganizationMembership) -> bool:
    """Whether the person may do what a place lets somebody do by what is above it."""
    known = caller_of(person)
    return known.is_admin or (isinstance(place, Membership) and place.team.organization_id in known.organizations)


def _is_unfit(opening: Opening, person: User) -> bool:
    """Whether who may know the secret can do less than it lets its holder do now."""
    other = caller_of(opening.by)
    if opening.team is None:
        return exceeds(person, other, granted=True)
    known = caller_of(person)
    leads = known.is_admin or opening.team_id in known.leads
    return leads and not other.manages_team(opening.team_id, opening.team.organization_id)


def _renew(person: User, unfit: list[Opening], actor: Actor, now: datetime) -> None:
    """From here on nobody knows a way in by these openings."""
    teams = frozenset(one.team_id for one in unfit if one.team_id is not None)
    is_personal = any(one.team_id is None for one in unfit)
    Opening.objects.filter(pk__in=[one.pk for one in unfit]).delete()
    for follower in _followers:
        follower(person, None if is_personal else teams, actor)
    if is_personal:
        links = Invitation.objects.filter(user=person, expires_at__gt=now)
        links.exclude(created_by__in=[actor.signature, MASTER.signature, SYSTEM.signature]).update(expires_at=now)
        person.set_unusable_password()
        person.save(update_fields=["password"])
        audit.record("user.password_ended", person, actor=actor, after={})
