"""What the configuration file says about keys is in force in the management API."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from keys.key_rules import BadKeyRule, read_key_rules
from keys.models import VirtualKey
from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, Team, User
from tests.api.conftest import Api
from tests.factories import issue


def refuses_big_budgets(data: Any) -> Mapping[str, Any]:
    """A function as a server would have it."""
    fine = (data.max_budget or 0) <= 5 and data.json().get("rpm_limit") == data.get("rpm_limit")
    return {"decision": fine, "message": "too big for us"}


def knows_the_team(data: Any) -> dict[str, Any]:
    return {"decision": data["team_id"] == "t", "message": f"of team {data.team_id}"}


async def refuses_everything(data: Any) -> Mapping[str, Any]:
    return {"decision": False}


def bearer_of(person: User) -> str:
    return issue(user=person)[1]


def test_defaults_fill_what_a_request_leaves_out(api: Api, settings: Any, search: Team) -> None:
    defaults = {"max_budget": 2.5, "rpm_limit": 7, "models": ["a"], "metadata": {"x": 1}, "duration": "1d",
                "budget_duration": "30d", "team_id": search.public_id}  # fmt: skip
    settings.KEY_RULES = read_key_rules({}, {"default_key_generate_params": defaults})
    made = api.key(rpm_limit=1, models=[])
    assert (made["max_budget"], made["rpm_limit"], made["models"], made["metadata"]) == (
        Decimal("2.5"),
        1,
        ["a"],
        {"x": 1},
    )
    assert (made["team_id"], made["budget_duration"]) == (search.public_id, "30d")
    assert made["expires"] is not None


BOUNDS = {"max_budget": 10, "rpm_limit": 5, "tpm_limit": 5, "max_parallel_requests": 5, "budget_duration": "7d",
          "duration": "1d"}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_budget", 10.1), ("rpm_limit", 6), ("tpm_limit", 6), ("max_parallel_requests", 6),
     ("budget_duration", "30d"), ("duration", "2d"), ("expires", "2126-01-01")],
)  # fmt: skip
def test_nothing_is_above_its_upper_bound(api: Api, settings: Any, field: str, value: Any) -> None:
    settings.KEY_RULES = read_key_rules({}, {"upperbound_key_generate_params": BOUNDS})
    answer = api.post("/key/generate", {field: value})
    assert (answer.status, answer.error["param"]) == (400, "duration" if field == "expires" else field)
    made = api.key()
    assert (made["max_budget"], made["rpm_limit"], made["budget_duration"]) == (10, 5, "7d")
    assert api.post("/key/update", {"key": made["key"], field: value}).status == 400
    assert api.post("/key/update", {"key": made["key"], "key_alias": "x"}).status == 200


def test_who_makes_personal_keys_is_a_setting(api: Api, settings: Any, linus: User) -> None:
    bearer = bearer_of(linus)
    makers = {"personal_key_generation": {"allowed_user_roles": ["proxy_admin"], "required_params": ["tags"]}}
    settings.KEY_RULES = read_key_rules({}, {"key_generation_settings": makers})
    answer = api.post("/key/generate", {"tags": ["x"]}, bearer=bearer)
    assert answer.status == 400
    assert "restricted by admin" in answer.error["message"]
    assert api.post("/key/generate", {}).error["param"] == "tags"
    assert api.post("/key/generate", {"tags": ["x"]}).status == 200


def test_who_makes_team_keys_is_a_setting(api: Api, settings: Any, grace: User, linus: User, search: Team) -> None:
    services.add_member(Membership(team=search, user=linus), actor=SYSTEM)
    search.member_permissions = ["/key/generate"]
    services.update_limits(search, actor=SYSTEM)
    bearers = bearer_of(grace), bearer_of(linus)
    makers = {"team_key_generation": {"allowed_team_member_roles": ["admin"]}}
    settings.KEY_RULES = read_key_rules({}, {"key_generation_settings": makers})
    body = {"team_id": search.public_id}
    assert [api.post("/key/generate", body, bearer=bearer).status for bearer in bearers] == [200, 400]


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [({"key_alias_pattern": "app-[a-z]+"}, "app-x", "app-1"),
     ({"enable_key_alias_format_validation": True}, "team/a.b@c", "-x")],
)  # fmt: skip
def test_aliases_have_the_form_that_is_set(api: Api, settings: Any, rule: Any, good: str, bad: str) -> None:
    settings.KEY_RULES = read_key_rules(rule, {})
    assert api.post("/key/generate", {"key_alias": good}).status == 200
    answer = api.post("/key/generate", {"key_alias": bad})
    assert (answer.status, answer.error["param"]) == (400, "key_alias")


def test_custom_keys_may_be_disabled(api: Api, settings: Any) -> None:
    settings.KEY_RULES = read_key_rules({"disable_custom_api_keys": True}, {})
    assert api.post("/key/generate", {"key": "sk-my-own-key-0123456789"}).status == 403
    made = api.key()
    assert api.post("/key/regenerate", {"key": made["key"], "new_key": "sk-my-own-key-0123456789"}).status == 403


def test_a_function_of_the_server_judges_every_new_key(api: Api, settings: Any) -> None:
    settings.KEY_RULES = read_key_rules({"custom_key_generate": f"{__name__}.refuses_big_budgets"}, {})
    assert api.post("/key/generate", {"max_budget": 5}).status == 200
    answer = api.post("/key/generate", {"max_budget": 6})
    assert (answer.status, answer.error["message"]) == (403, "too big for us")
    settings.KEY_RULES = read_key_rules({}, {"custom_generate_key_fn": f"{__name__}.refuses_everything"})
    assert api.post("/key/generate", {}).status == 403
    assert VirtualKey.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"self_serve_budget_policy": "maybe"}, {"default_key_generate_params": {"seal": 1}},
        {"default_key_generate_params": ["x"]}, {"upperbound_key_generate_params": {"max_budget": "much"}},
        {"upperbound_key_generate_params": {"duration": "soon"}}, {"upperbound_key_generate_params": {"rpm_limit": -1}},
        {"key_generation_settings": {"other": {}}}, {"key_alias_pattern": "("}, {"disable_custom_api_keys": "yes"},
        {"key_generation_settings": {"team_key_generation": {"required_params": "tags"}}},
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_used_stops_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadKeyRule, match=next(iter(wrong)).split("_params")[0]):
        read_key_rules({}, wrong)


def test_a_temporary_raise_stays_within_the_upper_bound(api: Api, settings: Any, linus: User) -> None:
    settings.KEY_RULES = read_key_rules({}, {"upperbound_key_generate_params": {"max_budget": 5}})
    raised = {"temp_budget_expiry": "2126-01-01", "temp_budget_increase": 3}
    for budget in ({}, {"max_budget": 3}):
        answer = api.post("/key/generate", raised | budget, bearer=bearer_of(linus))
        assert (answer.status, answer.error["param"]) == (400, "temp_budget_increase"), answer.text
    made = api.post("/key/generate", raised | {"max_budget": 2}, bearer=bearer_of(linus))
    assert made.status == 200, made.text
    answer = api.post("/key/update", {"key": made.json["key"], "max_budget": 3})
    assert (answer.status, answer.error["param"]) == (400, "temp_budget_increase")
    over = {"key": made.json["key"], "max_budget": 3, "temp_budget_expiry": "2020-01-01"}
    assert api.post("/key/update", over).status == 200


def test_a_key_of_a_project_is_asked_for_what_keys_of_teams_are(api: Api, settings: Any) -> None:
    makers = {"team_key_generation": {"required_params": ["tags"]}}
    settings.KEY_RULES = read_key_rules({}, {"key_generation_settings": makers})
    api.post("/team/new", {"team_id": "t"})
    assert api.post("/project/new", {"team_id": "t", "project_id": "p"}).status == 200
    for place in ({"team_id": "t"}, {"project_id": "p"}):
        answer = api.post("/key/generate", place)
        assert (answer.status, answer.error["param"]) == (400, "tags")
    assert api.post("/key/generate", {}).status == 200


def test_the_function_of_the_server_is_told_the_team_of_a_project(api: Api, settings: Any) -> None:
    api.post("/team/new", {"team_id": "t"})
    api.post("/project/new", {"team_id": "t", "project_id": "p"})
    settings.KEY_RULES = read_key_rules({"custom_key_generate": f"{__name__}.knows_the_team"}, {})
    answers = [api.post("/key/generate", {"project_id": name}) for name in ("p", "other")]
    assert [answer.status for answer in answers] == [200, 403]
