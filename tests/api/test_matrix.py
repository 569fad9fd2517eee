"""Every route, called by everybody, with objects that are not theirs: nobody reads or changes what is another's.

The routes are taken from the router, so a new one is judged here without a word about it.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from django.db import transaction
from django.urls import URLPattern

from gateway_project import api as router
from gateway_project.api_access import Access
from keys.models import VirtualKey
from proxy import services as models
from proxy.models import Credential, Deployment
from spend import services as ledger
from teams import services
from teams.actors import MASTER
from teams.callers import Standing
from teams.models import (
    Customer,
    Membership,
    Organization,
    OrganizationMembership,
    SharedBudget,
    Tag,
    Team,
    User,
)
from teams.reach import caller_of
from tests.api.conftest import Answer, Api
from tests.factories import NOON, intent_for, issue, posting_of

T = TypeVar("T")
#: In everything that only those may read who may see the object; never in what a request names.
FOREIGN = "zorblax"
PROVIDER_SECRET = "sk-provider-Qm4vT8yLw2"
ROUTES = [pattern for pattern in router.urlpatterns if "access" in getattr(pattern.callback, "view_initkwargs", {})]
#: Opened without a key: by the token of an invitation, or to the whole world.
WITHOUT_KEY = {"onboarding/get_token", "onboarding/claim_token", "routes"}
METHODS = ("get", "post", "put", "patch", "delete")


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
    shares: bool = False
    """Whether the organization is that of another world too."""

    def names(self) -> dict[str, Any]:
        """Every parameter by which an endpoint may be told an object."""
        one = {
            "key": self.key.token, "token": self.key.token, "api_key": self.key.token, "key_hash": self.key.token,
            "user_id": self.person.public_id, "team_id": self.team.public_id, "id": self.deployment.public_id,
            "organization_id": self.organization.public_id, "org_id": self.organization.public_id,
            "end_user_id": self.customer.public_id, "budget_id": self.budget.public_id, "name": self.tag.name,
            "model_id": self.deployment.public_id, "litellm_model_id": self.deployment.public_id,
            "start_date": "2026-03-01", "end_date": "2026-03-31", "request_id": f"r-{self.person.username}",
        }  # fmt: skip
        many = {
            "keys": [self.key.token], "user_ids": [self.person.public_id, self.customer.public_id],
            "team_ids": [self.team.public_id], "organization_ids": [self.organization.public_id],
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


def world(mark: str, name: str, beside: World | None = None) -> World:
    fresh = Organization(name=f"{mark}-org", metadata={"m": mark})
    organization = beside.organization if beside else services.create_organization(fresh, actor=MASTER)
    team = services.create_team(
        Team(name=f"{mark}-team", organization=organization, metadata={"m": mark}), actor=MASTER
    )
    person = User(username=name, alias=f"{mark}-person", organization=organization, metadata={"m": mark})
    person = services.create_user(person, actor=MASTER)
    services.add_member(Membership(team=team, user=person), actor=MASTER)
    key, _ = issue(alias=f"{mark}-key", team=team, user=person, metadata={"m": mark})
    customer = services.create_customer(
        Customer(public_id=f"c-{name}", alias=f"{mark}-customer", organization=organization), actor=MASTER
    )
    tag = services.create_tag(Tag(name=f"t-{name}", description=f"{mark}-tag", organization=organization), actor=MASTER)
    budget = services.create_budget(SharedBudget(public_id=f"b-{name}"), actor=MASTER)
    intent = intent_for(key, request_id=f"{mark}-request", model=f"{mark}-model")
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, 42, response_id=f"r-{name}")], now=NOON)
    return World(organization, team, person, key, customer, tag, budget, _deployment(name), bool(beside))


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


@pytest.fixture
def own(db: None) -> World:
    models.sync_providers()
    return world("ownly", "own")


@pytest.fixture
def foreign(own: World) -> World:
    return world(FOREIGN, "foreign")


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
    own.team.member_permissions = [
        "/key/generate", "/key/update", "/key/delete", "/key/regenerate", "/key/list", "/key/block", "/key/unblock",
    ]  # fmt: skip
    services.update_limits(own.team, actor=MASTER)
    return _member(own)


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
    "granted member": _granted_member, "internal user": _internal_user, "internal viewer": _internal_viewer,
    "key of nobody": _plain_key, "llm-only key": _narrowed("llm_api_routes"), "read-only key": _narrowed("info_routes"),
    "management key": _narrowed("management_routes"),
}  # fmt: skip
#: Who sees everything; what they may not do is judged by the statuses alone.
SEES_ALL = {"admin", "viewer", "llm-only key", "read-only key", "management key"}


def _calls() -> Iterator[tuple[URLPattern, str]]:
    for pattern in ROUTES:
        for method in METHODS:
            if hasattr(pattern.callback.view_class, method):  # type: ignore[attr-defined]
                yield pattern, method


def _path(pattern: URLPattern, names: dict[str, Any]) -> str:
    """The route's path with its parameters filled in, by the kind of object that they name."""
    route = str(pattern.pattern)
    is_customer = route.startswith(("customer", "end_user"))
    found = route
    for name in pattern.pattern.converters:
        value = names.get(name) or names["key" if "key" in route else "team_id" if "team" in route else "id"]
        if name == "user_id" and is_customer:
            value = names["end_user_id"]
        start, end = found.index("<"), found.index(">")
        found = found[:start] + str(value) + found[end + 1 :]
    return "/" + found


