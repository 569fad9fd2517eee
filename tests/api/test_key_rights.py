"""/key/...: nobody reaches past their rights, neither to other people's keys nor to wider limits."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from keys.key_rules import read_key_rules
from keys.models import VirtualKey
from keys.secrets import token_of
from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, Organization, OrganizationMembership, SharedBudget, Team, User
from tests.api.conftest import Api
from tests.factories import issue

INTERNAL = (
    "id", "seal", "token", "masked", "public_id", "created_by", "updated_by", "deleted_at", "deleted_by", "version",
    "organization", "created_at", "updated_at", "budget_started_at", "expiry_noted_at", "service_account",
    "rotate_at", "rotated_at", "rotation_count", "sponsor",
)  # fmt: skip


def bearer_of(person: User, **fields: Any) -> str:
    return issue(user=person, **fields)[1]


def join(team: Team, person: User, **fields: Any) -> Membership:
    return services.add_member(Membership(team=team, user=person, **fields), actor=SYSTEM)


def grant(team: Team, *routes: str) -> None:
    team.member_permissions = list(routes)
    services.update_limits(team, actor=SYSTEM)


@pytest.fixture
def org_admin(organization: Organization) -> User:
    user = services.create_user(User(username="olga", email="olga@example.com"), actor=SYSTEM)
    role = OrganizationMembership.Role.ADMIN
    OrganizationMembership.objects.create(organization=organization, user=user, role=role)
    return user


# --- making keys --------------------------------------------------------------------------------


def test_a_person_makes_keys_for_oneself(api: Api, linus: User) -> None:
    made = api.post("/key/generate", {"key_alias": "mine"}, bearer=bearer_of(linus))
    assert (made.status, made.json["user_id"]) == (200, linus.public_id)


@pytest.mark.parametrize("user_id", ["grace", "someone-new"])
def test_a_person_makes_no_keys_for_others(api: Api, linus: User, grace: User, user_id: str) -> None:
    named = grace.public_id if user_id == "grace" else user_id
    answer = api.post("/key/generate", {"user_id": named}, bearer=bearer_of(linus))
    assert (answer.status, answer.error["param"]) == (403, "user_id")
    assert not User.objects.filter(public_id="someone-new").exists()


def test_a_key_for_a_foreign_team_is_refused(api: Api, linus: User, search: Team) -> None:
    answer = api.post("/key/generate", {"team_id": search.public_id}, bearer=bearer_of(linus))
    assert (answer.status, answer.error["type"]) == (401, "team_member_permission_error")


def test_a_member_makes_team_keys_only_if_the_team_grants_it(api: Api, linus: User, search: Team) -> None:
    join(search, linus)
    bearer = bearer_of(linus)
    assert api.post("/key/generate", {"team_id": search.public_id}, bearer=bearer).status == 401
    grant(search, "/key/generate")
    made = api.post("/key/generate", {"team_id": search.public_id}, bearer=bearer)
    assert (made.status, made.json["user_id"]) == (200, linus.public_id)


def test_a_team_admin_makes_keys_for_members_and_for_nobody_else(
    api: Api, grace: User, linus: User, search: Team
) -> None:
    bearer, body = bearer_of(grace), {"team_id": search.public_id, "user_id": linus.public_id}
    assert api.post("/key/generate", body, bearer=bearer).error["param"] == "user_id"
    join(search, linus)
    assert api.post("/key/generate", body, bearer=bearer).json["user_id"] == linus.public_id


def test_an_organization_admin_makes_keys_in_the_organization_alone(
    api: Api, org_admin: User, organization: Organization, search: Team
) -> None:
    other = services.create_organization(Organization(name="Other"), actor=SYSTEM)
    bearer = bearer_of(org_admin)
    assert api.post("/key/generate", {"team_id": search.public_id}, bearer=bearer).status == 200
    assert api.post("/key/generate", {"organization_id": organization.public_id}, bearer=bearer).status == 200
    answer = api.post("/key/generate", {"organization_id": other.public_id}, bearer=bearer)
    assert (answer.status, answer.error["param"]) == (403, "organization_id")


def test_an_organization_admin_makes_no_keys_for_people_of_another(
    api: Api, org_admin: User, organization: Organization, linus: User
) -> None:
    other = services.create_organization(Organization(name="Other"), actor=SYSTEM)
    stranger = services.create_user(User(username="sam", organization=other), actor=SYSTEM)
    bearer = bearer_of(org_admin)
    answer = api.post("/key/generate", {"user_id": stranger.public_id}, bearer=bearer)
    assert (answer.status, answer.error["param"]) == (403, "user_id")
    assert api.post("/key/generate", {"user_id": linus.public_id}, bearer=bearer).status == 200
    mine = issue(user=org_admin)[0]
    moved = api.post("/key/update", {"key": mine.token, "user_id": stranger.public_id}, bearer=bearer)
    assert moved.status == 403


def test_a_service_account_makes_keys_of_its_team_alone(api: Api, search: Team, organization: Organization) -> None:
    other = services.create_team(Team(name="other"), actor=SYSTEM)
    _, bearer = issue(team=search, service_account="robot")
    assert api.post("/key/generate", {}, bearer=bearer).json["team_id"] == search.public_id
    assert api.post("/key/generate", {"team_id": other.public_id}, bearer=bearer).status == 401


@pytest.mark.parametrize(
    "body",
    [
        {"allowed_routes": ["/chat/completions"]}, {"allowed_passthrough_routes": ["/x"]},
        {"permissions": {"get_spend_routes": True}}, {"throttle_on_budget_exceeded": True},
        {"end_user_budget_id": "b"}, {"disable_global_guardrails": True}, {"key_type": "management"},
        {"default_estimated_output_tokens": 5}, {"spend": 3}, {"metadata": {"disable_global_guardrails": True}},
    ],
)  # fmt: skip
def test_fields_of_admins_are_403_for_others(api: Api, linus: User, body: dict[str, Any]) -> None:
    bearer, field = bearer_of(linus), next(iter(body))
    answer = api.post("/key/generate", body, bearer=bearer)
    assert answer.status == 403
    assert answer.error["param"] in (field, "disable_global_guardrails")
    assert api.post("/key/update", {"key": bearer, **body}, bearer=bearer).status == 403


def test_the_first_key_of_a_new_person_is_no_way_around(api: Api, org_admin: User, organization: Organization) -> None:
    body = {"organizations": [organization.public_id], "user_role": "internal_user"}
    answer = api.post("/user/new", {**body, "allowed_routes": ["/x"]}, bearer=bearer_of(org_admin))
    assert (answer.status, answer.error["param"]) == (403, "allowed_routes")
    limited = bearer_of(org_admin, rpm_limit=3)
    made = api.post("/user/new", body, bearer=limited)
    assert made.status == 200, made.text
    assert VirtualKey.objects.get(token=token_of(made.json["key"])).rpm_limit == 3


# --- never more than the minter has ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("has", "asks", "field"),
    [
        ({"max_budget_nano": 10**9}, {"max_budget": 1.1}, "max_budget"),
        ({"max_budget_nano": 10**9}, {"soft_budget": 2}, "soft_budget"),
        ({"rpm_limit": 5}, {"rpm_limit": 6}, "rpm_limit"),
        ({"tpm_limit": 5}, {"tpm_limit": 6}, "tpm_limit"),
        ({"max_parallel_requests": 5}, {"max_parallel_requests": 6}, "max_parallel_requests"),
        ({"allowed_models": ["openai/*"]}, {"models": ["anthropic/claude"]}, "models"),
        ({"allowed_models": ["a"]}, {"models": ["all-proxy-models"]}, "models"),
    ],
)  # fmt: skip
def test_a_key_never_exceeds_its_owner(
    api: Api, linus: User, has: dict[str, Any], asks: dict[str, Any], field: str
) -> None:
    bearer = bearer_of(linus)
    for name, value in has.items():
        setattr(linus, name, value)
    services.update_limits(linus, actor=SYSTEM)
    answer = api.post("/key/generate", asks, bearer=bearer)
    assert (answer.status, answer.error["param"]) == (400, field)


@pytest.mark.parametrize(
    ("has", "asks", "field"),
    [
        ({"max_budget_nano": 10**9}, {"max_budget": 2}, "max_budget"),
        ({"max_budget_nano": 10**9}, {"max_budget": 1, "budget_duration": "1d"}, "budget_duration"),
        ({"rpm_limit": 5}, {"rpm_limit": 6}, "rpm_limit"),
        ({"allowed_models": ["a"]}, {"models": ["b"]}, "models"),
        ({"budget_limits": [{"duration": "1d", "max_nano": 5}]},
         {"budget_limits": [{"budget_duration": "1h", "max_budget": 1}]}, "budget_limits"),
        ({"model_limits": {"a": {"max_nano": 5}}}, {"model_max_budget": {"a": {"budget_limit": 9}}},
         "model_max_budget"),
    ],
)  # fmt: skip
def test_a_key_never_exceeds_the_key_that_makes_it(
    api: Api, linus: User, has: dict[str, Any], asks: dict[str, Any], field: str
) -> None:
    answer = api.post("/key/generate", asks, bearer=bearer_of(linus, **has))
    assert (answer.status, answer.error["param"]) == (400, field)


def test_a_key_passes_its_limits_on(api: Api, linus: User) -> None:
    ends = timezone.now() + timedelta(days=1)
    bearer = bearer_of(
        linus, max_budget_nano=10**9, budget_duration="30d", rpm_limit=5, allowed_models=["a"], expires_at=ends,
        model_limits={"a": {"rpm": 2}}, budget_limits=[{"duration": "1d", "max_nano": 5}],
    )  # fmt: skip
    made = api.post("/key/generate", {}, bearer=bearer).json
    row = VirtualKey.objects.get(token=made["token"])
    assert (row.max_budget_nano, row.budget_duration, row.rpm_limit, row.allowed_models) == (10**9, "30d", 5, ["a"])
    assert (row.expires_at, row.model_limits) == (ends, {"a": {"rpm": 2}})
    late = api.post("/key/generate", {"duration": "2d"}, bearer=bearer)
    assert (late.status, late.error["param"]) == (400, "expires")


def test_a_key_lifts_no_limit_of_its_own(api: Api, linus: User) -> None:
    bearer = bearer_of(linus, rpm_limit=5, allowed_models=["a"], expires_at=timezone.now() + timedelta(days=1))
    for body, field in (
        ({"rpm_limit": None}, "rpm_limit"), ({"rpm_limit": 6}, "rpm_limit"), ({"models": []}, "models"),
        ({"models": ["a", "b"]}, "models"), ({"duration": "-1"}, "expires"),
    ):  # fmt: skip
        answer = api.post("/key/update", {"key": bearer, **body}, bearer=bearer)
        assert (answer.status, answer.error["param"]) == (400, field)
    assert api.post("/key/update", {"key": bearer, "rpm_limit": 4}, bearer=bearer).json["rpm_limit"] == 4


def test_a_narrowed_key_makes_no_wider_one(api: Api, linus: User) -> None:
    wide, bearer = bearer_of(linus), bearer_of(linus, allowed_routes=["management_routes"])
    made = api.post("/key/generate", {}, bearer=bearer).json
    assert made["allowed_routes"] == ["management_routes"]
    assert api.post("/key/generate", {"key_type": "llm_api"}, bearer=bearer).status == 403
    assert api.post(f"/key/{token_of(wide)}/regenerate", {}, bearer=bearer).status == 403
    assert api.post("/key/update", {"key": bearer, "key_type": "default"}, bearer=bearer).status == 403


def test_a_limited_key_does_not_get_at_the_secret_of_a_wider_one(api: Api, linus: User) -> None:
    wide, bearer = bearer_of(linus), bearer_of(linus, max_budget_nano=5)
    assert api.post(f"/key/{token_of(wide)}/regenerate", {}, bearer=bearer).status == 400
    assert api.post(f"/key/{token_of(bearer)}/regenerate", {}, bearer=bearer).status == 200


# --- changing keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"max_budget": 2}, "max_budget"), ({"max_budget": None}, "max_budget"),
        ({"budget_duration": "1h"}, "budget_duration"), ({"temp_budget_increase": 5}, "temp_budget_increase"),
        ({"metadata": {"temp_budget_increase": 5, "temp_budget_expiry": "2126-01-01"}}, "temp_budget_increase"),
        ({"budget_id": "free-for-all"}, "budget_id"), ({"blocked": False}, "blocked"),
    ],
)  # fmt: skip
def test_an_owner_does_not_raise_the_budget_of_an_own_key(
    api: Api, linus: User, change: dict[str, Any], field: str
) -> None:
    budget = services.create_budget(SharedBudget(public_id="free-for-all"), actor=SYSTEM)
    issue(user=linus, shared_budget=budget)
    key, _ = issue(user=linus, max_budget_nano=10**9, budget_duration="30d", blocked=field == "blocked")
    body = {"key": key.token, "temp_budget_expiry": "2126-01-01", **change}
    body = body if field == "temp_budget_increase" else {"key": key.token, **change}
    answer = api.post("/key/update", body, bearer=bearer_of(linus))
    assert (answer.status, answer.error["param"]) == (403, field)
    key.refresh_from_db()
    assert (key.max_budget_nano, key.raise_nano, key.shared_budget_id) == (10**9, 0, None)


@pytest.mark.parametrize(
    ("policy", "amount", "status"),
    [("disabled", 1, 403), ("lower_only", 1, 200), ("lower_only", 3, 403), ("ceiling", 3, 200), ("ceiling", 9, 400)],
)
def test_the_policy_says_how_owners_change_budgets(
    api: Api, linus: User, settings: Any, policy: str, amount: int, status: int
) -> None:
    settings.KEY_RULES = read_key_rules({"self_serve_budget_policy": policy}, {})
    linus.max_budget_nano = 5 * 10**9
    services.update_limits(linus, actor=SYSTEM)
    key, bearer = issue(user=linus, max_budget_nano=2 * 10**9)[0], bearer_of(linus)
    answer = api.post("/key/update", {"key": key.token, "max_budget": amount}, bearer=bearer)
    assert answer.status == status


def test_a_team_admin_changes_budgets_within_the_team(api: Api, grace: User, search: Team) -> None:
    search.max_budget_nano = 10 * 10**9
    services.update_limits(search, actor=SYSTEM)
    key, bearer = issue(team=search, max_budget_nano=10**9)[0], bearer_of(grace)
    assert api.post("/key/update", {"key": key.token, "max_budget": 10}, bearer=bearer).status == 200
    answer = api.post("/key/update", {"key": key.token, "max_budget": 11}, bearer=bearer)
    assert (answer.status, answer.error["param"]) == (400, "max_budget")


FOREIGN = [
    ("/key/update", lambda token: {"key": token, "key_alias": token[:8]}),
    ("/key/delete", lambda token: {"keys": [token]}),
    ("/key/block", lambda token: {"key": token}),
    ("/key/unblock", lambda token: {"key": token}),
    ("/key/regenerate", lambda token: {"key": token}),
]


@pytest.mark.parametrize(("route", "body"), FOREIGN)
def test_a_foreign_key_is_403_and_an_unknown_one_404(api: Api, linus: User, grace: User, route: str, body: Any) -> None:
    foreign, bearer = issue(user=grace)[0], bearer_of(linus)
    assert api.post(route, body(foreign.token), bearer=bearer).status == 403
    assert api.post(route, body("0" * 64), bearer=bearer).status == 404
    foreign.refresh_from_db()
    assert (foreign.status(), foreign.alias) == ("active", None)


@pytest.mark.parametrize(("route", "body"), FOREIGN)
def test_members_get_at_the_teams_keys_only_by_what_the_team_grants(
    api: Api, linus: User, search: Team, route: str, body: Any
) -> None:
    join(search, linus)
    key, bearer = issue(team=search)[0], bearer_of(linus)
    answer = api.post(route, body(key.token), bearer=bearer)
    assert (answer.status, answer.error["type"]) == (401, "team_member_permission_error")
    grant(search, route)
    assert api.post(route, body(key.token), bearer=bearer).status == 200


@pytest.mark.parametrize(("route", "body"), FOREIGN)
def test_who_leads_the_team_or_its_organization_may(
    api: Api, grace: User, org_admin: User, search: Team, route: str, body: Any
) -> None:
    for leader in (grace, org_admin):
        assert api.post(route, body(issue(team=search)[0].token), bearer=bearer_of(leader)).status == 200


@pytest.mark.parametrize(("route", "body"), FOREIGN)
def test_a_key_of_nobody_and_read_only_roles_change_nothing(api: Api, linus: User, route: str, body: Any) -> None:
    key, nobody = issue()
    assert api.post(route, body(key.token), bearer=nobody).status == 401
    bearer = bearer_of(linus)
    for role, status in (("internal_user_viewer", 401), ("proxy_admin_viewer", 403)):
        linus.role = role
        services.update_limits(linus, actor=SYSTEM)
        assert api.post(route, body(key.token), bearer=bearer).status == status


def test_an_owner_neither_blocks_nor_unblocks(api: Api, linus: User) -> None:
    key, bearer = issue(user=linus, blocked=True)[0], bearer_of(linus)
    assert api.post("/key/unblock", {"key": key.token}, bearer=bearer).status == 403


def test_a_key_moves_only_where_its_owner_could_have_made_it(api: Api, linus: User, grace: User, search: Team) -> None:
    key, bearer = issue(user=linus)[0], bearer_of(linus)
    assert api.post("/key/update", {"key": key.token, "team_id": search.public_id}, bearer=bearer).status == 401
    assert api.post("/key/update", {"key": key.token, "user_id": grace.public_id}, bearer=bearer).status == 403
    assert api.post("/key/update", {"key": key.token, "user_id": None}, bearer=bearer).status == 403
    team_key = issue(team=search)[0]
    moved = api.post("/key/update", {"key": team_key.token, "team_id": None}, bearer=bearer_of(grace))
    assert (moved.status, moved.error["param"]) == (403, "team_id")


# --- reading ------------------------------------------------------------------------------------------


def test_who_may_read_about_a_key(api: Api, linus: User, grace: User, search: Team) -> None:
    key, own = issue(team=search), issue(user=linus)
    asked = {"key": key[0].token}
    assert api.get("/key/info", asked, bearer=own[1]).status == 403
    assert api.get("/key/info", {"key": own[0].token}, bearer=own[1]).status == 200
    assert api.get("/key/info", asked, bearer=bearer_of(grace)).status == 200
    join(search, linus)
    assert api.get("/key/info", asked, bearer=own[1]).status == 200
    assert api.get("/key/info", {"key": own[0].token}, bearer=key[1]).status == 403


def test_a_list_holds_only_the_keys_that_the_caller_may_see(api: Api, linus: User, grace: User, search: Team) -> None:
    own, bearer = issue(user=linus)
    team_key, _ = issue(team=search)
    assert set(api.get("/key/list", bearer=bearer).json["keys"]) == {own.token}
    leader = bearer_of(grace)
    assert set(api.get("/key/list", bearer=leader).json["keys"]) == {team_key.token, token_of(leader)}
    assert api.get("/key/list", bearer=issue()[1]).status == 401


# --- mass assignment ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INTERNAL)
def test_no_body_writes_an_internal_column(api: Api, linus: User, name: str) -> None:
    key, _ = issue(user=linus)
    before = VirtualKey.objects.filter(pk=key.pk).values(*INTERNAL).get()
    for value in ("1", 1, "2001-01-01T00:00:00Z", {}):
        api.post("/key/update", {"key": key.token, name: value, f"{name}_id": value})
        api.post("/key/generate", {name: value, f"{name}_id": value}, bearer=bearer_of(linus))
    after = VirtualKey.objects.filter(pk=key.pk).values(*INTERNAL).get()
    writes_itself = {"updated_by", "updated_at", "version"}
    assert {n: v for n, v in after.items() if n not in writes_itself} == {
        n: v for n, v in before.items() if n not in writes_itself
    }
    assert (after["updated_by"], VirtualKey.objects.filter(seal__in=("", "1")).count()) in (
        ("default_user_id", 0), (before["updated_by"], 0),
    )  # fmt: skip


def test_every_column_of_a_key_is_either_documented_or_internal() -> None:
    """A new column is to be looked at: may a body write it, and who?"""
    written = {
        "max_budget_nano", "soft_budget_nano", "budget_duration", "budget_limits", "model_limits", "rpm_limit",
        "tpm_limit", "max_parallel_requests", "raise_nano", "raise_until", "shared_budget", "allowed_models",
        "metadata", "blocked", "alias", "team", "user", "aliases", "tags", "allowed_routes", "output_cap_policy",
        "expires_at", "auto_rotate", "rotation_interval", "extras", "project", "end_user_budget",
        "names_organization",
    }  # fmt: skip
    assert {field.name for field in VirtualKey._meta.concrete_fields} == written | set(INTERNAL)
