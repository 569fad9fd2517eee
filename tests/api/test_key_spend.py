"""/key/{key}/reset_spend: what a budget counts is set back, and the ledger keeps every charge."""

from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from keys.models import VirtualKey
from spend import services as ledger
from spend.models import LedgerEntry, SpendReset
from spend.rollups import counted_by_slice
from spend.wire import CounterRef
from teams.models import AuditEvent, Organization, Team, User
from teams.rows import current_window
from tests.api.conftest import Api
from tests.factories import intent_for, issue, posting_of


def spend(key: VirtualKey, nano: int) -> None:
    key.organization.refresh_from_db()
    intent = intent_for(key, at=timezone.now())
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, nano)], now=timezone.now())


def counted(key: VirtualKey) -> int:
    """What the gateway's `load_counter` reads for the key's main counter."""
    ref = CounterRef(key.scope, "", current_window(key, timezone.now()))
    return sum(counted_by_slice(ref).values())


@pytest.mark.parametrize("duration", ["", "30d", "rolling 24h"])
def test_the_budget_counts_from_the_new_amount_on(api: Api, organization: Organization, duration: str) -> None:
    key = issue(max_budget_nano=10 * 10**9, budget_duration=duration)[0]
    spend(key, 8 * 10**9)
    answer = api.post(f"/key/{key.token}/reset_spend", {"reset_to": 2})
    assert answer.status == 200
    assert (answer.json["key_hash"], answer.json["spend"], answer.json["previous_spend"]) == (key.token, 2, 8)
    assert answer.json.keys() == {"key_hash", "spend", "previous_spend", "max_budget", "budget_reset_at"}
    assert counted(key) == 2 * 10**9
    spend(key, 10**9)
    assert counted(key) == 3 * 10**9
    assert api.get("/key/info", {"key": key.token}).json["info"]["spend"] == 3
    again = api.post(f"/key/{key.token}/reset_spend", {"reset_to": 0}).json
    assert (again["previous_spend"], again["spend"], counted(key)) == (3, 0, 0)


def test_a_reset_raises_the_epoch_is_audited_and_changes_no_charge(api: Api, organization: Organization) -> None:
    key = issue(max_budget_nano=10**10)[0]
    spend(key, 10**9)
    api.post(f"/key/{key.token}/reset_spend", {"reset_to": 0})
    assert [entry.amount_nano for entry in LedgerEntry.objects.all()] == [10**9]
    assert Organization.objects.get(pk=organization.pk).epoch == organization.epoch + 1
    event = AuditEvent.objects.get(action="key.spend_reset")
    assert (event.before, event.after) == ({"spend_nano": 10**9}, {"spend_nano": 0})
    assert counted(key) == 0
    whole = CounterRef(organization.scope, "", current_window(organization, timezone.now()))
    assert sum(counted_by_slice(whole).values()) == 10**9


def test_the_further_windows_of_the_key_are_cleared(api: Api) -> None:
    key = issue(
        max_budget_nano=10**10, budget_limits=[{"duration": "1d", "max_nano": 10**10}],
        model_limits={"demo": {"max_nano": 10**10}},
    )[0]  # fmt: skip
    spend(key, 10**9)
    api.post(f"/key/{key.token}/reset_spend", {"reset_to": 1})
    info = api.get("/key/info", {"key": key.token}).json["info"]
    assert info["spend"] == 1
    assert [window["spend"] for window in info["budget_limits_usage"]] == [0]
    assert info["model_max_budget_usage"]["demo"]["spend"] == 0


@pytest.mark.parametrize(("amount", "status"), [(-1, 400), (3, 400), (2, 400), ("x", 422), (None, 422), (1, 200)])
def test_the_new_amount_lies_within_what_was_spent_and_the_budget(api: Api, amount: Any, status: int) -> None:
    key = issue(max_budget_nano=10**9)[0]
    spend(key, 2 * 10**9 + 5)
    answer = api.post(f"/key/{key.token}/reset_spend", {"reset_to": amount})
    assert answer.status == status
    assert status == 200 or "reset_to" in answer.text
    assert SpendReset.objects.exists() is (status == 200)


