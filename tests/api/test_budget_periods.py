"""A budget that comes anew more often is a larger one: nobody gives it that way to an own key."""

from typing import Any

import pytest

from teams.models import User
from tests.api.conftest import Api
from tests.factories import issue

FOR_GOOD = {"gpt-4o": {"max_nano": 5 * 10**8}}
DAILY = {"gpt-4o": {"max_nano": 5 * 10**8, "duration": "1d"}}


def wanted(**limits: Any) -> dict[str, Any]:
    return {"model_max_budget": {"gpt-4o": {"budget_limit": 0.5, **limits}}}


@pytest.mark.parametrize(
    ("stored", "period", "status"),
    [
        (FOR_GOOD, {"time_period": "1s"}, 403),
        (FOR_GOOD, {}, 200),
        (DAILY, {}, 403),
        (DAILY, {"time_period": "1d"}, 200),
    ],
)
def test_an_owner_keeps_the_period_of_a_models_budget(
    api: Api, linus: User, stored: Any, period: dict[str, str], status: int
) -> None:
    key, bearer = issue(user=linus, model_limits=stored)[0], issue(user=linus)[1]
    answer = api.post("/key/update", {"key": key.token, **wanted(**period)}, bearer=bearer)
    assert answer.status == status, answer.text


def test_a_key_makes_none_whose_budget_comes_anew_more_often(api: Api, linus: User) -> None:
    _, bearer = issue(user=linus, model_limits=FOR_GOOD)
    refused = api.post("/key/generate", wanted(time_period="1s"), bearer=bearer)
    assert (refused.status, refused.error["param"]) == (400, "model_max_budget")
    assert api.post("/key/generate", wanted(), bearer=bearer).status == 200