def _send(
    api: Api, cast: Cast, pattern: URLPattern, method: str, names: dict[str, Any], after: Callable[[], T]
) -> tuple[Answer, T]:
    """One call, of which nothing stays, and what `after` found when it was over."""
    route = str(pattern.pattern)
    if route.startswith(("customer", "end_user")):
        names = {**names, "user_id": names["end_user_id"]}
    if route.startswith("budget"):
        names = {**names, "id": names["budget_id"]}
    path, headers = _path(pattern, names), {"authorization": f"Bearer {cast.secret}"}
    query = {name: value for name, value in names.items() if isinstance(value, str)}
    with transaction.atomic():
        if method == "get":
            response = api.client.get(path, query, headers=headers)
        else:
            send = getattr(api.client, method)
            response = send(path, json.dumps(names), content_type="application/json", headers=headers)
        found = after()
        transaction.set_rollback(True)
    return Api._answer(response), found


def _is_broken(answer: Answer) -> bool:
    """Our own fault. Deployments that do not answer are none: 503 is what the health check says about them."""
    return answer.status >= 500 and "unhealthy_endpoints" not in answer.text


def _access(pattern: URLPattern) -> Access:
    access: Access = pattern.callback.view_initkwargs["access"]  # type: ignore[attr-defined]
    return access


@pytest.mark.parametrize("who", [name for name in EVERYBODY if name not in {*SEES_ALL, "org admin"}])
def test_nobody_reads_or_changes_what_is_of_another_team_or_person_of_the_organization(
    api: Api, own: World, who: str
) -> None:
    sibling = world(FOREIGN, "sibling", own)
    cast, before, wrong = EVERYBODY[who](own), sibling.rows(), []
    for pattern, method in _calls():
        answer, after = _send(api, cast, pattern, method, sibling.names(), sibling.rows)
        route = f"{method} {pattern.pattern}"
        wrong += [f"{route}: {answer.status} {answer.text[:200]}"] if _is_broken(answer) else []
        wrong += [f"{route}: shows {_around(answer.text)}"] if FOREIGN in answer.text else []
        wrong += [f"{route}: changed something"] if after != before else []
    assert wrong == []


@pytest.mark.parametrize("who", ["team admin", "member", "granted member"])
def test_who_shares_one_team_with_a_person_learns_nothing_of_that_persons_other_teams(
    api: Api, own: World, who: str
) -> None:
    sibling, wrong = world(FOREIGN, "sibling", own), []
    services.add_member(Membership(team=own.team, user=sibling.person), actor=MASTER)
    cast = EVERYBODY[who](own)
    for names in (sibling.names(), {**own.names(), "user_id": sibling.person.public_id}):
        for pattern, method in _calls():
            answer, _ = _send(api, cast, pattern, method, names, str)
            for secret in ("key", "team", "model", "request", "customer", "tag"):
                if f"{FOREIGN}-{secret}" in answer.text:
                    wrong.append(f"{method} {pattern.pattern}: shows {_around(answer.text, f'{FOREIGN}-{secret}')}")
    assert wrong == []


def _around(text: str, mark: str = FOREIGN) -> str:
    at = text.index(mark)
    return text[max(0, at - 200) : at + 50]


