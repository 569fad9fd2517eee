"""`spend` in bodies about people, teams and customers: what their budget counts from now on."""

from typing import Any

import pytest
from django.utils import timezone

from spend import services as ledger
from spend.models import LedgerEntry, SpendReset
from teams.models import AuditEvent, Customer, Limits, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person
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
def test_an_admin_carries_over_what_was_spent_elsewhere(api: Api, spenders: dict[str, Any], kind: str) -> None:
    path, body = spenders[kind]
    assert _shown(api.post(path, body | {"spend": 20})) == 20
    assert _shown(api.post(path, body | {"spend": 9.5})) == 9.5
    assert _shown(api.post(path, body | {"spend": 0})) == 0
    assert [entry.amount_nano for entry in LedgerEntry.objects.all()] == [8 * 10**9] * 3


@pytest.mark.parametrize("kind", ["team", "user", "customer"])
@pytest.mark.parametrize(("spend", "status"), [("xxx", 422), ({}, 422), (True, 422), (-1, 400), ("NaN", 400)])
def test_another_amount_is_refused_by_name_and_nothing_is_changed(
    api: Api, spenders: dict[str, Any], kind: str, spend: Any, status: int
) -> None:
    path, body = spenders[kind]
    answer = api.post(path, body | {"spend": spend, "max_budget": 77})
    assert (answer.status, answer.fault) == (status, "spend")
    assert api.post(path, body).json.get("data", api.post(path, body).json)["max_budget"] is None


def test_in_bulk_an_amount_counts_for_each(api: Api, spenders: dict[str, Any], grace: User, linus: User) -> None:
    patches = [{"user_id": grace.public_id, "spend": 0}, {"user_id": linus.public_id, "spend": -1}]
    answer = api.post("/user/bulk_update", {"users": patches}).json
    assert (answer["successful_updates"], answer["failed_updates"]) == (1, 1)
    assert answer["results"][0]["updated_user"]["spend"] == 0
    assert "an amount lies between" in answer["results"][1]["error"]


def test_nobody_else_sets_it_back(api: Api, spenders: dict[str, Any], grace: User) -> None:
    bearer = key_of(grace)
    for path, body in (spenders["team"], spenders["user"]):
        answer = api.post(path, body | {"spend": 0}, bearer=bearer)
        assert (answer.status, answer.error["param"]) == (403, "spend")
        assert api.post(path, body | {"spend": 8}, bearer=bearer).status == 200
    assert not SpendReset.objects.exists()


_NEW: list[tuple[str, dict[str, Any]]] = [
    ("/user/new", {"auto_create_key": False}), ("/team/new", {}), ("/customer/new", {"user_id": "c"}),
    ("/key/generate", {}), ("/key/generate", {"budget_duration": "rolling 24h"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), _NEW)
def test_what_is_new_begins_with_what_it_spent_before(api: Api, path: str, body: dict[str, Any]) -> None:
    made = api.post(path, body | {"spend": 2.5, "max_budget": 2})
    assert (made.status, made.json["spend"]) == (200, 2.5)
    event = AuditEvent.objects.get(action__endswith=".spend_reset")
    assert (event.before, event.after) == ({"spend_nano": 0}, {"spend_nano": 2_500_000_000})
    assert not LedgerEntry.objects.exists()


@pytest.mark.parametrize(("path", "body"), _NEW)
def test_what_is_new_has_spent_nothing_unless_it_says_so(api: Api, path: str, body: dict[str, Any]) -> None:
    for spend, status in ((-3, 400), ("NaN", 400), ("xxx", 422)):
        answer = api.post(path, body | {"spend": spend})
        assert (answer.status, answer.fault) == (status, "spend")
    assert api.post(path, body | {"spend": 0}).json["spend"] == 0
    other = body | {name: f"{value}2" for name, value in body.items() if name == "user_id"}
    assert api.post(path, other | {"spend": None}).json["spend"] == 0
    assert not SpendReset.objects.exists()


def test_only_platform_admins_say_what_was_spent_before(api: Api, search: Team, grace: User) -> None:
    bearer = key_of(grace)
    for path, body in (("/key/generate", {}), ("/key/generate", {"team_id": search.public_id})):
        answer = api.post(path, body | {"spend": 0.5}, bearer=bearer)
        assert (answer.status, answer.error["param"]) == (403, "spend")
        assert api.post(path, body | {"spend": 0}, bearer=bearer).status == 200


def test_who_leads_an_organization_makes_nothing_that_has_spent(api: Api) -> None:
    olga = person("olga")
    home = organization_of("home", olga)
    for path in ("/team/new", "/user/new"):
        answer = api.post(path, {"organization_id": home.public_id, "spend": 1}, bearer=key_of(olga))
        assert (answer.status, answer.error["param"]) == (403, "spend")
