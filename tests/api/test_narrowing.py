"""A child only ever narrows: what teams, projects and keys are given beyond what stands above them is 400."""

from typing import Any

import pytest

from teams.models import Team, User
from teams.scopes import DEFAULT_ORGANIZATION
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person


def north(admin: User | None = None, **limits: Any) -> None:
    organization_of("north", admin, **limits)


def team(api: Api, **fields: Any) -> None:
    answer = api.post("/team/new", {"team_id": "t", "organization_id": "north", **fields})
    assert answer.status == 200, answer.text


@pytest.mark.parametrize(
    ("top", "models"),
    [
        (["openai/*"], ["openai/gpt-4o"]), (["openai/*"], ["openai/gpt-*"]), (["all-proxy-models"], ["anything"]),
        (["*"], ["anything"]), (["a"], ["no-default-models"]), (["a"], ["all-team-models"]),
    ],
)  # fmt: skip
def test_a_team_and_a_project_list_models_that_the_list_above_covers(
    api: Api, top: list[str], models: list[str]
) -> None:
    north(allowed_models=top)
    team(api, models=models)
    assert api.post("/team/update", {"team_id": "t", "models": top}).status == 200
    answer = api.post("/project/new", {"team_id": "t", "models": models})
    assert (answer.status, answer.json.get("models")) == (200, models), answer.text


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"models": ["anthropic/claude"]}, "models"), ({"models": ["all-proxy-models"]}, "models"),
        ({"max_parallel_requests": 6}, "max_parallel_requests"), ({"soft_budget": 51}, "soft_budget"),
        ({"budget_limits": [{"budget_duration": "1d", "max_budget": 51}]}, "budget_limits"),
        ({"model_rpm_limit": {"openai/gpt-4o": 6}}, "model_rpm_limit"),
        ({"model_tpm_limit": {"openai/gpt-4o": 101}}, "model_tpm_limit"),
        ({"model_max_budget": {"openai/gpt-4o": {"budget_limit": 51, "time_period": "1d"}}}, "model_max_budget"),
    ],
)  # fmt: skip
def test_nothing_that_a_team_a_project_or_a_key_is_given_is_wider(api: Api, fields: dict[str, Any], named: str) -> None:
    limits = {
        "max_budget": 50, "max_parallel_requests": 5, "tpm_limit": 100, "models": ["openai/*"],
        "model_rpm_limit": {"openai/*": 5},
    }  # fmt: skip
    made = api.post("/organization/new", {"organization_id": "north", "organization_alias": "North", **limits})
    assert made.status == 200, made.text
    answer = api.post("/team/new", {"organization_id": "north", **fields})
    assert (answer.status, answer.error["param"]) == (400, named), answer.text
    team(api, **limits)
    answer = api.post("/team/update", {"team_id": "t", **fields})
    assert (answer.status, answer.error["param"]) == (400, named), answer.text
    answer = api.post("/project/new", {"team_id": "t", **fields})
    assert (answer.status, named in answer.told) == (400, True), answer.text
    api.post("/team/member_add", {"team_id": "t", "member": {"user_id": "boss", "role": "admin"}})
    boss = User.objects.get(public_id="boss")
    answer = api.post("/key/generate", {"team_id": "t", **fields}, bearer=key_of(boss))
    assert (answer.status, answer.error["param"]) == (400, named), answer.text


def test_a_team_that_names_no_organization_keeps_to_the_limits_of_the_default_one(api: Api) -> None:
    limits = {"organization_id": DEFAULT_ORGANIZATION, "max_budget": 10, "models": ["cheap"]}
    assert api.patch("/organization/update", limits).status == 200
    for named in ({}, {"organization_id": None}, {"organization_id": DEFAULT_ORGANIZATION}):
        for fields, wrong in (({"max_budget": 11}, "max_budget"), ({"models": ["dear"]}, "models")):
            refused = api.post("/team/new", named | fields)
            assert (refused.status, refused.fault) == (400, wrong)
    made = api.post("/team/new", {"max_budget": 10, "models": ["cheap"]})
    assert made.status == 200, made.text
    assert Team.objects.get().organization.public_id == DEFAULT_ORGANIZATION


def test_nobody_learns_the_limits_of_another_organization_from_a_team_refused_there(api: Api) -> None:
    boss = person("boss")
    north(boss)
    organization_of("south", max_budget_nano=10**9, allowed_models=["cheap"])
    for fields in ({"max_budget": 1}, {"max_budget": 2}, {"models": ["dear"]}):
        answer = api.post("/team/new", {"organization_id": "south", **fields}, bearer=key_of(boss))
        assert (answer.status, answer.fault) == (403, "organization_id")


def test_a_shared_budget_is_no_way_beyond_the_organization(api: Api) -> None:
    north(max_budget_nano=50 * 10**9)
    api.post("/budget/new", {"budget_id": "wide", "max_budget": 51})
    team(api)
    for path, body in (("new", {"organization_id": "north"}), ("update", {"team_id": "t"})):
        answer = api.post(f"/team/{path}", {**body, "budget_id": "wide"})
        assert (answer.status, answer.error["param"]) == (400, "max_budget")
    assert api.post("/team/update", {"team_id": "t", "budget_id": "wide", "max_budget": 50}).status == 200


