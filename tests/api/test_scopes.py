"""Organizations, customers and tags; and the limits that every scope of the chain takes alike."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from keys.grants import ScopePolicy
from keys.loading import load_customer, load_grants, load_tags
from keys.models import VirtualKey
from teams import services
from teams.actors import SYSTEM
from teams.models import AuditEvent, Customer, Membership, Organization, Tag, Team, User
from teams.services import default_organization
from tests.api.conftest import Answer, Api
from tests.api.test_limits import EVERY_LIMIT
from tests.factories import issue

LIMITS = EVERY_LIMIT | {
    "rpm_limit": 5, "tpm_limit": 500, "max_parallel_requests": 3,
    "temp_budget_increase": 7, "temp_budget_expiry": "2126-01-31",
}  # fmt: skip
Make = Callable[[Api, dict[str, Any]], Answer]


def _place(api: Api, limits: dict[str, Any]) -> Answer:
    organization = api.post("/organization/new", {"organization_alias": "north"}).json["organization_id"]
    api.post("/user/new", {"user_id": "m", "auto_create_key": False})
    member = {"user_id": "m", "role": "internal_user"}
    body = {"organization_id": organization, "member": member, **_in_organization(limits)}
    return api.post("/organization/member_add", body)


def _place_update(api: Api, limits: dict[str, Any]) -> Answer:
    organization = _place(api, {}).json["organization_id"]
    body = {"organization_id": organization, "user_id": "m", **_in_organization(limits)}
    return api.patch("/organization/member_update", body)


def _in_organization(limits: dict[str, Any]) -> dict[str, Any]:
    return {"max_budget_in_organization" if name == "max_budget" else name: value for name, value in limits.items()}


def _member(api: Api, limits: dict[str, Any]) -> Answer:
    team = api.post("/team/new", {"team_id": "t"}).json["team_id"]
    return api.post("/team/member_add", {"team_id": team, "member": {"user_id": "m"}, **_in_team(limits)})


def _member_update(api: Api, limits: dict[str, Any]) -> Answer:
    _member(api, {})
    return api.post("/team/member_update", {"team_id": "t", "user_id": "m", **_in_team(limits)})


def _in_team(limits: dict[str, Any]) -> dict[str, Any]:
    return {"max_budget_in_team" if name == "max_budget" else name: value for name, value in limits.items()}


def _after(path: str, first: dict[str, Any], update: str) -> Make:
    def change(api: Api, limits: dict[str, Any]) -> Answer:
        assert api.post(path, first).status == 200
        send = api.patch if update.startswith("/organization") else api.post
        return send(update, first | limits)

    return change


WAYS: dict[str, Make] = {
    "/organization/new": lambda api, limits: api.post("/organization/new", {"organization_alias": "O"} | limits),
    "/organization/update": _after(
        "/organization/new", {"organization_alias": "O", "organization_id": "o"}, "/organization/update"
    ),
    "/team/new": lambda api, limits: api.post("/team/new", limits),
    "/team/update": _after("/team/new", {"team_id": "t"}, "/team/update"),
    "/organization/member_add": _place,
    "/organization/member_update": _place_update,
    "/team/member_add": _member,
    "/team/member_update": _member_update,
    "/user/new": lambda api, limits: api.post("/user/new", limits),
    "/user/update": _after("/user/new", {"user_id": "u"}, "/user/update"),
    "/key/generate": lambda api, limits: api.post("/key/generate", limits),
    "/key/update": lambda api, limits: api.post("/key/update", {"key": api.key()["token"]} | limits),
    "/customer/new": lambda api, limits: api.post("/customer/new", {"user_id": "c"} | limits),
    "/end_user/update": _after("/end_user/new", {"user_id": "c"}, "/end_user/update"),
    "/tag/new": lambda api, limits: api.post("/tag/new", {"name": "g"} | limits),
    "/tag/update": _after("/tag/new", {"name": "g"}, "/tag/update"),
}


def _policy_of(way: str) -> ScopePolicy:
    """The scope's policy as the gateway reads it."""
    default = default_organization()
    kind = way.split("/")[1]
    if kind in ("customer", "end_user"):
        policy = load_customer(default.pk, "c")
        assert policy is not None
        return policy
    if kind == "tag":
        return load_tags(default.pk, ["g"])["g"]
    if kind == "organization":
        owner = User.objects.get(public_id="m") if "member" in way else None
        organization = Organization.objects.exclude(pk=default.pk).get()
        team = services.create_team(Team(organization=organization), actor=SYSTEM) if owner else None
        key, _ = issue(organization=organization, team=team, user=owner)
    elif kind == "team":
        member = Membership.objects.get(user__public_id="m") if "member" in way else None
        key, _ = issue(team=Team.objects.get(), user=member.user if member else None)
    else:
        key = VirtualKey.objects.get() if way.startswith("/key") else issue(user=User.objects.get())[0]
    place = {"organization": 1 if "member" in way else 0, "team": 2 if "member" in way else 1, "user": 1, "key": -1}[
        kind
    ]
    return load_grants([key.token])[key.token].chain[place]


