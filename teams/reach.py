"""How far a person's rights reach, read from the database once per request."""

from collections import defaultdict

from teams.actors import Actor
from teams.callers import SAME_ROUTES, Caller, Standing
from teams.models import OrganizationMembership, User

#: What the holder of the master key may do: everything.
MASTER_ROLE = Standing.ADMIN


def caller_of(user: User, *, actor: Actor | None = None) -> Caller:
    """A person with all rights of theirs; two queries, none for who needs none."""
    actor = actor or Actor(user.get_username(), user.pk)
    role = str(User.Role.PROXY_ADMIN) if user.is_superuser else user.role
    if role in (Standing.ADMIN, Standing.VIEWER):
        return Caller(actor, role, user.pk, user.public_id)
    leads, teams, granted = _teams(user)
    roles = dict(user.organization_memberships.values_list("organization_id", "role"))
    admin = OrganizationMembership.Role.ADMIN
    return Caller(
        actor,
        role,
        user.pk,
        user.public_id,
        organizations=frozenset(pk for pk, held in roles.items() if held == admin),
        joined_organizations=frozenset(roles),
        leads=leads,
        teams=teams,
        granted=granted,
    )


def _teams(user: User) -> tuple[frozenset[int], frozenset[int], dict[str, frozenset[int]]]:
    """Teams that the person leads, teams the person is in, and what these grant their members."""
    leads, teams, granted = set(), set(), defaultdict(set)
    rows = user.memberships.values_list("team_id", "role", "team__member_permissions")
    for team, role, permissions in rows:
        teams.add(team)
        if role == "admin":
            leads.add(team)
        for route in permissions:
            granted[SAME_ROUTES.get(route, route)].add(team)
    return frozenset(leads), frozenset(teams), {route: frozenset(pks) for route, pks in granted.items()}