def test_what_was_there_before_the_limit_above_was_lowered_stops_no_other_change(api: Api) -> None:
    north()
    wide = {"max_budget": 100, "rpm_limit": 9, "models": ["a", "b"], "model_rpm_limit": {"a": 9}}
    team(api, **wide)
    assert api.post("/project/new", {"team_id": "t", "project_id": "p", **wide}).status == 200
    lower = {"max_budget": 50, "rpm_limit": 5, "models": ["a"]}
    assert api.post("/organization/update", {"organization_id": "north", **lower}).status == 200
    for change in ({"team_alias": "x"}, {"max_budget": 40}, {"models": ["b"]}, {"model_tpm_limit": {"a": 1}}):
        assert api.post("/team/update", {"team_id": "t", **change}).status == 200, change
    for change, named in (({"max_budget": 60}, "max_budget"), ({"models": ["b", "c"]}, "models")):
        answer = api.post("/team/update", {"team_id": "t", **change})
        assert (answer.status, answer.error["param"]) == (400, named)
    assert api.post("/team/update", {"team_id": "t", "models": ["a"]}).status == 200
    assert api.post("/project/update", {"project_id": "p", "description": "x"}).status == 200
    assert api.post("/project/update", {"project_id": "p", "max_budget": 60}).status == 400


def test_all_models_of_a_team_are_more_than_the_calling_key_has(api: Api, linus: User) -> None:
    bearer = key_of(linus)
    limited = api.post("/key/generate", {"models": ["a"]}, bearer=bearer).json["key"]
    for path, body in (("generate", {}), ("update", {"key": limited})):
        answer = api.post(f"/key/{path}", {**body, "models": ["all-team-models"]}, bearer=limited)
        assert (answer.status, answer.error["param"]) == (400, "models"), answer.text
    assert api.post("/key/generate", {"models": ["all-team-models"]}, bearer=bearer).status == 200
    assert api.post("/key/generate", {"models": ["no-default-models"]}, bearer=limited).status == 200


def test_an_admin_of_an_organization_who_may_call_some_models_makes_no_team_for_all(api: Api) -> None:
    boss = person("boss", allowed_models=["openai/*"])
    north(boss)
    for models, status in ((["all-team-models"], 400), (["a"], 400), (["openai/gpt-4o"], 200)):
        answer = api.post("/team/new", {"organization_id": "north", "models": models}, bearer=key_of(boss))
        assert answer.status == status, answer.text


def test_an_admin_of_an_organization_narrows_its_models_and_never_widens_them(api: Api) -> None:
    boss = person("boss")
    north(boss, allowed_models=["openai/*"])
    for models, status in (
        (["all-team-models"], 403), (["a"], 403), ([], 403), (["openai/gpt-4o"], 200), (["openai/*"], 403),
    ):  # fmt: skip
        answer = api.patch("/organization/update", {"organization_id": "north", "models": models}, bearer=key_of(boss))
        assert answer.status == status, (models, answer.text)


def test_a_model_is_added_beside_one_that_the_organization_no_longer_allows(api: Api) -> None:
    north()
    team(api, models=["a"])
    narrower = {"organization_id": "north", "models": ["b"]}
    assert api.post("/organization/update", narrower).status == 200
    assert api.post("/team/update", {"team_id": "t", "models": ["a", "b"]}).status == 200
    answer = api.post("/team/update", {"team_id": "t", "models": ["a", "b", "c"]})
    assert (answer.status, answer.error["message"]) == (400, "models: organization 'north' does not allow c")


@pytest.mark.parametrize("place", ["organization", "team"])
def test_who_may_call_some_models_somewhere_does_not_widen_the_own_list(api: Api, place: str) -> None:
    boss = person("boss")
    north(boss)
    team(api)
    bearer = key_of(boss)
    api.post("/team/member_add", {"team_id": "t", "member": {"user_id": "lead", "role": "admin"}})
    who, name = ("boss", "north") if place == "organization" else ("lead", "t")
    bearer = bearer if place == "organization" else key_of(User.objects.get(public_id="lead"))
    body = {f"{place}_id": name, "user_id": who}
    assert api.post(f"/{place}/member_update", body | {"allowed_models": ["a", "b"]}).status == 200
    for models, status in ((["c"], 403), ([], 403), (None, 403), (["a"], 200), (["a"], 200)):
        answer = api.post(f"/{place}/member_update", body | {"allowed_models": models}, bearer=bearer)
        assert answer.status == status, (models, answer.text)


def test_an_admin_of_an_organization_puts_nobody_of_another_one_into_a_new_team(api: Api) -> None:
    boss = person("boss")
    north(boss)
    person("stranger", organization=organization_of("south"))
    members = [{"role": "user", "user_id": "stranger"}]
    body = {"team_id": "t", "organization_id": "north", "members_with_roles": members}
    assert api.post("/team/new", body, bearer=key_of(boss)).status == 403
    assert api.get("/team/info", {"team_id": "t"}).status == 404
    assert api.post("/team/new", body).status == 200
