"""Which key a request means: by both of its lists, and never by a secret that it no longer has."""

from django.conf import settings

from keys.models import VirtualKey
from tests.api.conftest import Api


def test_keys_are_deleted_by_both_lists_and_null_or_nothing_beside_one_names_none(api: Api) -> None:
    first, second, third, fourth = (api.key(key_alias=name) for name in ("one", "two", "three", "four"))
    answer = api.post("/key/delete", {"keys": [first["key"]], "key_aliases": None})
    assert answer.json == {"deleted_keys": [first["key"]]}
    answer = api.post("/key/delete", {"keys": [second["key"]], "key_aliases": []})
    assert answer.json == {"deleted_keys": [second["key"]]}
    answer = api.post("/key/delete", {"keys": [third["key"]], "key_aliases": ["four"]})
    assert answer.json == {"deleted_keys": [third["key"], "four"]}
    assert not VirtualKey.objects.live().filter(token__in=[row["token"] for row in (first, second, third, fourth)])
    assert api.post("/key/delete", {"keys": None, "key_aliases": None}).status == 422


def test_a_replaced_secret_reads_about_its_key_and_changes_nothing(api: Api) -> None:
    old = api.key(key_alias="rotated", max_budget=5)
    new = api.post(f"/key/{old['key']}/regenerate", {"duration": "2h"}).json
    assert new["duration"] == "2h"
    for named in (old["key"], old["token"]):
        assert api.get("/key/info", {"key": named}).json["info"]["key_alias"] == "rotated"
        assert api.post("/key/update", {"key": named, "max_budget": 1}).status == 404
        assert api.post("/key/block", {"key": named}).status == 404
        assert api.post("/key/delete", {"keys": [named]}).status == 404
    assert api.get("/key/info", {"key": new["key"]}).json["info"]["max_budget"] == 5


def test_a_deleted_key_says_when_it_was_deleted_and_by_whom(api: Api) -> None:
    gone = api.key()
    api.post("/key/delete", {"keys": [gone["key"]]})
    info = api.get("/key/info", {"key": gone["key"]}).json["info"]
    assert info["deleted_at"] and info["deleted_by"]
    assert "deleted_at" not in api.get("/key/info", {"key": api.key()["key"]}).json["info"]


def test_a_refusal_in_a_bulk_is_told_in_words_beside_the_key_as_it_is(api: Api) -> None:
    key = api.key(max_budget=3)
    body = {"keys": [{"key": key["key"], "max_budget": -1}, {"key": "sk-unknown-0123456789", "max_budget": 1}]}
    first, second = api.post("/key/bulk_update", body).json["failed_updates"]
    assert first["failed_reason"] == "max_budget: an amount lies between 0 and 9,000,000 USD"
    assert (first["key_info"]["max_budget"], second["key_info"]) == (3, None)


def test_the_master_key_is_in_no_table(api: Api) -> None:
    assert api.get("/key/info", {"key": settings.MASTER_KEY}).status == 404


def test_windows_end_in_utc_wherever_their_days_begin(api: Api) -> None:
    api.post("/organization/new", {"organization_id": "ny", "organization_alias": "ny", "timezone": "America/New_York"})
    row = api.key(organization_id="ny", max_budget=1, budget_duration="1d")
    assert row["budget_reset_at"][10:] in ("T04:00:00Z", "T05:00:00Z")
