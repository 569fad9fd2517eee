"""/key/...: blocking, deleting, regenerating and listing virtual keys as clients of the contract do."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from keys.models import VirtualKey
from spend import services as ledger
from teams.models import AuditEvent, Team
from tests.api.conftest import Api
from tests.factories import intent_for, issue, posting_of


def spend(key: VirtualKey, nano: int, at: datetime | None = None) -> None:
    intent = intent_for(key, at=at or timezone.now())
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, nano)], now=timezone.now())


# --- /key/block, delete, regenerate --------------------------------------------------------------


def test_a_blocked_key_opens_nothing_until_it_is_unblocked(api: Api) -> None:
    made = api.key()
    assert api.post("/key/block", {"key": made["key"]}).json["blocked"] is True
    assert api.get("/key/info", bearer=made["key"]).status == 401
    assert api.post("/key/unblock", {"key": made["token"]}).json["blocked"] is False
    assert api.get("/key/info", bearer=made["key"]).status == 200
    assert AuditEvent.objects.filter(action__in=["key.blocked", "key.unblocked"]).count() == 2


def test_blocking_an_unknown_key_is_404_and_no_key_422(api: Api) -> None:
    assert api.post("/key/block", {"key": "sk-unknown-0123456789"}).status == 404
    assert api.post("/key/block", {}).fault == "key"
    assert api.post("/key/block", {"key": 7}).status == 422
    assert api.post("/key/block", {"key": ""}).status == 400


def test_keys_are_deleted_as_they_were_named(api: Api) -> None:
    a, b = api.key(), api.key()
    answer = api.post("/key/delete", {"keys": [a["key"], b["token"], "sk-unknown-0123456789"]})
    assert answer.json == {"deleted_keys": [a["key"], b["token"]]}
    assert api.get("/key/info", bearer=a["key"]).status == 401
    assert api.get("/key/info", {"key": a["token"]}).json["info"]["status"] == "deleted"
    assert AuditEvent.objects.filter(action="key.deleted").count() == 2


def test_keys_are_deleted_by_alias(api: Api) -> None:
    api.key(key_alias="a")
    assert api.post("/key/delete", {"key_aliases": ["a", "unknown"]}).json == {"deleted_keys": ["a"]}


def test_deleting_nothing_is_404_and_nonsense_refused(api: Api) -> None:
    assert api.post("/key/delete", {"keys": ["sk-unknown-0123456789"]}).status == 404
    for body in ({}, {"keys": "sk-x"}, {"keys": [1]}):
        assert api.post("/key/delete", body).status == 422, body
    for body in ({"keys": []}, {"key_aliases": [""]}):
        assert api.post("/key/delete", body).status == 400, body


@pytest.mark.parametrize("in_path", [True, False])
def test_a_key_gets_a_new_secret_and_keeps_its_limits(api: Api, in_path: bool) -> None:
    made = api.key(max_budget=25.5, key_alias="a")
    path, body = (f"/key/{made['token']}/regenerate", {}) if in_path else ("/key/regenerate", {"key": made["key"]})
    fresh = api.post(path, body).json
    assert fresh["key"] != made["key"]
    assert (fresh["max_budget"], fresh["key_alias"]) == (Decimal("25.5"), "a")
    assert api.get("/key/info", bearer=fresh["key"]).status == 200
    assert api.get("/key/info", bearer=made["key"]).status == 401


def test_the_answer_of_a_new_key_can_be_sent_back_as_a_change_of_it(api: Api) -> None:
    sent = {"duration": "30d", "max_budget": 5, "tags": ["a"], "key_alias": "mine"}
    made = json.loads(api.post("/key/generate", sent).text)
    answer = api.post("/key/update", made)
    assert (answer.status, answer.json["key_alias"], answer.json["max_budget"]) == (200, "mine", 5), answer.text
    assert answer.json["expires"] >= made["expires"]
    assert api.post("/key/update", made | {"expires": "2126-12-31"}).error["param"] == "expires"


def test_the_old_secret_lives_through_its_grace(api: Api) -> None:
    made = api.key()
    api.post("/key/regenerate", {"key": made["key"], "grace_period": "1h"})
    assert api.get("/key/info", bearer=made["key"]).status == 200


def test_a_new_secret_ends_all_before_it(api: Api) -> None:
    first = api.key()["key"]
    second = api.post("/key/regenerate", {"key": first, "grace_period": "3650d"}).json["key"]
    assert api.get("/key/info", bearer=first).status == 200
    assert api.post("/key/regenerate", {"key": second}).status == 200
    assert [api.get("/key/info", bearer=secret).status for secret in (first, second)] == [401, 401]


def test_fields_beside_a_regeneration_update_the_key(api: Api) -> None:
    made = api.key(rpm_limit=5)
    fresh = api.post("/key/regenerate", {"key": made["key"], "rpm_limit": 6, "new_key": "sk-chosen-0123456789"}).json
    assert (fresh["key"], fresh["rpm_limit"]) == ("sk-chosen-0123456789", 6)


def test_spend_beside_a_regeneration_is_set_as_in_an_update(api: Api) -> None:
    made = api.key(max_budget=5)
    fresh = api.post("/key/regenerate", {"key": made["key"], "spend": 2})
    assert (fresh.status, api.get("/key/info", {"key": fresh.json["key"]}).json["info"]["spend"]) == (200, 2)


def test_a_bad_regeneration_is_refused(api: Api) -> None:
    made = api.key()
    for field, value in (("new_key", "bad"), ("new_key", settings.MASTER_KEY), ("grace_period", "soon")):
        assert api.post("/key/regenerate", {"key": made["key"], field: value}).status == 400, field
    assert api.post("/key/unknown/regenerate").status == 404
    assert api.get("/key/info", bearer=made["key"]).status == 200


# --- /key/list -----------------------------------------------------------------------------------


def test_the_list_comes_page_by_page(api: Api) -> None:
    tokens = [api.key()["token"] for _ in range(5)]
    first = api.get("/key/list", {"page": 1, "size": 2}).json
    last = api.get("/key/list", {"page": 3, "size": 2}).json
    assert first == {"keys": tokens[:2:-1], "total_count": 5, "current_page": 1, "total_pages": 3}
    assert last["keys"] == tokens[:1]


def test_the_list_is_filtered(api: Api, search: Team) -> None:
    mine = api.key(key_alias="mine", user_id="u1", team_id=search.public_id)["token"]
    api.key(key_alias="other")
    for query in (
        {"user_id": "u1"}, {"team_id": search.public_id}, {"key_alias": "mine"}, {"key_hash": mine},
        {"key_alias": "in", "substring_matching": "true"}, {"search": "min"},
    ):  # fmt: skip
        assert api.get("/key/list", query).json["keys"] == [mine], query


def test_the_list_is_filtered_by_status(api: Api) -> None:
    active, blocked, deleted = api.key()["token"], api.key(blocked=True)["token"], api.key()["token"]
    expired = issue(expires_at=timezone.now() - timedelta(days=1))[0].token
    api.post("/key/delete", {"keys": [deleted]})
    for status, token in (("active", active), ("revoked", blocked), ("deleted", deleted), ("expired", expired)):
        assert api.get("/key/list", {"status": status}).json["keys"] == [token]
    assert deleted not in api.get("/key/list").json["keys"]


def test_full_objects_carry_spend_but_no_secret(api: Api) -> None:
    key, secret = issue(alias="a")
    spend(key, 42)
    answer = api.get("/key/list", {"return_full_object": "true"})
    assert answer.json["keys"][0]["spend"] == Decimal("0.000000042")
    assert secret not in answer.text
    assert key.seal not in answer.text


def test_the_list_is_sorted(api: Api) -> None:
    small, large = api.key(max_budget=1)["token"], api.key(max_budget=2)["token"]
    none = api.key()["token"]
    query = {"sort_by": "max_budget", "sort_order": "desc"}
    assert api.get("/key/list", query).json["keys"] == [large, small, none]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"page": 0}, 422), ({"page": "x"}, 422), ({"size": 101}, 422), ({"size": -1}, 422),
        ({"sort_by": "seal"}, 400), ({"sort_order": "up"}, 400), ({"status": "x"}, 400),
    ],
)  # fmt: skip
def test_a_bad_query_names_its_parameter(api: Api, query: dict[str, Any], status: int) -> None:
    answer = api.get("/key/list", query)
    assert (answer.status, answer.fault) == (status, next(iter(query)))


def test_a_taken_new_key_is_refused_by_its_own_name(api: Api) -> None:
    taken, key = api.key(key="sk-of-my-own-choosing-1"), api.key()
    for wrong in (taken["key"], "sk-short"):
        answer = api.post("/key/regenerate", {"key": key["key"], "new_key": wrong})
        assert (answer.status, answer.error["param"]) == (400, "new_key")
        assert "new_key: " in answer.error["message"]
