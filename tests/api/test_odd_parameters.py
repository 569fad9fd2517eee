"""Parameters of lists that no sensible client sends: each is refused by name, or means what it says."""

import pytest

from tests.api.conftest import Api
from tests.api.spending import DAY, spend
from tests.factories import issue

V2 = "/spend/logs/v2"
PAGED = (
    ("/key/list", "size"), ("/user/list", "page_size"), ("/v2/team/list", "page_size"), ("/v2/model/info", "size"),
    ("/customer/list", "page_size"), ("/key/aliases", "size"), ("/audit", "page_size"), (V2, "page_size"),
    ("/spend/users", "limit"), ("/tag/user-agent/per-user-analytics", "page"),
)  # fmt: skip
#: Some begin like a number that is small enough.
NO_NUMBERS = ("0", "-1", "abc", "", "1.5", str(10**30), "000000000001" + "9" * 20, "000000000001" + "9" * 5000)


@pytest.mark.parametrize(("path", "name"), PAGED)
def test_a_number_that_is_none_or_too_large_is_refused_by_name(api: Api, path: str, name: str) -> None:
    for value in NO_NUMBERS:
        answer = api.get(path, (DAY if path == V2 else {}) | {name: value})
        assert (answer.status, answer.fault) == (422, name), value


def test_a_text_that_is_too_long_to_search_for_is_refused_by_name(api: Api) -> None:
    for path, name in (("/key/list", "search"), ("/customer/list", "search"), (V2, "error_message")):
        answer = api.get(path, (DAY if path == V2 else {}) | {name: "_" * 30_000})
        assert (answer.status, answer.fault) == (400, name)
        assert api.get(path, (DAY if path == V2 else {}) | {name: "\U0001f600" * 10_000}).status == 200


def test_instants_out_of_range_are_refused_by_name(api: Api) -> None:
    for text in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        for name in ("start_date", "end_date"):
            answer = api.get("/audit", {name: text})
            assert (answer.status, answer.told.partition(":")[0]) == (400, name)
    assert api.get("/user/daily/activity", DAY | {"timezone": "0000009990"}).status == 400
    assert api.get("/user/daily/activity", DAY | {"timezone": "9" * 5000}).status == 400


def test_the_last_day_that_there_is_means_no_end(api: Api) -> None:
    spend(issue()[0], 10)
    for query in ({"end_date": "9999-12-31"}, {"start_date": "0001-01-01"}):
        assert len(api.get("/spend/logs", query).json) == 1
    assert api.get("/spend/logs", {"start_date": "9999-12-31"}).json == []


def test_a_log_that_ends_before_it_begins_is_refused(api: Api) -> None:
    answer = api.get(V2, {"start_date": "2026-03-11", "end_date": "2026-03-10"})
    assert (answer.status, answer.fault) == (400, "end_date")


def test_calls_of_one_instant_and_price_are_on_one_page_each(api: Api) -> None:
    key, _ = issue()
    for n in range(3):
        spend(key, None, request_id=f"failed{n}")
        spend(key, 5, request_id=f"charged{n}")
    for sort in ("startTime", "spend", "model"):
        for order in ("asc", "desc"):
            query = DAY | {"sort_by": sort, "sort_order": order, "page_size": 1}
            shown = [api.get(V2, query | {"page": n}).json["data"][0]["litellm_call_id"] for n in range(1, 7)]
            assert len(set(shown)) == 6