@pytest.mark.parametrize("who", EVERYBODY)
def test_nobody_reads_or_changes_what_is_anothers(api: Api, own: World, foreign: World, who: str) -> None:
    cast, before, wrong = EVERYBODY[who](own), foreign.rows(), []
    for pattern, method in _calls():
        route = f"{method} {pattern.pattern}"
        answer, after = _send(api, cast, pattern, method, foreign.names(), foreign.rows)
        may = cast.may(_access(pattern), method) or str(pattern.pattern) in WITHOUT_KEY
        if _is_broken(answer):
            wrong.append(f"{route}: {answer.status} {answer.text[:200]}")
        if not may and answer.status not in (401, 403):
            wrong.append(f"{route}: {answer.status} for somebody who may not use it")
        if not may or who not in SEES_ALL:
            wrong += [f"{route}: shows {_around(answer.text)}"] if FOREIGN in answer.text else []
            wrong += [f"{route}: changed something"] if after != before else []
        if PROVIDER_SECRET in answer.text or cast.secret in answer.text:
            wrong.append(f"{route}: shows a secret")
    assert wrong == []


@pytest.mark.parametrize("who", [name for name in EVERYBODY if name not in SEES_ALL])
def test_objects_of_ones_own_are_no_way_to_those_of_others(api: Api, own: World, foreign: World, who: str) -> None:
    """A team of one's own beside a person or a key of others, and the other way round."""
    cast, before, wrong = EVERYBODY[who](own), foreign.rows(), []
    mine, theirs = own.names(), foreign.names()
    people = {name for name in theirs if "user" in name or "member" in name or name in ("key", "keys", "token")}
    for mixed in (
        {name: (theirs if name in people else mine)[name] for name in mine},
        {name: (mine if name in people else theirs)[name] for name in mine},
    ):
        for pattern, method in _calls():
            answer, after = _send(api, cast, pattern, method, mixed, foreign.rows)
            route = f"{method} {pattern.pattern}"
            wrong += [f"{route}: {answer.status} {answer.text[:200]}"] if _is_broken(answer) else []
            wrong += [f"{route}: shows {_around(answer.text)}"] if FOREIGN in answer.text else []
            wrong += [f"{route}: changed something"] if after != before else []
    assert wrong == []


@pytest.mark.parametrize("who", [name for name in EVERYBODY if name not in SEES_ALL])
def test_nobody_gives_rights_to_oneself(api: Api, own: World, who: str) -> None:
    cast, wrong = EVERYBODY[who](own), []
    me = cast.person
    grab = {
        "user_role": "proxy_admin", "role": "org_admin", "max_budget": 1000, "is_active": True, "superuser": True,
        "organization_role": "org_admin", "team_member_permissions": ["/key/generate"], "all_users": True,
        "user_updates": {"user_role": "proxy_admin"}, "tpm_limit": None, "models": [],
    }  # fmt: skip

    def rights() -> set[str]:
        if me is None:
            return set()
        person = User.objects.get(pk=me.pk)
        known = caller_of(person)
        money = {f"money {person.max_budget_nano}"} if person.max_budget_nano is not None else set()
        roles = {person.role, f"super {person.is_superuser}", f"staff {person.is_staff}", *money}
        # Who administers an organization may lead its teams.
        led = known.leads - set(Team.objects.filter(organization__in=known.organizations).values_list("pk", flat=True))
        return roles | {f"org {pk}" for pk in known.organizations} | {f"team {pk}" for pk in led}

    before, mine = rights(), own.names()
    if me is not None:
        member = {"user_id": me.public_id, "role": "admin"}
        mine |= {"user_id": me.public_id, "user_ids": [me.public_id], "member": member, "members": [member]}
        mine["users"] = [{"user_id": me.public_id, "user_role": "proxy_admin"}]
    for pattern, method in _calls():
        answer, after = _send(api, cast, pattern, method, {**mine, **grab}, rights)
        if _is_broken(answer):
            wrong.append(f"{method} {pattern.pattern}: {answer.status} {answer.text[:200]}")
        if after - before:
            wrong.append(f"{method} {pattern.pattern}: gained {after - before}")
    assert wrong == []


def test_without_a_key_and_in_other_spellings_no_route_answers(api: Api, own: World) -> None:
    wrong = []
    for pattern in ROUTES:
        if str(pattern.pattern) in WITHOUT_KEY:
            continue
        path = _path(pattern, own.names())
        for method in (*METHODS, "head", "options"):
            status = getattr(api.client, method)(path).status_code
            wrong += [f"{method} {path}: {status}"] if status != 401 else []
        for spelling in (path + "/", path + ".json", path.upper(), path + "/..;/"):
            status = api.get(spelling).status
            wrong += [f"{spelling}: {status}"] if status not in (404, 405) else []
    assert wrong == []
