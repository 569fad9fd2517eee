"""Clients read a row, change something in it and send it back, while calls are made."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from keys.models import VirtualKey
from spend import services as ledger
from spend.models import SpendReset
from teams import services
from teams.actors import SYSTEM
from teams.models import Customer, Limits, Membership, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of
from tests.factories import intent_for, issue, posting_of

NEW = {"max_budget": 10, "budget_duration": "1d"}
SECRET = "sk-my-own-key-0123456789"
#: What each is made with, what it is asked for by, and where in the answer it is.
KINDS: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "key": ({"key": SECRET}, {"key": SECRET}, "info"),
    "team": ({"team_id": "t"}, {"team_id": "t"}, "team_info"),
    "user": ({"user_id": "mia", "auto_create_key": False}, {"user_id": "mia"}, "user_info"),
    "customer": ({"user_id": "acme"}, {"end_user_id": "acme"}, ""),
    "organization": ({"organization_alias": "o", "organization_id": "o"}, {"organization_id": "o"}, ""),
}


def _read(api: Api, kind: str) -> dict[str, Any]:
    body, query, inside = KINDS[kind]
    answer = json.loads(api.get(f"/{kind}/info", query).text)
    return {**body, **(answer[inside] if inside else answer)}


def _make(api: Api, kind: str) -> dict[str, Any]:
    path = "/key/generate" if kind == "key" else f"/{kind}/new"
    assert api.post(path, KINDS[kind][0] | NEW).status == 200
    return _read(api, kind)


def _spend(kind: str, nano: int = 10**9) -> None:
    key = VirtualKey.objects.live().first() or issue()[0]
    scopes: dict[str, Any] = {
        "team": Team.objects.first(), "user": User.objects.filter(public_id="mia").first(),
        "customer": Customer.objects.first(),
    }  # fmt: skip
    scope: Limits = scopes.get(kind) or (key.organization if kind == "organization" else key)
    intent = intent_for(key, at=timezone.now(), scopes=tuple({key.organization.scope, scope.scope, key.scope}))
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, nano)], now=timezone.now())


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_spent_meanwhile_stays_spent(api: Api, kind: str) -> None:
    row = _make(api, kind)
    _spend(kind)
    assert api.post(f"/{kind}/update", row | {"max_budget": 9}).status == 200
    assert not SpendReset.objects.exists()
    assert _read(api, kind)["max_budget"] == 9


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_may_be_changed_or_end_meanwhile(api: Api, kind: str) -> None:
    row = _make(api, kind)
    answer = api.post(f"/{kind}/update", row | {"budget_duration": "7d"})
    assert answer.status == 200, answer.text
    assert _read(api, kind)["budget_duration"] == "7d"
    assert _read(api, kind)["budget_reset_at"] != row["budget_reset_at"]
    over = row | {"budget_reset_at": str(timezone.now() - timedelta(hours=1)), "budget_duration": "1d"}
    assert api.post(f"/{kind}/update", over).status == 200


def test_whoever_may_not_set_spend_may_send_it_back(api: Api, linus: User) -> None:
    for kind in ("team", "key"):
        _make(api, kind)
    team, key = Team.objects.get(public_id="t"), VirtualKey.objects.get()
    key.user, key.team = linus, team
    key.save()
    services.add_member(Membership(team=team, user=linus, role=Membership.Role.ADMIN), actor=SYSTEM)
    rows = {kind: _read(api, kind) for kind in ("team", "key")}
    for kind, row in rows.items():
        _spend(kind)
        answer = api.post(f"/{kind}/update", row, bearer=key_of(linus))
        assert answer.status == 200, answer.text
        wish = {name: row[name] for name in ("team_id", "key") if row.get(name)} | {"spend": 0.5}
        assert api.post(f"/{kind}/update", wish, bearer=key_of(linus)).status == 403
    assert not SpendReset.objects.exists()


def test_a_row_of_another_server_still_says_what_was_spent_there(api: Api) -> None:
    _make(api, "team")
    elsewhere = {"team_id": "t", "spend": 4, "created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-01-01T00:00:00Z"}
    assert api.post("/team/update", elsewhere).json["data"]["spend"] == 4


@pytest.mark.parametrize("kind", ["key", "team"])
def test_of_what_a_row_shows_twice_the_place_that_was_changed_counts(api: Api, kind: str) -> None:
    _make(api, kind)
    said = {"tags": ["a"], "model_rpm_limit": {"gpt-a": 5}, "model_tpm_limit": {"gpt-a": 50}}
    assert api.post(f"/{kind}/update", KINDS[kind][0] | said).status == 200
    row = _read(api, kind)
    inside = {"tags": ["b"], "model_rpm_limit": {"gpt-a": 4}}
    changed = row | {"metadata": row["metadata"] | inside, "model_tpm_limit": {"gpt-a": 40}}
    assert api.post(f"/{kind}/update", changed).status == 200
    after = _read(api, kind)
    assert [after[name] for name in said] == [["b"], {"gpt-a": 4}, {"gpt-a": 40}]
    assert {name: after["metadata"][name] for name in said} == {name: after[name] for name in said}


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_is_sent_back_as_it_is_changes_nothing(api: Api, kind: str) -> None:
    row = _make(api, kind)
    assert api.post(f"/{kind}/update", row).status == 200
    changing = ("updated_at", "last_active")
    assert {n: v for n, v in _read(api, kind).items() if n not in changing} == {
        n: v for n, v in row.items() if n not in changing
    }


def test_a_note_that_is_rewritten_takes_no_limit_off_a_key(api: Api) -> None:
    limits = {"enforced_params": ["user"], "rpm_limit_type": "guaranteed_throughput", "rpm_limit": 5}
    made = api.key(**limits, metadata={"note": "a"})
    for metadata in ({"note": "b"}, {}, None):
        row = api.post("/key/update", {"key": made["key"], "metadata": metadata}).json
        assert {name: row[name] for name in limits} == limits
    inside = api.post("/key/update", {"key": made["key"], "metadata": {"enforced_params": ["user", "seed"]}}).json
    assert inside["enforced_params"] == ["user", "seed"]
    assert api.post("/key/update", {"key": made["key"], "enforced_params": []}).json["enforced_params"] == []


def test_what_is_of_another_type_inside_metadata_is_refused_by_name_and_takes_nothing_off(api: Api) -> None:
    made = api.key(enforced_params=["user"], tags=["a"])
    for name, value in {"enforced_params": "user", "rpm_limit_type": "dynamic", "tags": "oops"}.items():
        refused = api.post("/key/update", {"key": made["key"], "metadata": {name: value}})
        assert (refused.status in (400, 422), refused.fault) == (True, name)
    api.post("/team/new", {"team_id": "t", "tags": ["a"]})
    assert api.post("/team/update", {"team_id": "t", "metadata": {"tags": "oops"}}).json["data"]["tags"] == ["a"]
    row = VirtualKey.objects.get()
    assert (row.enforced_params, row.tags, Team.objects.get().metadata) == (["user"], ["a"], {"tags": ["a"]})


def test_a_raise_and_the_budget_of_new_customers_are_changed_inside_metadata_too(api: Api) -> None:
    for name in ("a", "b"):
        api.post("/budget/new", {"budget_id": name, "max_budget": 1})
    raised = {"temp_budget_increase": 1, "temp_budget_expiry": "2126-01-01T00:00:00Z", "end_user_budget_id": "a"}
    api.key(key=SECRET, max_budget=1, **raised)
    row = _read(api, "key")
    inside = {"temp_budget_expiry": "2127-01-01T00:00:00Z", "end_user_budget_id": "b"}
    assert api.post("/key/update", row | {"metadata": row["metadata"] | inside}).status == 200
    assert {name: _read(api, "key")[name] for name in inside} == inside