@pytest.mark.parametrize("way", WAYS)
def test_every_scope_takes_every_limit_and_the_gateway_reads_it(api: Api, way: str) -> None:
    answer = WAYS[way](api, LIMITS)
    assert answer.status == 200, answer.text
    policy = _policy_of(way)
    assert [(b.model, b.duration, b.limit_nano, b.soft_nano) for b in policy.budgets] == [
        ("", "30d", 100 * 10**9, 80 * 10**9),
        ("", "1d", 10 * 10**9, None),
        ("", "rolling 1h", 1_500_000_000, None),
        ("gpt-4o", "1d", 250_000_000, None),
        ("openai/*", "7d", 5 * 10**9, None),
    ]
    assert policy.budgets[0].raise_nano == 7 * 10**9
    assert [(rate.model, rate.rpm_limit, rate.tpm_limit) for rate in policy.model_rates] == [
        ("gpt-4o", 60, 1000), ("openai/*", 3, None),
    ]  # fmt: skip
    assert (policy.rpm_limit, policy.tpm_limit, policy.parallel_limit) == (5, 500, 3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("bad", "status"),
    [({"soft_budget": -1}, 400), ({"budget_limits": [{"max_budget": 1}]}, 422), ({"budget_id": "none"}, 400)],
)
def test_a_bad_limit_is_refused_on_every_scope_and_changes_nothing(
    api: Api, way: str, bad: dict[str, Any], status: int
) -> None:
    answer = WAYS[way](api, bad)
    assert answer.status == status
    assert next(iter(bad)) in answer.text
    assert not AuditEvent.objects.filter(action__endswith=".updated").exists()


@pytest.mark.parametrize("way", WAYS)
def test_only_a_team_has_its_soft_budget_below_the_hard_one(api: Api, way: str) -> None:
    """As in LiteLLM, whose clients write the other scopes as they like; projects are like teams."""
    answer = WAYS[way](api, {"max_budget": 5, "soft_budget": 5})
    assert answer.status == (400 if way in ("/team/new", "/team/update") else 200), answer.text


def test_an_organization_is_made_changed_and_shown(api: Api) -> None:
    body = {"organization_alias": "North", "organization_id": "north", "max_budget": 9, "timezone": "Europe/Oslo"}
    made = api.post("/organization/new", body).json
    assert (made["organization_id"], made["litellm_budget_table"]["max_budget"]) == ("north", 9)
    api.post("/team/new", {"team_id": "ice", "organization_id": "north", "max_budget": 4})
    api.post("/user/new", {"user_id": "nils", "organization_id": "north"})
    changed = api.patch("/organization/update", {"organization_id": "north", "max_budget": None, "rpm_limit": 3}).json
    assert (changed["max_budget"], changed["rpm_limit"], changed["timezone"]) == (None, 3, "Europe/Oslo")
    info = api.get("/organization/info", {"organization_id": "north"}).json
    assert [team["team_id"] for team in info["teams"]] == ["ice"]
    assert [member["user_id"] for member in info["members"]] == ["nils"]
    assert api.post("/organization/info", {"organizations": ["north"]}).json == [info]
    assert api.get("/organization/list", {"org_alias": "nor"}).json == [info]
    assert len(api.get("/organization/list").json) == 2


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("post", "/organization/new", {}, 422, "organization_alias"),
        ("post", "/organization/new", {"organization_alias": "x", "organization_id": "default"}, 400, "exists"),
        ("post", "/organization/new", {"organization_alias": "x", "timezone": "Mars"}, 400, "timezone"),
        ("patch", "/organization/update", {"organization_id": "no"}, 404, "no"),
        ("patch", "/organization/update", {}, 422, "organization_id"),
        ("post", "/organization/info", {"organizations": ["no"]}, 404, "no"),
        ("post", "/tag/new", {}, 422, "name"),
        ("post", "/tag/update", {"name": "no"}, 404, "no"),
        ("post", "/tag/info", {"names": ["no"]}, 404, "no"),
        ("post", "/tag/info", {"names": "no"}, 422, "names"),
        ("post", "/tag/delete", {"name": "no"}, 404, "no"),
    ],
)
def test_refusals_of_organizations_and_tags_are_details(
    api: Api, method: str, path: str, body: dict[str, Any], status: int, said: str
) -> None:
    answer = getattr(api, method)(path, body)
    assert answer.status == status
    assert said in answer.told


