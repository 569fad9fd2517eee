"""Budgets of every kind and on every scope, set through the API and met by calls to a running Latchkey."""

from typing import Any

import httpx
import pytest

from tests.gateway.running import Running, eventually
from tests.gateway.test_budgets import COST
from tests.gateway.upstream import Books

#: Enough for one call's worst case, too little for two.
ONE_CALL = 1.5 * COST / 10**9
PLENTY = 1


def _organization(latchkey: Running, limits: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    made = latchkey.manage("POST", "/organization/new", json={"organization_alias": "O", **limits})
    return latchkey.new_key(organization_id=made["organization_id"]), {}


def _team(latchkey: Running, limits: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return latchkey.new_key(team_id=latchkey.manage("POST", "/team/new", json=limits)["team_id"]), {}


def _member(latchkey: Running, limits: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    team = latchkey.manage("POST", "/team/new", json={})["team_id"]
    user = latchkey.manage("POST", "/user/new", json={"auto_create_key": False})["user_id"]
    inside = {"max_budget_in_team" if name == "max_budget" else name: value for name, value in limits.items()}
    latchkey.manage("POST", "/team/member_add", json={"team_id": team, "member": {"user_id": user}, **inside})
    return latchkey.new_key(team_id=team, user_id=user), {}


def _place(latchkey: Running, limits: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    organization = latchkey.manage("POST", "/organization/new", json={"organization_alias": "P"})["organization_id"]
    user = f"person-{organization}"
    inside = {"max_budget_in_organization" if name == "max_budget" else name: value for name, value in limits.items()}
    named = {"organization_id": organization, "member": {"user_id": user, "role": "internal_user"}}
    latchkey.manage("POST", "/organization/member_add", json={**named, **inside})
    return latchkey.new_key(organization_id=organization, user_id=user), {}


def _user(latchkey: Running, limits: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return latchkey.manage("POST", "/user/new", json=limits)["key"], {}


def _key(latchkey: Running, limits: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return latchkey.new_key(**limits), {}


def _customer(latchkey: Running, limits: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name = f"customer-{latchkey.new_key()[-8:]}"
    latchkey.manage("POST", "/customer/new", json={"user_id": name, **limits})
    return latchkey.new_key(), {"user": name}


def _tag(latchkey: Running, limits: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name = f"tag-{latchkey.new_key()[-8:]}"
    latchkey.manage("POST", "/tag/new", json={"name": name, **limits})
    return latchkey.new_key(), {"metadata": {"tags": [name]}}


SCOPES = {
    "organization": _organization, "place": _place, "team": _team, "member": _member, "user": _user, "key": _key,
    "customer": _customer, "tag": _tag,
}  # fmt: skip
KINDS = {
    "main": {"max_budget": ONE_CALL, "budget_duration": "30d"},
    "further": {
        "max_budget": PLENTY,
        "budget_limits": [
            {"budget_duration": "1d", "max_budget": PLENTY}, {"budget_duration": "7d", "max_budget": ONE_CALL},
        ],
    },
    "rolling": {"max_budget": ONE_CALL, "budget_duration": "rolling 24h"},
    "model": {
        "max_budget": PLENTY,
        "model_max_budget": {"gpt-b*": {"budget_limit": ONE_CALL, "time_period": "30d"}},
    },
}  # fmt: skip


def _refused(answer: httpx.Response) -> bool:
    return answer.status_code == 429 and answer.json()["error"]["type"] == "budget_exceeded"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_budget_for_one_call_serves_one(latchkey: Running, books: Books, scope: str, kind: str) -> None:
    key, named = SCOPES[scope](latchkey, KINDS[kind])
    assert latchkey.chat(key, **named).status_code == 200
    assert _refused(latchkey.chat(key, **named))
    assert books.total_nano == COST
    assert latchkey.chat(key, model="gpt-free", **named).status_code == 200


@pytest.mark.parametrize("scope", SCOPES)
def test_a_changed_shared_budget_counts_at_the_next_call(latchkey: Running, books: Books, scope: str) -> None:
    name = latchkey.manage("POST", "/budget/new", json={"max_budget": PLENTY, "budget_duration": "30d"})["budget_id"]
    key, named = SCOPES[scope](latchkey, {"budget_id": name})
    assert latchkey.chat(key, **named).status_code == 200
    for _ in range(2):
        latchkey.manage("POST", "/budget/update", json={"budget_id": name, "max_budget": 0})
        assert _refused(latchkey.chat(key, **named))
        latchkey.manage("POST", "/budget/update", json={"budget_id": name, "max_budget": PLENTY})
        assert latchkey.chat(key, **named).status_code == 200
    latchkey.manage("POST", "/budget/update", json={"budget_id": name, "budget_duration": "1d", "max_budget": ONE_CALL})
    assert _refused(latchkey.chat(key, **named))


def test_those_who_share_a_budget_count_for_themselves(latchkey: Running, books: Books) -> None:
    name = latchkey.manage("POST", "/budget/new", json={"max_budget": ONE_CALL})["budget_id"]
    keys = [latchkey.new_key(budget_id=name) for _ in range(2)]
    assert [latchkey.chat(key).status_code for key in keys] == [200, 200]
    assert all(_refused(latchkey.chat(key)) for key in keys)


def test_a_raise_counts_until_it_is_taken_back(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=0)
    assert _refused(latchkey.chat(key))
    raised = {"temp_budget_increase": PLENTY, "temp_budget_expiry": "2126-01-31"}
    latchkey.manage("POST", "/key/update", json={"key": key, **raised})
    assert latchkey.chat(key).status_code == 200
    latchkey.manage("POST", "/key/update", json={"key": key, "temp_budget_expiry": "2020-01-31"})
    assert _refused(latchkey.chat(key))


def test_a_soft_budget_never_refuses_and_says_when_it_was_crossed(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(soft_budget=ONE_CALL, budget_duration="30d")
    assert latchkey.chat(key).status_code == 200
    latchkey.key_rows(key)
    assert _info(latchkey, key)["soft_budget_crossed_at"] is None
    assert [latchkey.chat(key).status_code for _ in range(3)] == [200] * 3
    eventually(lambda: _info(latchkey, key)["soft_budget_crossed_at"] is not None)


def test_a_soft_budget_set_below_what_was_spent_is_noted_at_the_next_call(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=PLENTY)
    assert [latchkey.chat(key).status_code for _ in range(3)] == [200] * 3
    latchkey.key_rows(key)
    latchkey.manage("POST", "/key/update", json={"key": key, "soft_budget": ONE_CALL})
    assert _info(latchkey, key)["soft_budget_crossed_at"] is None
    assert latchkey.chat(key).status_code == 200
    eventually(lambda: _info(latchkey, key)["soft_budget_crossed_at"] is not None)


def test_rates_of_one_model_leave_the_others_alone(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(model_rpm_limit={"gpt-books": 0}, model_tpm_limit={"gpt-c*": 0})
    assert [latchkey.chat(key, model=m).status_code for m in ("gpt-books", "gpt-cancel", "gpt-free")] == [429, 429, 200]


def _info(latchkey: Running, key: str) -> dict[str, Any]:
    info: dict[str, Any] = latchkey.manage("GET", "/key/info", params={"key": key})["info"]
    return info
