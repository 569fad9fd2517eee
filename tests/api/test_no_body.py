"""Requests without a body, which is not the same as an empty object."""

import pytest

from teams.models import SharedBudget, Team, User
from tests.api.conftest import Api
from tests.factories import issue


@pytest.mark.parametrize(
    "path", ["/key/generate", "/budget/new", "/team/new", "/user/new", "/customer/new", "/organization/new", "/tag/new"]
)
def test_nothing_is_made_of_no_body(api: Api, path: str) -> None:
    answer = api.post(path, raw="")
    assert answer.status == 422
    assert answer.json["detail"][0]["loc"] == ["body"]
    assert answer.json["detail"][0]["type"] == "missing"
    assert not SharedBudget.objects.exists()


@pytest.mark.parametrize("path", ["/key/generate", "/budget/new", "/team/new", "/user/new"])
def test_an_empty_object_is_a_body(api: Api, path: str) -> None:
    assert api.post(path, {}).status == 200


def test_what_says_everything_in_its_path_needs_no_body(api: Api, search: Team, grace: User) -> None:
    key, _ = issue()
    assert api.post(f"/key/{key.token}/regenerate", raw="").status == 200
    assert api.post(f"/team/{search.public_id}/member/{grace.public_id}/reset_spend", raw="").status == 200
    assert api.post("/key/health", raw="").status == 200
    assert api.post("/global/spend/end_users", raw="").status == 200
