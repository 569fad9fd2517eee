"""One of everything, and everybody who may come near it, for tests of who reaches what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway_project.api_access import Access
from keys.models import VirtualKey
from proxy.models import Credential, Deployment
from spend import services as ledger
from teams import services
from teams.actors import MASTER
from teams.callers import MEMBER_ROUTES, Standing
from teams.models import (
    Customer,
    Membership,
    Organization,
    OrganizationMembership,
    Project,
    SharedBudget,
    Tag,
    Team,
    User,
)
from tests.api.conftest import Api
from tests.factories import NOON, intent_for, issue, posting_of

#: In everything that only those may read who may see the object; never in what a request names.
FOREIGN = "zorblax"
PROVIDER_SECRET = "sk-provider-Qm4vT8yLw2"


@dataclass(frozen=True)
class World:
    """One organization with one of everything in it; or, beside others in an organization, one team with it."""

    organization: Organization
    team: Team
    person: User
    key: VirtualKey
    customer: Customer
    tag: Tag
    budget: SharedBudget
    deployment: Deployment
    project: Project
    shares: bool = False
    """Whether the organization is that of another world too."""

    def names(self) -> dict[str, Any]:
        """Every parameter by which an endpoint may be told an object."""
        one = {
            "key": self.key.token, "token": self.key.token, "api_key": self.key.token, "key_hash": self.key.token,
            "user_id": self.person.public_id, "team_id": self.team.public_id, "id": self.deployment.public_id,
            "organization_id": self.organization.public_id, "org_id": self.organization.public_id,
            "project_id": self.project.public_id,
            "end_user_id": self.customer.public_id, "budget_id": self.budget.public_id, "name": self.tag.name,
            "model_id": self.deployment.public_id, "litellm_model_id": self.deployment.public_id,
            "start_date": "2026-03-01", "end_date": "2026-03-31", "request_id": f"r-{self.person.username}",
        }  # fmt: skip
        many = {
            "keys": [self.key.token], "user_ids": [self.person.public_id, self.customer.public_id],
            "team_ids": [self.team.public_id], "project_ids": [self.project.public_id],
            "organization_ids": [self.organization.public_id],
            "organizations": [self.organization.public_id], "budgets": [self.budget.public_id],
            "names": [self.tag.name], "member": {"user_id": self.person.public_id, "role": "user"},
            "members": [{"user_id": self.person.public_id, "role": "user"}],
            "users": [{"user_id": self.person.public_id}],
        }  # fmt: skip
        return {**one, **many}

    def rows(self) -> str:
        """Everything stored about it."""
        parts, own = (Team, VirtualKey, Customer, Tag), (self.team, self.key, self.customer, self.tag)
        within = {} if self.shares else {"organization": self.organization}
        inside = [
            Organization.objects.filter(pk=self.organization.pk),
            *(part._default_manager.filter(**within or {"pk": one.pk}) for part, one in zip(parts, own, strict=True)),
            VirtualKey.objects.filter(team=self.team),
            Project.objects.filter(team=self.team),
            Membership.objects.filter(team=self.team),
            Membership.objects.filter(**{"team__organization": self.organization} if within else {"user": self.person}),
            OrganizationMembership.objects.filter(**within or {"user": self.person}),
            User.objects.filter(pk=self.person.pk),
            SharedBudget.objects.filter(pk=self.budget.pk),
            Deployment.objects.filter(pk=self.deployment.pk),
            Credential.objects.all(),
        ]  # fmt: skip
        return repr([list(rows.order_by("pk").values()) for rows in inside])


@dataclass(frozen=True)
class Cast:
    """Somebody with a key, and what that makes of them."""

    secret: str
    standings: frozenset[Standing]
    person: User | None = None
    role: Standing | None = None
    narrowed: str = ""

    def may(self, access: Access, method: str) -> bool:
        if self.narrowed == "llm_api_routes" or (self.narrowed == "info_routes" and not access.info):
            return False
        reads = self.role == Standing.VIEWER and (access.reads or method == "get")
        return reads or bool(access.may & self.standings)

    def refused_with(self, access: Access) -> int:
        """The status for who may not: what narrows a key, and the role that only looks, forbid by themselves."""
        return 403 if self.narrowed or self.role == Standing.VIEWER else access.refuses


def world(mark: str, name: str, beside: World | None = None) -> World:
    fresh = Organization(name=f"{mark}-org", metadata={"m": mark})
    organization = beside.organization if beside else services.create_organization(fresh, actor=MASTER)
    team = services.create_team(
        Team(name=f"{mark}-team", organization=organization, metadata={"m": mark}), actor=MASTER
    )
    person = User(username=name, alias=f"{mark}-person", organization=organization, metadata={"m": mark})
    person = services.create_user(person, actor=MASTER)
    services.add_member(Membership(team=team, user=person), actor=MASTER)
    project = Project(name=f"{mark}-project", team=team, metadata={"m": mark})
    services.create_project(project, actor=MASTER)
    key, _ = issue(alias=f"{mark}-key", team=team, project=project, user=person, metadata={"m": mark})
    customer = services.create_customer(
        Customer(public_id=f"c-{name}", alias=f"{mark}-customer", organization=organization), actor=MASTER
    )
    tag = services.create_tag(Tag(name=f"t-{name}", description=f"{mark}-tag", organization=organization), actor=MASTER)
    budget = services.create_budget(SharedBudget(public_id=f"b-{name}"), actor=MASTER)
    intent = intent_for(key, request_id=f"{mark}-request", model=f"{mark}-model")
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, 42, response_id=f"r-{name}")], now=NOON)
    return World(organization, team, person, key, customer, tag, budget, _deployment(name), project, bool(beside))


def _deployment(name: str) -> Deployment:
    api = Api()
    answer = api.post("/model/new", {
        "model_name": f"m-{name}",
        "litellm_params": {
            "model": f"openai/house-{name}", "api_key": PROVIDER_SECRET + name, "api_base": "https://llm.example.com/v1",
            "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6,
        },
        "model_info": {"id": f"d-{name}"},
    })  # fmt: skip
    assert answer.status == 200, answer.text
    return Deployment.objects.get(public_id=f"d-{name}")


def _person(name: str, role: str = "internal_user", **fields: Any) -> User:
    return services.create_user(User(username=name, role=role, **fields), actor=MASTER)


def _holder(person: User, *standings: Standing, role: Standing | None = None) -> Cast:
    found = {Standing.KEY, Standing(person.role), *standings}
    return Cast(issue(user=person)[1], frozenset(found), person, role)


def _admin(own: World) -> Cast:
    return _holder(_person("admin", "proxy_admin"))


def _viewer(own: World) -> Cast:
    return _holder(_person("viewer", "proxy_admin_viewer"), role=Standing.VIEWER)


def _org_admin(own: World) -> Cast:
    person = _person("org-admin", organization=own.organization)
    OrganizationMembership.objects.update_or_create(
        organization=own.organization, user=person, defaults={"role": "org_admin"}
    )
    return _holder(person, Standing.ORG_ADMIN)


def _team_admin(own: World) -> Cast:
    person = _person("team-admin", organization=own.organization)
    services.add_member(Membership(team=own.team, user=person, role="admin"), actor=MASTER)
    return _holder(person, Standing.TEAM_ADMIN, Standing.MEMBER)


def _member(own: World) -> Cast:
    person = _person("member", organization=own.organization)
    services.add_member(Membership(team=own.team, user=person), actor=MASTER)
    return _holder(person, Standing.MEMBER)


def _granted_member(own: World) -> Cast:
    own.team.member_permissions = list(MEMBER_ROUTES)
    services.update_limits(own.team, actor=MASTER)
    return _member(own)


def _granted_viewer(own: World) -> Cast:
    """Somebody whom the team grants everything, and whose role only looks."""
    own.team.member_permissions = list(MEMBER_ROUTES)
    services.update_limits(own.team, actor=MASTER)
    person = _person("granted-viewer", "internal_user_viewer", organization=own.organization)
    services.add_member(Membership(team=own.team, user=person), actor=MASTER)
    return _holder(person)


def _internal_user(own: World) -> Cast:
    return _holder(_person("user"))


def _internal_viewer(own: World) -> Cast:
    return _holder(_person("user-viewer", "internal_user_viewer"))


def _plain_key(own: World) -> Cast:
    return Cast(issue(organization=own.organization)[1], frozenset({Standing.KEY}))


def _narrowed(group: str) -> Callable[[World], Cast]:
    def make(own: World) -> Cast:
        cast = _holder(_person("narrow", "proxy_admin"))
        secret = issue(user=cast.person, allowed_routes=[group])[1]
        return Cast(secret, cast.standings, cast.person, None, group)

    return make


EVERYBODY: dict[str, Callable[[World], Cast]] = {
    "admin": _admin, "viewer": _viewer, "org admin": _org_admin, "team admin": _team_admin, "member": _member,
    "granted member": _granted_member, "granted viewer": _granted_viewer, "internal user": _internal_user,
    "internal viewer": _internal_viewer, "key of nobody": _plain_key, "llm-only key": _narrowed("llm_api_routes"),
    "read-only key": _narrowed("info_routes"), "management key": _narrowed("management_routes"),
}  # fmt: skip
#: Who sees everything; what they may not do is judged by the statuses alone.
SEES_ALL = {"admin", "viewer", "llm-only key", "read-only key", "management key"}
