"""Null where an object or a name belongs: refused, never a failure."""

from typing import Any

import pytest

from teams.models import Team, User
from tests.api.conftest import Api

_ADA = {"role": "user", "user_id": "ada2"}
_LEADER = {"role": "org_admin", "user_id": "ada2"}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/user/new", {"teams": [None]}, "teams"),
        ("/user/new", {"organizations": [None]}, "organizations"),
        ("/team/new", {"members_with_roles": [_ADA, None]}, "members_with_roles"),
        ("/team/member_add", {"team_id": "search", "member": [_ADA, None]}, "member"),
        ("/team/member_add", {"team_id": "search", "member": None}, "member"),
        ("/organization/member_add", {"organization_id": "default", "member": [_LEADER, None]}, "member"),
        ("/team/bulk_member_add", {"team_id": "search", "members": None}, "members"),
        ("/team/permissions_bulk_update", {"team_ids": [None], "permissions": ["/key/info"]}, "team_ids"),
        ("/team/delete", {"team_ids": [None]}, "team_ids"),
        ("/user/delete", {"user_ids": [None]}, "user_ids"),
        ("/customer/delete", {"user_ids": [None]}, "user_ids"),
        ("/customer/block", {"user_ids": [None]}, "user_ids"),
        ("/budget/info", {"budgets": [None]}, "budgets"),
        ("/key/delete", {"keys": [None]}, "keys"),
        ("/key/bulk_update", {"keys": [None]}, "keys"),
        ("/v2/key/info", {"keys": [None]}, "keys"),
        ("/key/generate", {"budget_limits": [None]}, "budget_limits"),
        ("/key/generate", {"model_max_budget": {"m": None}}, "model_max_budget"),
        ("/key/generate", {"tags": [None]}, "tags"),
    ],
)  # fmt: skip
def test_a_null_in_a_list_is_refused_by_the_name_of_the_list(
    api: Api, search: Team, path: str, body: dict[str, Any], field: str
) -> None:
    body = {name: search.public_id if value == "search" else value for name, value in body.items()}
    answer = api.post(path, body)
    assert answer.status == 422, answer.text
    assert field in answer.json["detail"][0]["loc"]


@pytest.mark.parametrize("entry", [None, {}, {"user_id": None}, {"user_id": {}}, {"user_id": [None]}, 5])
def test_of_many_an_entry_that_names_nobody_is_listed_as_failed(
    api: Api, search: Team, grace: User, entry: Any
) -> None:
    added = api.post("/team/bulk_member_add", {"team_id": search.public_id, "members": [entry, {"user_id": "new"}]})
    assert (added.status, added.json["failed_additions"], added.json["successful_additions"]) == (200, 1, 1)
    changed = api.post("/user/bulk_update", {"users": [entry, {"user_id": grace.public_id, "user_alias": "G"}]})
    assert (changed.status, changed.json["failed_updates"], changed.json["successful_updates"]) == (200, 1, 1)


@pytest.mark.parametrize("patch", [{}, {"key": None}, {"key": {}}, {"key": [None]}, {"key_alias": 5}])
def test_of_many_a_patch_that_names_no_key_is_listed_as_failed(api: Api, patch: dict[str, Any]) -> None:
    answer = api.post("/key/bulk_update", {"keys": [patch]})
    assert (answer.status, len(answer.json["failed_updates"])) == (200, 1)
