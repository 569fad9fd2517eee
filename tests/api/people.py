"""Keys of people, through which they call the management API with the rights of theirs."""

from teams import services
from teams.actors import SYSTEM
from teams.models import Organization, OrganizationMembership, User
from tests.api.conftest import Api
from tests.factories import issue


def key_of(user: User) -> str:
    """The secret of a personal key."""
    return issue(user=user)[1]


def person(name: str, **fields: object) -> User:
    return services.create_user(
        User(username=name, public_id=name, email=f"{name}@example.com", **fields), actor=SYSTEM
    )


def organization_of(name: str, admin: User | None = None, **limits: object) -> Organization:
    """A new organization; `admin` leads it."""
    made = services.create_organization(Organization(public_id=name, name=name, **limits), actor=SYSTEM)
    if admin is not None:
        role = OrganizationMembership.Role.ADMIN
        services.join_organization(OrganizationMembership(organization=made, user=admin, role=role), actor=SYSTEM)
    return made


def team_led_by(api: Api, name: str) -> tuple[str, str]:
    """The id of a new team, and the key of a new person who leads it."""
    secret: str = api.post("/user/new", {"user_id": name}).json["key"]
    members = [{"role": "admin", "user_id": name}]
    return api.post("/team/new", {"team_alias": "search", "members_with_roles": members}).json["team_id"], secret