def test_who_leads_resets_and_nobody_else(api: Api, grace: User, linus: User, search: Team) -> None:
    key, own = issue(team=search)[0], issue(user=linus)
    path = f"/key/{key.token}/reset_spend"
    assert api.post(path, {"reset_to": 0}, bearer=issue(user=grace)[1]).status == 200
    assert api.post(path, {"reset_to": 0}, bearer=own[1]).status == 403
    assert api.post(f"/key/{own[0].token}/reset_spend", {"reset_to": 0}, bearer=issue(user=grace)[1]).status == 403
    assert api.post(f"/key/{'0' * 64}/reset_spend", {"reset_to": 0}).status == 404


def test_admins_may_name_the_spend_in_an_update(api: Api, linus: User) -> None:
    key, bearer = issue(user=linus)
    spend(key, 10**9)
    assert api.post("/key/update", {"key": key.token, "spend": 0}, bearer=bearer).json["spend"] == 1
    assert api.post("/key/update", {"key": key.token, "spend": 1}).json["spend"] == 1
    assert not SpendReset.objects.exists()
    assert api.post("/key/update", {"key": key.token, "spend": 0}).json["spend"] == 0
    refused = api.post("/key/update", {"key": key.token, "spend": -5})
    assert (refused.status, refused.error["param"]) == (400, "spend")
    assert "reset_to" not in refused.text


def test_whoever_is_no_admin_may_only_send_back_what_is_spent(api: Api, linus: User) -> None:
    key, bearer = issue(user=linus)
    spend(key, 10**9)
    assert api.post("/key/update", {"key": key.token, "spend": 1.0, "key_alias": "a"}, bearer=bearer).status == 200
    refused = api.post("/key/update", {"key": key.token, "spend": 2, "key_alias": "b"}, bearer=bearer)
    assert (refused.status, refused.error["param"]) == (403, "spend")
    assert not SpendReset.objects.exists()


@pytest.mark.parametrize("duration", ["", "30d", "rolling 24h"])
def test_what_is_carried_over_counts_beside_what_is_spent_here(api: Api, duration: str) -> None:
    made = api.key(max_budget=10, spend=6, budget_duration=duration or None)
    key = VirtualKey.objects.get(token=made["token"])
    assert (made["spend"], counted(key)) == (6, 6 * 10**9)
    spend(key, 10**9)
    assert counted(key) == 7 * 10**9
    assert api.get("/key/list", {"return_full_object": "true", "key_hash": key.token}).json["keys"][0]["spend"] == 7
    assert api.post("/key/update", {"key": key.token, "spend": 12}).json["spend"] == 12
    assert counted(key) == 12 * 10**9
    assert api.post(f"/key/{key.token}/reset_spend", {"reset_to": 11}).status == 400
    assert api.post(f"/key/{key.token}/reset_spend", {"reset_to": 3}).json["previous_spend"] == 12
    assert counted(key) == 3 * 10**9
    assert api.post(f"/key/{key.token}/reset_spend", {"reset_to": 0}).json["spend"] == 0
    spend(key, 5)
    assert counted(key) == 5
    assert sum(LedgerEntry.objects.values_list("amount_nano", flat=True)) == 10**9 + 5


def test_what_is_carried_over_leaves_the_further_windows_and_all_above(api: Api, search: Team) -> None:
    model = {"demo": {"budget_limit": 10, "time_period": "1d"}}
    windows = [{"budget_duration": "1d", "max_budget": 10}]
    made = api.key(team_id=search.public_id, budget_limits=windows, model_max_budget=model)
    key = VirtualKey.objects.get(token=made["token"])
    spend(key, 10**9)
    api.post("/key/update", {"key": key.token, "spend": 5})
    info = api.get("/key/info", {"key": key.token}).json["info"]
    assert (info["spend"], [window["spend"] for window in info["budget_limits_usage"]]) == (5, [1])
    assert info["model_max_budget_usage"]["demo"]["spend"] == 1
    above = CounterRef(key.organization.scope, "", current_window(key.organization, timezone.now()))
    assert sum(counted_by_slice(above).values()) == 10**9


def test_what_is_new_ends_no_epoch_and_what_is_raised_does(api: Api, organization: Organization) -> None:
    made = api.key(spend=1)
    assert Organization.objects.get(pk=organization.pk).epoch == organization.epoch
    api.post("/key/update", {"key": made["token"], "spend": 2})
    assert Organization.objects.get(pk=organization.pk).epoch == organization.epoch + 1


def test_resets_are_append_only(api: Api) -> None:
    key = issue()[0]
    spend(key, 10**9)
    api.post(f"/key/{key.token}/reset_spend", {"reset_to": 0})
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        SpendReset.objects.update(amount_nano=1)
