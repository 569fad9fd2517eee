"""Every route, called by everybody, with objects that are not theirs: nobody reads or changes what is another's.

The routes are taken from the router, so a new one is judged here without a word about it.
"""

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from django.db import connection, transaction
from django.urls import URLPattern
from django.utils import timezone

from gateway_project import api as router
from gateway_project import api_auth
from gateway_project.api_access import Access
from proxy import services as models
from teams import services
from teams.actors import MASTER
from teams.models import Membership, Team, User
from teams.reach import caller_of
from tests.api.conftest import Answer, Api
from tests.api.world import EVERYBODY, FOREIGN, PROVIDER_SECRET, SEES_ALL, Cast, World, world

T = TypeVar("T")
ROUTES = [pattern for pattern in router.urlpatterns if "access" in getattr(pattern.callback, "view_initkwargs", {})]
#: Opened without a key: by the token of an invitation, or to the whole world.
WITHOUT_KEY = {"onboarding/get_token", "onboarding/claim_token", "routes"}
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stays of a call, so a key's owner has the same rights at each: read per key, not per route."""
    known = functools.cache(functools.partial(api_auth._virtual_caller, now=timezone.now()))
    monkeypatch.setattr(api_auth, "_virtual_caller", lambda token, now: known(token))


@pytest.fixture
def own(db: None) -> World:
    models.sync_providers()
    return world("ownly", "own")


@pytest.fixture
def foreign(own: World) -> World:
    return world(FOREIGN, "foreign")


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
) -> tuple[Answer, T | None]:
    """One call, of which nothing stays, and what `after` found when it was over; None where no handler wrote."""
    route = str(pattern.pattern)
    if route.startswith(("customer", "end_user")):
        names = {**names, "user_id": names["end_user_id"]}
    if route.startswith("budget"):
        names = {**names, "id": names["budget_id"]}
    path, headers = _path(pattern, names), {"authorization": f"Bearer {cast.secret}"}
    query = {name: value for name, value in names.items() if isinstance(value, str)}
    with transaction.atomic():
        written = connection.connection.total_changes
        if method == "get":
            response = api.client.get(path, query, headers=headers)
        else:
            send = getattr(api.client, method)
            response = send(path, json.dumps(names), content_type="application/json", headers=headers)
        found = None if connection.connection.total_changes == written else after()
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
        wrong += [f"{route}: changed something"] if after not in (None, before) else []
    assert wrong == []


@pytest.mark.parametrize("who", ["team admin", "member", "granted member", "granted viewer"])
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
        if not may and answer.status != cast.refused_with(_access(pattern)):
            wrong.append(f"{route}: {answer.status} for somebody who may not use it")
        if not may or who not in SEES_ALL:
            wrong += [f"{route}: shows {_around(answer.text)}"] if FOREIGN in answer.text else []
            wrong += [f"{route}: changed something"] if after not in (None, before) else []
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
            wrong += [f"{route}: changed something"] if after not in (None, before) else []
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
        if after is not None and after - before:
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
        # To where the slash is left out; whoever follows has no key there either.
        answer = api.get(path + "/")
        wrong += [f"{path}/: {answer.status}"] if answer.status not in (307, 404, 405) else []
        wrong += [f"{path}/"] if answer.status == 307 and answer.headers["Location"] != path else []
        for spelling in (path + ".json", path.upper(), path + "/..;/"):
            status = api.get(spelling).status
            wrong += [f"{spelling}: {status}"] if status not in (404, 405) else []
    assert wrong == []
