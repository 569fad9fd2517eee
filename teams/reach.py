"""How far a person's rights reach, read from the database once per request."""

from collections import defaultdict
from dataclasses import replace

from teams.actors import Actor
from teams.callers import NOWHERE, SAME_ROUTES, Caller, Standing
from teams.models import OrganizationMembership, Team, User

#: What the holder of the master key may do: everything.
MASTER_ROLE = Standing.ADMIN


def caller_of(user: User, *, actor: Actor | None = None, blocked: bool = False) -> Caller:
    """A person with all rights of theirs; two queries, none for who needs none. With `blocked` also what rests."""
    actor = actor or Actor(user.get_username(), user.pk)
    role = str(User.Role.PROXY_ADMIN) if user.is_superuser else user.role
    if role in (Standing.ADMIN, Standing.VIEWER):
        return Caller(actor, role, user.pk, user.public_id)
    return _in_places(user, actor, role, blocked)


def _in_places(user: User, actor: Actor, role: str, blocked: bool = False) -> Caller:
    """Somebody with the rights in teams and organizations, and none on the platform."""
    places = user.organization_memberships.all()
    barred = {one.organization_id for one in places if one.blocked}
    leads, teams, granted = _teams(user, barred, blocked)
    admin = OrganizationMembership.Role.ADMIN
    return Caller(
        actor,
        role,
        user.pk,
        user.public_id,
        organizations=frozenset(one.organization_id for one in places if one.role == admin and one.blocked <= blocked),
        joined_organizations=frozenset(one.organization_id for one in places),
        leads=leads,
        teams=teams,
        granted=granted,
    )


def rights_of(person: User) -> Caller:
    """Of whom a secret was told: none where that one is not let in any more."""
    if person.deleted_at or person.blocked or not person.is_active:
        return Caller(Actor(person.get_username(), person.pk), str(Standing.USER))
    return caller_of(person)


def exceeds(person: User, caller: Caller) -> bool:
    """Whether somebody else may do what the caller may not, or may once a block ends."""
    if caller.is_admin or person.pk == caller.user_pk:
        return False
    known = caller_of(person, blocked=True)
    if known.reads_all or not known.organizations <= caller.organizations:
        return True
    led = Team.objects.filter(pk__in=known.leads - caller.leads)
    return led.exclude(organization__in=caller.organizations).exists()


def common(one: Caller, other: Caller) -> Caller:
    """The first caller with only those rights that the other has as well; where that has fewer, a key's owner's own
    account and further keys are left alone too."""
    if other.is_admin:
        return one
    before, role = one, _common_role(one, other)
    if one.reads_all and one.user_pk:
        one = _in_places(User.objects.get(pk=one.user_pk), one.actor, one.role)
    if other.role in (Standing.VIEWER, Standing.USER_VIEWER):
        other = replace(other, organizations=frozenset(), leads=frozenset(), granted=NOWHERE)
    granted = frozenset().union(*one.granted.values())
    managed = Team.objects.filter(pk__in=one.leads | granted, organization__in=other.organizations)
    led = other.leads | (frozenset(managed.values_list("pk", flat=True)) if other.organizations else frozenset())
    organizations, leads = one.organizations & other.organizations, one.leads & led
    return replace(
        one,
        role=role,
        organizations=organizations,
        leads=leads,
        granted={route: teams & (led | other.granted.get(route, led)) for route, teams in one.granted.items()},
        personal=before.personal and (role, organizations, leads) == (before.role, before.organizations, before.leads),
    )


def _common_role(one: Caller, other: Caller) -> str:
    """Of somebody who is no platform admin and the first one, who may be; a key of nobody has none."""
    if not one.reads_all:
        return one.role
    if other.reads_all:
        return str(Standing.VIEWER)
    return str(Standing.USER if one.is_admin else Standing.USER_VIEWER)


def _teams(
    user: User, barred: set[int], also_blocked: bool
) -> tuple[frozenset[int], frozenset[int], dict[str, frozenset[int]]]:
    """Teams that the person leads, teams the person is in, and what these grant their members.

    Who is blocked in a team, or in its organization (`barred`), is in it, and has no more rights there.
    """
    leads, teams, granted = set(), set(), defaultdict(set)
    rows = user.memberships.values_list(
        "team_id", "role", "team__member_permissions", "blocked", "team__organization_id"
    )
    for team, role, permissions, blocked, organization in rows:
        teams.add(team)
        if (blocked or organization in barred) and not also_blocked:
            continue
        if role == "admin":
            leads.add(team)
        for route in permissions:
            granted[SAME_ROUTES.get(route, route)].add(team)
    return frozenset(leads), frozenset(teams), {route: frozenset(pks) for route, pks in granted.items()}
