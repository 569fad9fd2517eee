"""`spend` in bodies about people, teams and customers: what their budget counts from now on."""

from typing import Any

import pytest
from django.utils import timezone

from spend import services as ledger
from spend.models import LedgerEntry, SpendReset
from teams.models import AuditEvent, Customer, Limits, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of
from tests.factories import intent_for, issue, posting_of


def _spent(scope: Limits, nano: int = 8 * 10**9) -> None:
    key, _ = issue()
    intent = intent_for(key, at=timezone.now(), scopes=(key.organization.scope, scope.scope, key.scope))
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, nano)], now=timezone.now())


@pytest.fixture
def spenders(api: Api, search: Team, grace: User) -> dict[str, tuple[str, dict[str, Any]]]:
    """Path and body of an update of one of each kind, each of which has spent 8 USD."""
    api.post("/customer/new", {"user_id": "acme"})
    for scope in (search, grace, Customer.objects.get()):
        _spent(scope)
    return {
        "team": ("/team/update", {"team_id": search.public_id}),
        "user": ("/user/update", {"user_id": grace.public_id}),
        "customer": ("/customer/update", {"user_id": "acme"}),
    }


def _shown(answer: Any) -> Any:
    return answer.json.get("data", answer.json)["spend"]


@pytest.mark.parametrize("kind", ["team", "user", "customer"])
def test_an_admin_sets_back_what_a_budget_counts(api: Api, spenders: dict[str, Any], kind: str) -> None:
    path, body = spenders[kind]
    for unchanged in ({}, {"spend": None}, {"spend": 8}, {"spend": "8.0"}):
        assert _shown(api.post(path, body | unchanged)) == 8
    assert not SpendReset.objects.exists()
    assert _shown(api.post(path, body | {"spend": 2.5})) == 2.5
    assert _shown(api.post(path, body | {"spend": 0})) == 0
    assert [entry.amount_nano for entry in LedgerEntry.objects.all()] == [8 * 10**9] * 3
    assert AuditEvent.objects.filter(action=f"{kind}.spend_reset").count() == 2


@pytest.mark.parametrize("kind", ["team", "user", "customer"])
@pytest.mark.parametrize(("spend", "status"), [("xxx", 422), ({}, 422), (True, 422), (-1, 400), ("NaN", 400), (9, 400)])
def test_another_amount_is_refused_by_name_and_nothing_is_changed(
    api: Api, spenders: dict[str, Any], kind: str, spend: Any, status: int
) -> None:
    path, body = spenders[kind]
    answer = api.post(path, body | {"spend": spend, "max_budget": 77})
    assert (answer.status, answer.fault) == (status, "spend")
    assert api.post(path, body).json.get("data", api.post(path, body).json)["max_budget"] is None


def test_in_bulk_an_amount_counts_for_each(api: Api, spenders: dict[str, Any], grace: User, linus: User) -> None:
    patches = [{"user_id": grace.public_id, "spend": 0}, {"user_id": linus.public_id, "spend": 1}]
    answer = api.post("/user/bulk_update", {"users": patches}).json
    assert (answer["successful_updates"], answer["failed_updates"]) == (1, 1)
    assert answer["results"][0]["updated_user"]["spend"] == 0
    assert "spend" in answer["results"][1]["error"]


def test_nobody_else_sets_it_back(api: Api, spenders: dict[str, Any], grace: User) -> None:
    bearer = key_of(grace)
    for path, body in (spenders["team"], spenders["user"]):
        answer = api.post(path, body | {"spend": 0}, bearer=bearer)
        assert (answer.status, answer.error["param"]) == (403, "spend")
        assert api.post(path, body | {"spend": 8}, bearer=bearer).status == 200
    assert not SpendReset.objects.exists()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/user/new", {"auto_create_key": False}),
        ("/team/new", {}),
        ("/customer/new", {"user_id": "c"}),
        ("/key/generate", {}),
    ],
)
def test_what_is_new_has_spent_nothing(api: Api, path: str, body: dict[str, Any]) -> None:
    for spend, status in ((3, 400), (1e-3, 400), ("xxx", 422)):
        answer = api.post(path, body | {"spend": spend})
        assert (answer.status, answer.fault) == (status, "spend")
    assert api.post(path, body | {"spend": 0}).status == 200
    other = body | {name: f"{value}2" for name, value in body.items() if name == "user_id"}
    assert api.post(path, other | {"spend": None}).status == 200
