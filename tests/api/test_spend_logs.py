"""The spend log beyond single charges: failures, sessions, caps, and who sees what."""

from datetime import timedelta
from typing import Any

import pytest

from keys.grants import Owners
from keys.models import VirtualKey
from proxy.runtime.ids import hold_id
from spend import api as spend_api
from spend import logs
from spend import services as ledger
from spend.tasks import forget_refusals
from spend.wire import ORPHAN, RefusedCall
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
    assert (row["status"], row["spend"], row["total_tokens"]) == ("failure", 0, 0)
    assert (row["metadata"]["status"], row["metadata"]["error_information"]) == ("failure", None)
    assert api.get("/spend/logs/ui/broken").json == row


def test_a_call_that_was_served_tells_no_error(api: Api) -> None:
    spend(issue()[0], 5, request_id="fine")
    told = api.get("/spend/logs", {"request_id": "fine"}).json[0]["metadata"]
    assert (told["status"], told["error_information"], told["guardrail_information"]) == ("success", None, None)


def test_an_answer_that_was_no_stream_begins_when_it_is_there(api: Api) -> None:
    key, _ = issue()
    spend(key, 1, request_id="stream", first_byte_at=NOON + timedelta(seconds=1))
    spend(key, 1, request_id="whole", first_byte_at=None)
    spend(key, 1, request_id="unknown", first_byte_at=None, usage_source=ORPHAN)
    began = {row["litellm_call_id"]: row["completionStartTime"] for row in api.get("/spend/logs").json}
    assert began == {"stream": "2026-03-10T12:00:01Z", "whole": "2026-03-10T12:00:02Z", "unknown": None}


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


def test_what_clients_count_together_is_one_session(api: Api) -> None:
    key, _ = issue()
    for n, nano in enumerate((10, None, 20)):
        at = NOON + timedelta(minutes=n)
        spend(key, nano, at=at, request_id=f"r{n}", session_id="chat-7", log_metadata={"ticket": n})
    spend(key, 30, request_id="chat-8")
    shown = api.get("/spend/logs/session/ui", {"session_id": "chat-7"}).json
    assert calls(shown["data"]) == ["r0", "r1", "r2"]
    assert {row["session_id"] for row in shown["data"]} == {"chat-7"}
    assert [row["metadata"]["spend_logs_metadata"] for row in shown["data"]] == [{"ticket": n} for n in range(3)]
    assert calls(api.get(V2, DAY | {"session_id": "chat-7"}).json["data"]) == ["r2", "r1", "r0"]
    assert calls(api.get(V2, DAY | {"session_id": "chat-8"}).json["data"]) == ["chat-8"]


def test_a_call_of_a_session_is_none_by_itself(api: Api) -> None:
    key, _ = issue()
    spend(key, 10, request_id="r0", session_id="chat-7")
    assert api.get("/spend/logs/session/ui", {"session_id": "r0"}).json["data"] == []
    (alone,) = api.get("/spend/logs", {"request_id": "r0"}).json
    assert (alone["session_id"], alone["metadata"]["spend_logs_metadata"]) == ("chat-7", None)


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


def refuse(key: VirtualKey, *, status: int = 429, kind: str = "rate_limit_error", **fields: Any) -> None:
    """A call of the key is refused at noon."""
    owners = Owners(key.organization_id, key.pk, key.team_id, None, key.user_id)
    values = {"request_id": "refused", "model": "demo", "at": NOON, "message": "Rate limit exceeded"} | fields
    call = RefusedCall(hold_id(), owners, key.token, (), call_type="chat", status=status, kind=kind, **values)
    ledger.note_refusals([call])


def test_a_refused_call_is_shown_with_what_its_caller_was_told(api: Api) -> None:
    key, _ = issue()
    refuse(key)
    (row,) = api.get(V2, DAY | {"status_filter": "failure"}).json["data"]
    assert (row["request_id"], row["status"], row["spend"], row["api_key"]) == ("refused", "failure", 0, key.token)
    assert (row["model"], row["model_group"]) == ("demo", "demo")
    assert row["metadata"]["error_information"] == {
        "error_code": "429", "error_class": "RateLimitError", "error_type": "rate_limit_error",
        "error_message": "Rate limit exceeded", "llm_provider": "", "traceback": "",
    }  # fmt: skip
    assert api.get("/spend/logs/ui/refused").json == row
    assert api.get("/spend/logs", {"api_key": key.token}).json == [row]
    for query in ({"status_filter": "success"}, {"min_spend": "0.1"}, {"error_code": "403"}, {"error_message": "no"}):
        assert api.get(V2, DAY | query).json["total"] == 0, query
    for query in ({"error_code": "429"}, {"error_message": "limit"}, {"model": "demo"}, {"search": "refused"}):
        assert api.get(V2, DAY | query).json["data"] == [row], query


def test_refusals_stand_in_order_among_charges_and_failures(api: Api) -> None:
    key, _ = issue()
    for n, how in enumerate((10, None, "refused", 20, "refused")):
        at = NOON + timedelta(minutes=n)
        if isinstance(how, str):
            refuse(key, at=at, request_id=f"r{n}")
        else:
            spend(key, how, at=at, request_id=f"r{n}")
    shown = api.get(V2, DAY).json
    assert (calls(shown["data"]), shown["total"]) == (["r4", "r3", "r2", "r1", "r0"], 5)
    assert calls(api.get(V2, DAY | {"page": 2, "page_size": 2}).json["data"]) == ["r2", "r1"]
    assert calls(api.get(V2, DAY | {"sort_by": "spend"}).json["data"])[:2] == ["r3", "r0"]


def test_only_who_sees_a_key_s_calls_sees_its_refusals(api: Api, grace: User, linus: User) -> None:
    own, secret = issue(user=grace)
    refuse(own)
    assert calls(api.get("/spend/logs", bearer=secret).json) == ["refused"]
    assert api.get("/spend/logs", bearer=issue(user=linus)[1]).json == []


def test_refusals_count_as_failed_and_as_exceptions(api: Api) -> None:
    key, _ = issue()
    spend(key, None)
    refuse(key)
    refuse(key, status=403, kind="key_model_access_denied")
    days = {"start_date": "2026-03-01", "end_date": "2026-03-31"}
    found = api.get("/global/activity/exceptions", days).json
    assert (found["sum_num_exceptions"], found["sum_num_rate_limit_exceptions"]) == (3, 1)
    assert api.get("/user/daily/activity", days).json["metadata"]["total_failed_requests"] == 3


def test_refusals_are_kept_for_a_while(api: Api) -> None:
    key, _ = issue()
    refuse(key, at=NOON - timedelta(days=8), request_id="old")
    refuse(key)
    assert forget_refusals(now=NOON.isoformat()) == 1
    assert calls(api.get("/spend/logs").json) == ["refused"]
