"""Who calls, and how far that caller's rights reach. Pure: no Django, no I/O.

Two questions are kept apart. Whether a caller may use a route at all is decided by its standings, in the
router's table. Which objects it then sees and changes is decided here and by the querysets' `visible_to`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from teams.actors import Actor

#: Routes that a team may let its plain members use on its keys. The first two everybody in it may use anyway.
MEMBER_ROUTES = (
    "/key/info", "/key/health", "/key/generate", "/key/update", "/key/delete", "/key/regenerate",
    "/key/{key_id}/regenerate", "/key/service-account/generate", "/key/block", "/key/unblock", "/key/bulk_update",
    "/key/list", "/key/aliases", "/key/{key_id}/reset_spend", "/key/access_group_assignment",
    "/team/daily/activity", "/spend/logs",
)  # fmt: skip
#: The same act by another path.
SAME_ROUTES = {"/key/{key_id}/regenerate": "/key/regenerate"}
#: What every member may do.
BASELINE_ROUTES = MEMBER_ROUTES[:2]
NOWHERE: Mapping[str, frozenset[int]] = {}


class Standing(StrEnum):
    """What somebody is to the platform, an organization or a team. A caller may have several."""

    ADMIN = "proxy_admin"
    VIEWER = "proxy_admin_viewer"
    ORG_ADMIN = "org_admin"
    TEAM_ADMIN = "team_admin"
    MEMBER = "member"
    USER = "internal_user"
    USER_VIEWER = "internal_user_viewer"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with rights: the holder of the master key, a person, or a virtual key with its owner's rights.

    Primary keys throughout. `role` is the person's role on the platform, empty for a key of nobody.
    """

    actor: Actor
    role: str = ""
    user_pk: int | None = None
    user_id: str = ""
    """Public id of the person, as answers and refusals show it."""
    key_pk: int | None = None
    token: str = ""
    """SHA-256 of the key that calls; empty for the master key and for people."""
    key_team: int | None = None
    key_organization: int | None = None
    organizations: frozenset[int] = frozenset()
    """Organizations that the caller administers."""
    joined_organizations: frozenset[int] = frozenset()
    leads: frozenset[int] = frozenset()
    """Teams that the caller administers."""
    teams: frozenset[int] = frozenset()
    """Teams that the caller is a member of, in whatever role; also the team of a service account."""
    granted: Mapping[str, frozenset[int]] = field(default_factory=lambda: NOWHERE)
    """Per route that teams grant their plain members, the teams that do."""
    personal: bool = True
    """Whether a person's own things may be changed: not with a key of a team, whose secret its leaders may know."""
    allowed_routes: tuple[str, ...] = ()
    is_replaced: bool = False
    """Whether the key that calls has a newer secret: the old one still reads, and changes nothing."""
    is_bounded: bool = False
    """Whether others who may know the key that calls have fewer rights than its owner, and so bound them."""
    opens_spend: bool = False
    """Whether an admin let the key that calls read everybody's spend (`permissions.get_spend_routes`)."""

    def inside_team(self, team_pk: int, organization_pk: int) -> "Caller":
        """The same person with a key of a team: only what that person may do in the team is left."""
        within = frozenset({team_pk})
        role = {Standing.ADMIN: Standing.USER, Standing.VIEWER: Standing.USER_VIEWER}.get(
            Standing(self.role), self.role
        )
        return replace(
            self,
            role=str(role),
            personal=False,
            organizations=frozenset(),
            joined_organizations=self.joined_organizations & {organization_pk},
            leads=within if self.is_admin else self.leads & within,
            teams=within if self.reads_all else self.teams & within,
            granted={route: teams & within for route, teams in self.granted.items()},
        )

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def pk(self) -> int | None:
        return self.user_pk

    def may_be(self, user_pk: int) -> bool:
        """Whether this person may be who calls: with a key of their own, or with another's whose secret they know."""
        return user_pk == self.user_pk or user_pk in self.actor.hearers

    @property
    def is_admin(self) -> bool:
        return self.role == Standing.ADMIN

    @property
    def reads_all(self) -> bool:
        return self.role in (Standing.ADMIN, Standing.VIEWER)

    @property
    def reads_spend(self) -> bool:
        return self.reads_all or self.opens_spend

    @property
    def standings(self) -> frozenset[Standing]:
        found = {Standing.KEY}
        found |= {Standing(self.role)} if self.role else set()
        # A read-only role stays read-only, whatever its holder leads.
        if self.role in (Standing.VIEWER, Standing.USER_VIEWER):
            return frozenset(found)
        found |= {Standing.ORG_ADMIN} if self.organizations else set()
        found |= {Standing.TEAM_ADMIN} if self.leads else set()
        found |= {Standing.MEMBER} if self.teams else set()
        return frozenset(found)

    def manages_organization(self, organization_pk: int | None) -> bool:
        return self.is_admin or (Standing.ORG_ADMIN in self.standings and organization_pk in self.organizations)

    def manages_team(self, team_pk: int | None, organization_pk: int | None) -> bool:
        """As its admin, as an admin of its organization, or as a platform admin."""
        leads = Standing.TEAM_ADMIN in self.standings and team_pk in self.leads
        return leads or self.manages_organization(organization_pk)

    def may_read_in(self, *routes: str) -> frozenset[int]:
        """Teams that let their plain members, also those who may only look, read what one of these routes shows."""
        return frozenset().union(*(self.granted.get(route, frozenset()) for route in routes))

    def may_write_in(self, route: str) -> frozenset[int]:
        """Teams that let their plain members do what `route` does."""
        return self.granted.get(route, frozenset()) if Standing.MEMBER in self.standings else frozenset()
