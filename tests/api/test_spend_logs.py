"""The spend log beyond single charges: failures, sessions, caps, and who sees what."""

from datetime import timedelta
from typing import Any

import pytest

from spend import api as spend_api
from spend import logs
from teams.models import Team, User
from tests.api.conftest import Api
from tests.api.spending import DAY, spend
from tests.factories import NOON, issue

V2 = "/spend/logs/v2"


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Every test here makes calls."""


def calls(answer: Any) -> list[str]:
    return [row["litellm_call_id"] for row in answer]


def test_a_failed_attempt_is_shown_for_what_it_is(api: Api) -> None:
    key, _ = issue()
    spend(key, None, request_id="broken")
    (row,) = api.get("/spend/logs", {"request_id": "broken"}).json
    assert (row["status"], row["spend"], row["total_tokens"], row["endTime"]) == ("failure", 0, 0, None)
    assert (row["metadata"]["status"], row["metadata"]["error_information"]) == ("failure", None)
    assert api.get("/spend/logs/ui/broken").json == row


def test_failures_stand_in_order_between_charges(api: Api) -> None:
    key, _ = issue()
    for n in range(5):
        spend(key, 10 * n if n % 2 else None, at=NOON + timedelta(minutes=n), request_id=f"r{n}")
    assert calls(api.get("/spend/logs").json) == ["r4", "r3", "r2", "r1", "r0"]
    assert calls(api.get(V2, DAY | {"page": 2, "page_size": 2}).json["data"]) == ["r2", "r1"]
    by_spend = api.get(V2, DAY | {"sort_by": "spend", "sort_order": "desc"}).json
    assert calls(by_spend["data"])[:2] == ["r3", "r1"]
    assert by_spend["total"] == 5
    for status, shown in (("success", ["r3", "r1"]), ("failure", ["r4", "r2", "r0"])):
        assert calls(api.get(V2, DAY | {"status_filter": status}).json["data"]) == shown
    assert calls(api.get(V2, DAY | {"min_spend": "0.00000001"}).json["data"]) == ["r3", "r1"]


def test_what_the_books_do_not_know_finds_nothing(api: Api) -> None:
    key, _ = issue()
    spend(key, 1)
    spend(key, None)
    for query in ({"error_code": "429"}, {"error_message": "x"}, {"cache_hit_filter": "true"}, {"session_id": "x"}):
        assert api.get(V2, DAY | query).json["total"] == 0, query


def test_attempts_of_one_call_are_one_session(api: Api) -> None:
    key, _ = issue()
    spend(key, None, request_id="call", attempt=1)
    spend(key, 7, request_id="call", attempt=2, at=NOON + timedelta(seconds=1), response_id="chatcmpl-9")
    spend(key, 8, request_id="other")
    shown = api.get("/spend/logs/session/ui", {"session_id": "call"}).json
    assert [row["status"] for row in shown["data"]] == ["failure", "success"]
    assert shown["data"][1]["session_id"] == "call"
    assert api.get("/spend/logs/session/ui").fault == "session_id"
    assert api.get("/spend/logs/ui/chatcmpl-9").json["messages"] == {}
    assert api.get("/spend/logs/ui/unknown").status == 404


def test_a_search_finds_any_id_of_a_row(api: Api, search: Team, grace: User) -> None:
    key, secret = issue(team=search, user=grace, alias="reports")
    other, _ = issue()
    spend(key, 1, request_id="mine", response_id="chatcmpl-1")
    spend(other, 2, request_id="other")
    for text in ("mine", "chatcmpl-1", secret, key.token, "reports", search.public_id, grace.public_id):
        assert calls(api.get(V2, DAY | {"search": text}).json["data"]) == ["mine"], text
    for name, value in (("team_id", search.public_id), ("user_id", grace.public_id), ("key_alias", "reports")):
        assert calls(api.get("/spend/logs/ui", DAY | {name: value}).json["data"]) == ["mine"], name


def test_counting_and_turning_pages_stop_at_a_cap(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST", 3)
    monkeypatch.setattr(spend_api, "MOST", 3)
    key, _ = issue()
    for n in range(4):
        spend(key, n, at=NOON + timedelta(minutes=n), request_id=f"r{n}")
    shown = api.get(V2, DAY | {"page_size": 2}).json
    assert (shown["total"], shown["total_pages"], shown["total_is_capped"]) == (3, 2, True)
    assert api.get(V2, DAY | {"page_size": 2, "page": 3}).error["param"] == "page"
    rows = api.get("/spend/logs")
    assert (calls(rows.json), rows.headers["x-litellm-spend-logs-truncated"]) == (["r3", "r2", "r1"], "true")


def test_what_no_index_knows_is_looked_for_among_the_newest(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST", 3)
    key, _ = issue()
    for n in range(5):
        spend(key, 9 - n, at=NOON + timedelta(minutes=n), request_id=f"r{n}", model="old" if n < 2 else "new")
    dearest = api.get(V2, DAY | {"sort_by": "spend", "page_size": 1}).json
    assert (calls(dearest["data"]), dearest["total"], dearest["total_is_capped"]) == (["r2"], 3, True)
    for query, found in (({"model": "old"}, []), ({"min_spend": "0.000000007"}, ["r2"])):
        shown = api.get(V2, DAY | query).json
        assert (calls(shown["data"]), shown["total_is_capped"]) == (found, True)
    few = api.get(V2, DAY | {"sort_by": "spend", "request_id": "r0"}).json
    assert (calls(few["data"]), few["total_is_capped"]) == (["r0"], False)


def test_everybody_sees_their_own_calls_and_those_of_whom_they_lead(
    api: Api, search: Team, grace: User, linus: User
) -> None:
    _, leader = issue(user=grace)
    mine, own = issue(user=linus)
    spend(issue(team=search)[0], 1, request_id="team")
    spend(mine, 2, request_id="mine")
    plain, nobody = issue()
    spend(plain, 4, request_id="plain")
    seen = {leader: ["team"], own: ["mine"], nobody: ["plain"]}
    for secret, shown in seen.items():
        assert calls(api.get("/spend/logs", bearer=secret).json) == shown
        assert calls(api.get(V2, DAY, bearer=secret).json["data"]) == shown
        (day,) = api.get("/spend/logs", DAY, bearer=secret).json
        assert day["spend"] == sum(row["spend"] for row in api.get("/spend/logs", bearer=secret).json)
        assert api.get("/spend/logs/ui/team", bearer=secret).status == (200 if secret == leader else 404)
    assert api.get("/spend/logs", {"user_id": linus.public_id}, bearer=leader).json == []
    assert len(api.get("/spend/logs").json) == 3
