"""Calls that were made with the master key, in the spend log: LiteLLM's clients know who made them by an id."""

from typing import Any

import pytest
from django.conf import settings

from keys.models import VirtualKey
from keys.services import ensure_master_key
from teams import services
from teams.actors import MASTER
from teams.models import User
from tests.api.conftest import Api
from tests.api.spending import DAY, spend
from tests.factories import issue

V2 = "/spend/logs/v2"
HOLDER = "default_user_id"


@pytest.fixture
def master(db: None) -> VirtualKey:
    """Has answered one call and failed at another, beside one of a key of nobody."""
    key = ensure_master_key(settings.MASTER_KEY)
    spend(key, 10, request_id="charged")
    spend(key, None, request_id="failed")
    spend(issue()[0], 20, request_id="of nobody")
    return key


def users(rows: Any) -> dict[str, str]:
    return {row["litellm_call_id"]: row["user"] for row in rows}


def test_calls_with_the_master_key_are_shown_as_those_of_its_holder(api: Api, master: VirtualKey) -> None:
    rows = api.get("/spend/logs").json
    assert users(rows) == {"charged": HOLDER, "failed": HOLDER, "of nobody": ""}
    told = {row["litellm_call_id"]: row["metadata"]["user_api_key_user_id"] for row in rows}
    assert told == {"charged": HOLDER, "failed": HOLDER, "of nobody": None}
    assert users(api.get(V2, DAY).json["data"]) == users(rows)
    assert api.get("/spend/logs/ui/charged").json["user"] == HOLDER


def test_they_are_found_by_the_holder(api: Api, master: VirtualKey) -> None:
    assert set(users(api.get("/spend/logs", {"user_id": HOLDER}).json)) == {"charged", "failed"}
    assert set(users(api.get(V2, DAY | {"user_id": HOLDER}).json["data"])) == {"charged", "failed"}
    assert set(users(api.get(V2, DAY | {"search": HOLDER}).json["data"])) == {"charged", "failed"}
    assert set(users(api.get(V2, DAY | {"user_id": HOLDER, "status_filter": "success"}).json["data"])) == {"charged"}


def test_a_person_of_that_id_is_found_with_them(api: Api, master: VirtualKey) -> None:
    person = services.create_user(User(public_id=HOLDER, username=HOLDER), actor=MASTER)
    spend(issue(user=person)[0], 30, request_id="own")
    assert set(users(api.get("/spend/logs", {"user_id": HOLDER}).json)) == {"charged", "failed", "own"}
    assert set(users(api.get(V2, DAY | {"search": HOLDER}).json["data"])) == {"charged", "failed", "own"}


def test_the_books_still_sum_them_up_as_nobodys(api: Api, master: VirtualKey) -> None:
    assert api.get("/spend/users").json == []
