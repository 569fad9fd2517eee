"""Requests that lack a field, or have one of another JSON type: 422 and body C of the contract, on every route."""

from typing import Any

import pytest

from keys.models import VirtualKey
from tests.api.conftest import Api


@pytest.mark.parametrize("field", ["rpm_limit", "tpm_limit", "max_parallel_requests"])
@pytest.mark.parametrize("value", ["1.5", "true", '"x"', "{}"])
def test_a_limit_that_is_no_whole_number_is_422(api: Api, field: str, value: str) -> None:
    answer = api.post("/key/generate", raw=f'{{"{field}": {value}}}')
    assert answer.status == 422
    [said] = answer.json["detail"]
    assert (said["type"], said["loc"]) == ("wrong_type", ["body", field])
    assert "write a whole number" in said["msg"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("budget_duration", 30), ("duration", 30), ("duration", True), ("expires", 1767139200), ("models", "gpt"),
        ("models", [1]), ("models", {}), ("metadata", []), ("metadata", "x"), ("aliases", {"a": 1}), ("tags", "x"),
        ("blocked", "perhaps"), ("key_alias", 7), ("key_type", "other"), ("allowed_routes", "x"),
        ("output_cap_policy", "guess"), ("max_budget", {}), ("max_budget", True), ("soft_budget", "many"), ("key", 7),
    ],
)  # fmt: skip
def test_a_value_of_a_wrong_type_is_422_naming_its_field(api: Api, field: str, value: Any) -> None:
    answer = api.post("/key/generate", {field: value})
    assert (answer.status, answer.fault) == (422, field)
    assert VirtualKey.objects.count() == 0


def test_every_field_of_a_wrong_shape_is_named_at_once(api: Api) -> None:
    api.post("/team/new", {"team_id": "t"})
    answer = api.post("/team/member_add", {"team_id": "t", "member": [{"role": "user", "user_id": 7}, {"role": 3}]})
    places = [one["loc"] for one in answer.json["detail"]]
    assert places == [["body", "member", 0, "user_id"], ["body", "member", 1, "role"]]
    assert api.post("/key/generate", raw="[]").json["detail"][0]["loc"] == ["body"]
    assert api.get("/key/list", {"size": "101"}).json["detail"][0]["loc"] == ["query", "size"]
