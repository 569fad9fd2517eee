"""/{user,team,...}/daily/activity: per day and everything the books tell apart, in the days of any zone."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from keys.models import VirtualKey
from spend import daily_api, services
from spend.models import LedgerEntry
from spend.pricing import Usage
from spend.wire import RefusedCall
from teams.actors import SYSTEM
from teams.models import Customer, Membership, Team, User
from teams.services import add_member
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of
from tests.api.spending import spend
from tests.factories import NOON, intent_for, issue

MARCH = {"start_date": "2026-03-01", "end_date": "2026-03-31"}
KINDS = ("models", "model_groups", "providers", "endpoints", "api_keys", "entities")


@pytest.fixture
def keys(search: Team, grace: User, linus: User) -> list[VirtualKey]:
    """Calls of a team's and of a person's key around a midnight, one of them failed."""
    team_key, own = issue(team=search, user=grace, alias="team")[0], issue(user=linus, alias="own")[0]
    customer = Customer.objects.create(organization=search.organization, public_id="acme")
    midnight = datetime(2026, 3, 11, tzinfo=UTC)
    for n, minutes in enumerate((-600, -61, -60, -1, 0, 1, 59, 60, 329, 330, 1439)):
        spend(team_key, 2**n, at=midnight + timedelta(minutes=minutes), tags=("a", "b")[: n % 3])
    spend(own, 10**6, upstream_model="gpt-4o", provider="openai", call_type="embedding", customer_id=customer.pk,
          usage=Usage(input=9, output=4, cached=3, cache_write=2))  # fmt: skip
    spend(own, None, tags=("a",))
    return [team_key, own]


def days(api: Api, path: str, **query: Any) -> dict[str, Any]:
    answer = api.get(path, MARCH | {"page_size": 1000} | query)
    assert answer.status == 200, answer.text
    return {row["date"]: row for row in answer.json["results"]}


def test_a_day_has_the_shape_of_the_contract(api: Api, keys: list[VirtualKey], linus: User) -> None:
    answer = api.get("/user/daily/activity", MARCH | {"user_id": linus.public_id})
    (day,) = answer.json["results"]
    assert day["date"] == "2026-03-10"
    assert day["metrics"] == {
        "spend": Decimal("0.001"), "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
        "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2, "successful_requests": 1, "failed_requests": 1,
        "api_requests": 2,
    }  # fmt: skip
    parts = day["breakdown"]
    assert parts.keys() == {*KINDS, "mcp_servers"}
    assert parts["models"]["gpt-4o"]["metrics"]["spend"] == Decimal("0.001")
    assert parts["providers"]["openai"]["api_key_breakdown"][keys[1].token]["metadata"]["key_alias"] == "own"
    assert parts["endpoints"].keys() == {"/embeddings", "/chat/completions"}
    assert parts["entities"].keys() == {linus.public_id}
    metadata = answer.json["metadata"]
    assert (metadata["total_spend"], metadata["total_failed_requests"]) == (Decimal("0.001"), 1)
    assert (metadata["page"], metadata["total_pages"], metadata["has_more"]) == (1, 1, False)


@pytest.mark.parametrize("minutes", [0, -60, 60, -330, 300, -840, 720])
def test_the_days_of_every_zone_add_up_to_the_ledger(api: Api, keys: list[VirtualKey], minutes: int) -> None:
    expected: dict[date, int] = {}
    for at, nano in LedgerEntry.objects.values_list("admitted_at", "amount_nano"):
        local = (at - timedelta(minutes=minutes)).date()
        expected[local] = expected.get(local, 0) + nano
    for path in ("/user/daily/activity", "/user/daily/activity/aggregated"):
        shown = days(api, path, timezone=minutes)
        assert {day: row["metrics"]["spend"] for day, row in shown.items()} == {
            str(day): Decimal(nano).scaleb(-9) for day, nano in expected.items()
        }
        for row in shown.values():
            for kind in KINDS:
                parts = row["breakdown"][kind].values()
                assert sum(part["metrics"]["spend"] for part in parts) == row["metrics"]["spend"], kind


@pytest.mark.parametrize("minutes", [0, -60, 60, -840])
def test_attempts_that_failed_belong_to_their_day_in_every_zone(api: Api, keys: list[VirtualKey], minutes: int) -> None:
    midnight = datetime(2026, 3, 21, tzinfo=UTC)
    expected: dict[str, int] = {}
    for offset, tags in ((-59, ("a",)), (-58, ("a", "b")), (-58, ()), (1, ("b", "a")), (2, ("a",))):
        at = midnight + timedelta(minutes=offset)
        spend(keys[0], None, at=at, tags=tags)
        spend(keys[0], 1, at=at, tags=tags)
        local = str((at - timedelta(minutes=minutes)).date())
        expected[local] = expected.get(local, 0) + ("a" in tags)
    query = {"start_date": "2026-03-19", "timezone": minutes}
    for path in ("/tag/daily/activity", "/tag/daily/activity/aggregated"):
        shown = days(api, path, tags="a", **query)
        assert {day: row["metrics"]["failed_requests"] for day, row in shown.items()} == expected, path
        assert {day: row["metrics"]["successful_requests"] for day, row in shown.items()} == expected, path
    for path in ("/team/daily/activity", "/team/daily/activity/aggregated"):
        shown = days(api, path, **query)
        assert sum(row["metrics"]["failed_requests"] for row in shown.values()) == 5, path
        assert shown.keys() == expected.keys(), path


def test_a_range_cuts_the_days_of_a_zone_exactly(api: Api, keys: list[VirtualKey]) -> None:
    for minutes in (-330, 300):
        every = days(api, "/team/daily/activity", timezone=minutes)
        for day, row in every.items():
            alone = days(api, "/team/daily/activity", timezone=minutes, start_date=day, end_date=day)
            assert alone == {day: row}


def test_pages_together_are_everything(api: Api, keys: list[VirtualKey]) -> None:
    first = api.get("/user/daily/activity", MARCH | {"page_size": 2}).json
    pages = [first] + [
        api.get("/user/daily/activity", MARCH | {"page_size": 2, "page": page}).json
        for page in range(2, first["metadata"]["total_pages"] + 1)
    ]
    whole = api.get("/user/daily/activity/aggregated", MARCH).json["metadata"]
    for name in ("total_spend", "total_api_requests", "total_failed_requests", "total_tokens"):
        assert sum(page["metadata"][name] for page in pages) == whole[name], name
    assert [page["metadata"]["has_more"] for page in pages] == [True] * (len(pages) - 1) + [False]


def test_every_kind_of_owner_has_its_activity(api: Api, keys: list[VirtualKey], search: Team) -> None:
    organization = search.organization.public_id
    for path, name, spent in (
        ("/team/daily/activity", search.public_id, 2**11 - 1),
        ("/organization/daily/activity", organization, 2**11 - 1 + 10**6),
        ("/customer/daily/activity", "acme", 10**6), ("/end_user/daily/activity", "acme", 10**6),
    ):  # fmt: skip
        answer = api.get(path, MARCH).json
        assert {entity for row in answer["results"] for entity in row["breakdown"]["entities"]} == {name}, path
        assert answer["metadata"]["total_spend"] == Decimal(spent).scaleb(-9), path


@pytest.mark.parametrize("minutes", [0, -60])
def test_tags_count_each_call_that_has_them(api: Api, keys: list[VirtualKey], minutes: int) -> None:
    having = {"a": 0, "b": 0}
    for tags, nano in LedgerEntry.objects.values_list("tags", "amount_nano"):
        for tag in tags:
            having[tag] += nano
    for tag, nano in having.items():
        shown = api.get("/tag/daily/activity", MARCH | {"tags": tag, "timezone": minutes}).json
        assert shown["metadata"]["total_spend"] == Decimal(nano).scaleb(-9)
        assert shown["metadata"]["total_failed_requests"] == (tag == "a")
        assert {name for row in shown["results"] for name in row["breakdown"]["entities"]} == {tag}


def test_owners_keys_and_models_are_chosen(api: Api, keys: list[VirtualKey], search: Team) -> None:
    whole = Decimal(2**11 - 1).scaleb(-9)
    for query, spent in (
        ({"team_ids": search.public_id}, whole), ({"exclude_team_ids": search.public_id}, 0), ({"team_ids": "x"}, 0),
        ({"api_key": keys[0].token}, whole), ({"model": "gpt-4o"}, 0), ({"model": "demo"}, whole),
    ):  # fmt: skip
        assert api.get("/team/daily/activity", MARCH | query).json["metadata"]["total_spend"] == spent, query


def test_one_answer_names_the_keys_that_spent_most(
    api: Api, keys: list[VirtualKey], linus: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_api, "LEAST", 1)
    monkeypatch.setattr(daily_api, "MOST", 1)
    spend(issue(user=linus, alias="little")[0], 1)
    whole = api.get("/user/daily/activity/aggregated", MARCH | {"end_date": "2026-03-10"}).json
    (day,) = whole["results"]
    assert day["metrics"]["spend"] == Decimal(10**6 + 16).scaleb(-9)
    parts = day["breakdown"]
    for rows, names in ((parts["api_keys"], {"", keys[1].token}), (parts["entities"], {"", linus.public_id})):
        assert rows.keys() == names
        assert sum(row["metrics"]["spend"] for row in rows.values()) == day["metrics"]["spend"]
        assert sum(row["metrics"]["failed_requests"] for row in rows.values()) == 1
    assert parts["entities"][linus.public_id]["metrics"]["api_requests"] == 3


def test_one_answer_names_whose_calls_failed_or_were_refused(
    api: Api, keys: list[VirtualKey], search: Team, grace: User
) -> None:
    failed, refused = issue(team=search, user=grace)[0], issue(team=search, user=grace)[0]
    spend(failed, None)
    told: dict[str, Any] = {"at": NOON, "request_id": "r", "status": 400, "kind": "x", "message": "x", "tags": ()}
    owners = intent_for(refused).owners
    for n, model in enumerate(("demo", "")):
        call = RefusedCall(f"{n:032x}", owners, refused.token, call_type="chat", model=model, **told)
        services.note_refusals([call])
    for path in ("/user/daily/activity/aggregated", "/team/daily/activity/aggregated"):
        shown = days(api, path, end_date="2026-03-10")["2026-03-10"]["breakdown"]
        assert all("" not in shown[kind] for kind in KINDS), path
        numbers = [shown["api_keys"][key.token]["metrics"]["failed_requests"] for key in (failed, refused)]
        assert numbers == [1, 2]
        assert shown["models"]["demo"]["metrics"]["failed_requests"] == 1


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ({}, 400, "start_date"), ({"start_date": "2026-03-01"}, 400, "end_date"),
        (MARCH | {"timezone": "Berlin"}, 400, "timezone"), (MARCH | {"timezone": "7"}, 400, "timezone"),
        (MARCH | {"page": "0"}, 422, "page"), (MARCH | {"page_size": "1001"}, 422, "page_size"),
    ],
)  # fmt: skip
def test_a_bad_query_names_its_field(api: Api, query: dict[str, str], status: int, field: str) -> None:
    answer = api.get("/user/daily/activity", query)
    assert answer.status == status
    assert field in answer.told


def test_people_see_themselves_and_teams_they_lead(
    api: Api, keys: list[VirtualKey], search: Team, grace: User, linus: User
) -> None:
    leader, own, nobody = issue(user=grace)[1], issue(user=linus)[1], issue()[1]
    for secret, spent in ((leader, 2**11 - 1), (own, 10**6), (nobody, 0)):
        shown = api.get("/user/daily/activity", MARCH, bearer=secret).json
        assert shown["metadata"]["total_spend"] == Decimal(spent).scaleb(-9)
    shown = api.get("/team/daily/activity", MARCH | {"team_ids": search.public_id}, bearer=leader).json
    assert shown["metadata"]["total_spend"] == Decimal(2**11 - 1).scaleb(-9)
    stranger = api.get("/user/daily/activity", MARCH | {"user_id": grace.public_id}, bearer=own).json
    assert stranger["results"] == []


#: What is asked of a team or an organization, and the answer to who is not in it.
FOREIGN = [
    ("/team/daily/activity", "team_ids", 404), ("/team/daily/activity/aggregated", "team_id", 404),
    ("/team/daily/activity/export", "team_ids", 404), ("/team/spend/by_user", "team_id", 404),
    ("/organization/daily/activity", "organization_ids", 403),
    ("/organization/daily/activity/aggregated", "organization_ids", 403),
    ("/organization/daily/activity/export", "organization_id", 403),
]  # fmt: skip


@pytest.mark.parametrize(("path", "field", "status"), FOREIGN)
def test_whose_spend_is_not_ones_own_is_refused_as_if_there_were_none(
    api: Api, keys: list[VirtualKey], search: Team, linus: User, path: str, field: str, status: int
) -> None:
    own = key_of(linus)
    foreign = search.public_id if field.startswith("team") else organization_of("foreign").public_id
    refused, absent = (api.get(path, MARCH | {field: name}, bearer=own) for name in (foreign, "nothing"))
    assert (refused.status, absent.status) == (status, status)
    assert refused.told == absent.told.replace("nothing", foreign)
    assert status == 403 or f"User does not belong to Team={foreign}" in refused.told
    for bearer in (None, issue(extras={"permissions": {"get_spend_routes": True}})[1]):
        for name in (foreign, "nothing"):
            assert api.get(path, MARCH | {field: name}, bearer=bearer).status == 200


def test_members_ask_about_their_team_and_their_organization(
    api: Api, keys: list[VirtualKey], search: Team, linus: User
) -> None:
    add_member(Membership(team=search, user=linus), actor=SYSTEM)
    spend(issue(team=search, user=linus)[0], 5)
    organization = search.organization.public_id
    for secret in (key_of(linus), issue(team=search, user=linus)[1]):
        for path, query, spent in (
            ("/team/daily/activity", {"team_ids": search.public_id}, 5),
            ("/organization/daily/activity", {"organization_ids": organization}, 10**6 + 5),
        ):
            answer = api.get(path, MARCH | query, bearer=secret)
            assert answer.status == 200, answer.text
            assert answer.json["metadata"]["total_spend"] == Decimal(spent).scaleb(-9)
        shown = api.get("/team/spend/by_user", MARCH | {"team_id": search.public_id}, bearer=secret).json
        assert [row["user_id"] for row in shown["results"]] == [linus.public_id]
    both = {"team_ids": f"{search.public_id},nothing"}
    assert api.get("/team/daily/activity", MARCH | both, bearer=key_of(linus)).status == 404