def test_a_customer_is_made_changed_shown_and_blocked(api: Api) -> None:
    made = api.post("/customer/new", {"user_id": "acme", "alias": "Acme", "max_budget": 2.5, "blocked": False}).json
    assert (made["user_id"], made["alias"], made["max_budget"], made["spend"]) == ("acme", "Acme", Decimal("2.5"), 0)
    assert api.post("/end_user/new", {"user_id": "acme"}).error["param"] == "user_id"
    assert api.post("/customer/update", {"user_id": "acme", "max_budget": 3}).json["alias"] == "Acme"
    assert api.get("/end_user/info", {"end_user_id": "acme"}).json["max_budget"] == 3
    blocked = api.post("/customer/block", {"user_ids": ["acme", "unseen"]}).json["blocked_users"]
    assert [(row["user_id"], row["blocked"]) for row in blocked] == [("acme", True), ("unseen", True)]
    policy = load_customer(default_organization().pk, "unseen")
    assert policy is not None
    assert policy.blocked
    open_again = api.post("/end_user/unblock", {"user_ids": ["acme"]}).json["unblocked_users"]
    assert [row["blocked"] for row in open_again] == [False]


def test_an_unknown_customer_is_404(api: Api) -> None:
    for answer in (
        api.get("/customer/info", {"end_user_id": "no"}),
        api.post("/customer/update", {"user_id": "no"}),
        api.post("/customer/unblock", {"user_ids": ["no"]}),
    ):
        assert (answer.status, answer.error["type"]) == (404, "not_found_error")
    assert not Customer.objects.exists()


def test_a_customer_of_another_organization_is_found_there(api: Api) -> None:
    api.post("/organization/new", {"organization_id": "north", "organization_alias": "North"})
    api.post("/customer/new", {"user_id": "acme", "organization_id": "north", "max_budget": 1})
    api.post("/customer/new", {"user_id": "acme", "max_budget": 2})
    assert api.get("/customer/info", {"end_user_id": "acme"}).json["max_budget"] == 2
    found = api.get("/customer/info", {"end_user_id": "acme", "organization_id": "north"}).json
    assert (found["max_budget"], found["organization_id"]) == (1, "north")


def test_a_tag_is_made_changed_shown_listed_and_deleted(api: Api) -> None:
    made = api.post("/tag/new", {"name": "apollo", "description": "To the moon", "max_budget": 5}).json
    assert (made["message"], made["tag"]["max_budget"]) == ("Tag apollo created successfully", 5)
    assert api.post("/tag/new", {"name": "apollo"}).json["detail"]["error"].endswith("already exists")
    changed = api.post("/tag/update", {"name": "apollo", "rpm_limit": 2}).json["tag"]
    assert (changed["description"], changed["rpm_limit"], changed["max_budget"]) == ("To the moon", 2, 5)
    load_tags(default_organization().pk, ["seen-in-a-call"])
    assert {tag["name"] for tag in api.get("/tag/list").json} == {"apollo", "seen-in-a-call"}
    assert api.post("/tag/info", {"names": ["apollo", "no"]}).json.keys() == {"apollo"}
    assert api.post("/tag/delete", {"name": "apollo"}).json["message"] == "Tag apollo deleted successfully"
    assert not Tag.objects.filter(name="apollo").exists()
    assert AuditEvent.objects.filter(action="tag.deleted").count() == 1


def test_only_the_platform_admin_calls_them(api: Api) -> None:
    secret = api.key()["key"]
    for path in (
        "/organization/new", "/customer/new", "/tag/new", "/tag/delete", "/team/update", "/user/update",
        "/team/member_add", "/team/member_update", "/team/member_delete", "/customer/block", "/budget/new",
    ):  # fmt: skip
        assert api.post(path, {}, bearer=secret).status == 401, path
