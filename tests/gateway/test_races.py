"""Many make the same thing at one moment: one of them does, and every other is told what latecomers are told."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest

from tests.gateway.running import MASTER, Running
from tests.gateway.test_models import add, unique
from tests.gateway.upstream import Books

MANY = 16
#: What is made under a name: where, in which field, with what else, and what latecomers are told.
TAKEN: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("/v1/access_group", "access_group_name", {}, 409, "already exists"),
    ("/credentials", "credential_name", {"credential_values": {"api_key": "sk-0123456789"}}, 409, "already exists"),
    ("/user/new", "user_id", {"auto_create_key": False}, 409, "already exists"),
    ("/user/new", "user_email", {}, 409, "User already exists with this user_email"),
    ("/user/new", "sso_user_id", {"auto_create_key": False}, 409, "User already exists with this sso_user_id"),
    ("/organization/new", "organization_id", {"organization_alias": "same"}, 400, "already exists"),
    ("/team/new", "team_id", {}, 400, "already exists"),
    ("/budget/new", "budget_id", {"max_budget": 1}, 400, "already exists"),
    ("/customer/new", "user_id", {}, 400, "already exists"),
    ("/tag/new", "name", {}, 400, "already exists"),
]


def at_once(port: int, path: str, *bodies: dict[str, Any]) -> list[httpx.Response]:
    """Every body by a client of its own, all of which are connected and wait for each other."""
    start = Barrier(len(bodies))

    def send(body: dict[str, Any]) -> httpx.Response:
        headers = {"authorization": f"Bearer {MASTER}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            client.get("/health/liveliness")
            start.wait()
            return client.post(path, json=body)

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(send, bodies))


def only_one(answers: list[httpx.Response], status: int, told: str) -> None:
    """Exactly one was carried out; `told` is in what all others were told."""
    losers = [answer for answer in answers if answer.status_code >= 300]
    assert (len(answers) - len(losers), {answer.status_code for answer in losers}) == (1, {status})
    assert [loser.text for loser in losers if told not in loser.text or "public_id" in loser.text] == []


def test_an_access_group_is_made_once(latchkey: Running, books: Books) -> None:
    models = [unique("member") for _ in range(4)]
    for name in models:
        add(latchkey, books, name)
    for _ in range(3):
        group = unique("group")
        bodies = [{"access_group": group, "model_names": [models[n % 4]]} for n in range(MANY)]
        only_one(at_once(latchkey.port, "/access_group/new", *bodies), 409, "already exists")
        assert len(latchkey.manage("GET", f"/access_group/{group}/info")["model_names"]) == 1


@pytest.mark.parametrize(("path", "field", "body", "status", "told"), TAKEN)
def test_a_name_is_taken_once(
    latchkey: Running, books: Books, path: str, field: str, body: dict[str, Any], status: int, told: str
) -> None:
    for _ in range(2):
        name = unique("same") + ("@example.com" if field == "user_email" else "")
        only_one(at_once(latchkey.port, path, *[{**body, field: name}] * MANY), status, told)
