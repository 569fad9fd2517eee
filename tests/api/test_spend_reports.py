"""/global/..., /spend/... and the reports of owners: every one of them adds up to the ledger, to the nano-USD."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum

from keys.models import VirtualKey
from spend import totals
from spend.models import LedgerEntry
from teams.models import Customer, Team, User
from teams.money import usd_from_nano
from tests.api.conftest import Api
from tests.api.spending import spend
from tests.factories import NOON, issue

MARCH = {"start_date": "2026-03-01", "end_date": "2026-03-31"}


@pytest.fixture
def keys(search: Team, grace: User, linus: User) -> list[VirtualKey]:
    """Grace's key in the team and Linus' own, with calls on two days; some with tags, one of a customer, one failed."""
    team_key, own = issue(team=search, user=grace, alias="team")[0], issue(user=linus, alias="own")[0]
    customer = Customer.objects.create(organization=search.organization, public_id="acme")
    spend(team_key, 1, tags=("batch",))
    spend(team_key, 20, at=NOON + timedelta(days=1), upstream_model="gpt-4o", provider="openai", tags=("batch", "eu"))
    spend(own, 300, customer_id=customer.pk)
    spend(own, 10**9, at=NOON + timedelta(days=1))
    spend(own, None)
    return [team_key, own]


def total() -> Decimal:
    return usd_from_nano(LedgerEntry.objects.aggregate(total=Sum("amount_nano"))["total"])


def test_every_report_adds_up_to_the_ledger(api: Api, keys: list[VirtualKey]) -> None:
    assert total() == Decimal("1.000000321")
    assert api.get("/global/spend", MARCH).json["spend"] == total()
    for path, field in (
        ("/spend/keys", "spend"), ("/spend/users", "spend"), ("/global/spend/keys", "total_spend"),
        ("/global/spend/models", "total_spend"), ("/global/spend/logs", "spend"), ("/global/spend/provider", "spend"),
        ("/key/spend/report", "total_cost"), ("/user/spend/report", "total_cost"),
        ("/organization/spend/report", "total_cost"),
    ):  # fmt: skip
        rows = api.get(path, MARCH).json
        assert sum(row[field] for row in rows) == total(), path
    by_key = api.get("/global/spend/report", MARCH | {"group_by": "api_key"}).json
    assert sum(row["total_cost"] for row in by_key) == total()
    teams = api.get("/global/spend/teams", MARCH).json
    assert sum(row["total_spend"] for row in teams["total_spend_per_team"]) == total()
    assert sum(sum(v for k, v in day.items() if k != "date") for day in teams["daily_spend"]) == total()
    report = api.get("/global/spend/report", MARCH).json
    assert sum(team["total_spend"] for day in report for team in day["teams"]) == total()
    assert sum(part["spend"] for day in report for team in day["teams"] for part in team["metadata"]) == total()


def test_the_report_has_the_shape_of_the_contract(api: Api, keys: list[VirtualKey]) -> None:
    first, second = api.get("/global/spend/report", MARCH).json
    assert (first["group_by_day"], second["group_by_day"]) == ("2026-03-10", "2026-03-11")
    (team,) = [row for row in first["teams"] if row["team_name"] == "search"]
    part = {"model": "latchkey-demo", "spend": Decimal("0.000000001"), "total_tokens": 12, "api_key": keys[0].token}
    assert team == {"team_name": "search", "total_spend": Decimal("0.000000001"), "metadata": [part]}
    (day,) = api.get("/global/spend/report", MARCH | {"group_by": "customer"}).json
    assert [(row["customer"], row["total_spend"]) for row in day["customers"]] == [("acme", Decimal("0.0000003"))]


def test_a_report_of_one_owner_shows_its_models(api: Api, keys: list[VirtualKey], linus: User) -> None:
    for query in ({"api_key": keys[1].token}, {"internal_user_id": linus.public_id}):
        (row,) = api.get("/global/spend/report", MARCH | query).json
        assert (row["api_key"], row["total_cost"]) == (keys[1].token, Decimal("1.0000003"))
        assert [part["model"] for part in row["model_details"]] == ["latchkey-demo"]
    assert api.get("/global/spend/report").json["detail"]["error"].startswith("start_date")
    assert api.get("/global/spend/report", MARCH | {"group_by": "x"}).status == 400


def test_those_who_spent_little_are_summed_up(
    api: Api, keys: list[VirtualKey], linus: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "MOST", 1)
    monkeypatch.setattr(totals, "LEAST", 1)
    report = api.get("/global/spend/report", MARCH).json
    parts = [part for day in report for team in day["teams"] for part in team["metadata"]]
    assert {part["api_key"] for part in parts} == {"", keys[1].token}
    assert sum(part["spend"] for part in parts) == total()
    for path, field, names in (
        ("/key/spend/report", "api_key", {"", keys[1].token}), ("/user/spend/report", "user_id", {"", linus.public_id}),
    ):  # fmt: skip
        rows = api.get(path, MARCH).json
        assert {row[field] for row in rows} == names, path
        assert sum(row["total_cost"] for row in rows) == total(), path
    logs = api.get("/spend/logs", MARCH).json
    assert sum(row["spend"] for row in logs) == sum(sum(row["users"].values()) for row in logs) == total()
    assert {name for row in logs for name in row["users"]} == {"", linus.public_id}


def test_who_spent_nothing_is_not_left_over_under_an_empty_name(
    api: Api, keys: list[VirtualKey], search: Team, grace: User
) -> None:
    spend(issue(team=search, user=grace)[0], None)
    spend(issue(team=search)[0], None)
    for query, field, names in (
        ({}, "team_name", {"search", "Unassigned Team"}), ({"group_by": "customer"}, "customer", {"acme"}),
    ):  # fmt: skip
        days = api.get("/global/spend/report", MARCH | query).json
        rows = [row for day in days for row in day["teams" if not query else "customers"]]
        assert {row[field] for row in rows} == names
        parts = [part for row in rows for part in row["metadata"]]
        assert parts and all(part["api_key"] for part in parts), rows
    assert api.get("/global/spend/teams", MARCH).json["teams"] == ["Unassigned Team", "search"]
    for path, name in (
        ("/team/spend/report", "team_id"), ("/user/spend/report", "user_id"), ("/key/spend/report", "api_key"),
        ("/global/spend/report", "api_key"), ("/global/activity/cache_hits", "api_key"),
    ):  # fmt: skip
        rows = api.get(path, {**MARCH, "group_by": "api_key"}).json
        assert rows and all(row[name] for row in rows), path
    logs = api.get("/spend/logs", MARCH).json
    assert any(log["users"] for log in logs)
    assert [log for log in logs if "" in {*log, *log["users"]}] == []


def test_tags_count_a_call_once_for_each(api: Api, keys: list[VirtualKey]) -> None:
    shown = api.get("/spend/tags", MARCH).json
    assert [(row["individual_request_tag"], row["log_count"], row["total_spend"]) for row in shown] == [
        ("batch", 2, Decimal("0.000000021")), ("eu", 1, Decimal("0.00000002")),
    ]  # fmt: skip
    assert [row["name"] for row in api.get("/global/spend/tags", MARCH | {"tags": "eu"}).json["spend_per_tag"]] == [
        "eu"
    ]
    assert api.get("/global/spend/all_tag_names").json == {"tag_names": ["batch", "eu"]}


def test_activity_counts_calls_tokens_and_failures(api: Api, keys: list[VirtualKey]) -> None:
    shown = api.get("/global/activity", MARCH).json
    assert (shown["sum_api_requests"], shown["sum_total_tokens"]) == (4, 48)
    assert shown["daily_data"][0] == {"date": "Mar 10", "api_requests": 2, "total_tokens": 24}
    models = api.get("/global/activity/model", MARCH).json
    assert [(row["model"], row["sum_api_requests"]) for row in models] == [("latchkey-demo", 3), ("gpt-4o", 1)]
    failed = api.get("/global/activity/exceptions", MARCH).json
    assert (failed["sum_num_exceptions"], failed["sum_num_rate_limit_exceptions"]) == (1, 0)
    (deployment,) = api.get("/global/activity/exceptions/deployment", MARCH | {"model_group": "demo"}).json
    assert (deployment["model_id"], deployment["sum_num_exceptions"]) == ("deployment-1", 1)
    hits = api.get("/global/activity/cache_hits", MARCH).json
    assert (sum(row["total_rows"] for row in hits), sum(row["cache_hit_true_rows"] for row in hits)) == (4, 0)


def test_customers_by_what_they_spent(api: Api, keys: list[VirtualKey]) -> None:
    body = {"startTime": "2026-03-01", "endTime": "2026-03-31"}
    row = {"end_user": "acme", "total_count": 1, "total_spend": Decimal("0.0000003")}
    assert api.post("/global/spend/end_users", body).json == [row]
    assert api.post("/global/spend/end_users", body | {"api_key": keys[0].token}).json == []
    assert api.get("/global/all_end_users").json == {"end_users": ["acme"]}


def test_a_team_by_its_people(api: Api, keys: list[VirtualKey], search: Team, grace: User) -> None:
    shown = api.get("/team/spend/by_user", MARCH | {"team_id": search.public_id}).json
    assert shown["total_spend"] == Decimal("0.000000021")
    assert [(row["user_id"], row["api_requests"]) for row in shown["results"]] == [(grace.public_id, 2)]


def test_the_ledger_is_neither_reset_nor_refreshed(api: Api, keys: list[VirtualKey]) -> None:
    for path, reason in (("reset", "append-only"), ("refresh", "nothing to refresh")):
        answer = api.post(f"/global/spend/{path}")
        assert answer.status == 400
        assert reason in answer.json["detail"]["error"]
    assert total() == Decimal("1.000000321")


def test_without_dates_the_last_thirty_days_are_told(api: Api, keys: list[VirtualKey]) -> None:
    assert api.get("/global/spend").json["spend"] == 0
    assert len(api.get("/spend/keys").json) == 2


def test_people_see_their_own_and_what_they_lead(
    api: Api, keys: list[VirtualKey], search: Team, grace: User, linus: User
) -> None:
    leader, own, nobody = issue(user=grace)[1], issue(user=linus)[1], issue()[1]
    for secret, amount in ((leader, "0.000000021"), (own, "1.0000003"), (nobody, "0")):
        rows = api.get("/spend/keys", MARCH, bearer=secret).json
        assert sum(row["spend"] for row in rows) == Decimal(amount)
    assert api.get("/team/spend/report", MARCH | {"team_id": search.public_id}, bearer=own).json == []
    assert sum(row["spend"] for row in api.get("/global/spend/provider", MARCH, bearer=own).json) == Decimal(
        "1.0000003"
    )


@pytest.mark.parametrize("path", ["/global/spend", "/global/spend/logs", "/global/spend/report", "/global/spend/teams"])
def test_sums_of_everybody_are_for_admins(api: Api, linus: User, path: str) -> None:
    for bearer in (issue(user=linus)[1], issue()[1]):
        assert api.get(path, MARCH, bearer=bearer).status == 401
    viewer = User.objects.create(username="v", public_id="v", role="proxy_admin_viewer")
    assert api.get(path, MARCH, bearer=issue(user=viewer)[1]).status == 200
