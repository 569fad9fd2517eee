"""/key/...: what widens a key for a while, or beside its own columns, is a limit as well."""

from typing import Any

import pytest

from teams import services
from teams.actors import SYSTEM
from teams.models import SharedBudget, Team, User
from tests.api.conftest import Api
from tests.api.test_key_rights import bearer_of
from tests.factories import issue


def test_a_temporary_raise_goes_no_further_than_the_calling_key(api: Api, linus: User) -> None:
    bearer = bearer_of(linus, max_budget_nano=5 * 10**9)
    raised = {"max_budget": 3, "temp_budget_expiry": "2126-01-01"}
    for more, status in ((3, 400), (2, 200)):
        answer = api.post("/key/generate", raised | {"temp_budget_increase": more}, bearer=bearer)
        assert answer.status == status, answer.text
    # Nor in two steps.
    answer = api.post("/key/update", {"key": answer.json["key"], "max_budget": 4}, bearer=bearer)
    assert answer.status in (400, 403)


def test_a_limited_key_of_who_leads_does_not_raise_itself_for_a_while(api: Api, grace: User, search: Team) -> None:
    key, bearer = issue(team=search, user=grace, max_budget_nano=10**9)
    body = {"key": key.token, "temp_budget_increase": 1, "temp_budget_expiry": "2126-01-01"}
    answer = api.post("/key/update", body, bearer=bearer)
    assert (answer.status, answer.error["param"]) == (400, "temp_budget_increase")
    assert api.post("/key/update", body | {"temp_budget_expiry": "2126-01-01"}, bearer=bearer_of(grace)).status == 200
    answer = api.post("/key/update", {"key": key.token, "temp_budget_expiry": "2127-01-01"}, bearer=bearer)
    assert (answer.status, answer.error["param"]) == (400, "temp_budget_increase")
    assert api.post("/key/update", {"key": key.token, "temp_budget_expiry": "2125-01-01"}, bearer=bearer).status == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"budget_limits": [{"budget_duration": "30d", "max_budget": 9}]}, "budget_limits"),
        ({"model_max_budget": {"a": {"budget_limit": 9}}}, "model_max_budget"),
    ],
)
def test_an_owner_does_not_replace_what_a_shared_budget_limits(
    api: Api, linus: User, change: dict[str, Any], field: str
) -> None:
    limits = {"budget_limits": [{"duration": "1d", "max_nano": 1}], "model_limits": {"a": {"max_nano": 1}}}
    key, _ = issue(user=linus, shared_budget=services.create_budget(SharedBudget(**limits), actor=SYSTEM))
    answer = api.post("/key/update", {"key": key.token, **change}, bearer=bearer_of(linus))
    assert (answer.status, answer.error["param"]) == (403, field)
