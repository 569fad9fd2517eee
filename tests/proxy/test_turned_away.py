"""Refused calls are noted, and neither a flood of them nor a database that is away costs more than a count."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from keys.grants import Grant, Owners
from proxy.runtime import errors, metrics
from proxy.runtime.journal import BooksUnavailable
from proxy.runtime.turned_away import MOST, MOST_OF_A_KEY, TurnedAway
from spend.wire import RefusedCall
from tests.factories import NOON
from tests.proxy.calls import call

DENIED = errors.forbidden("not allowed", "key_model_access_denied", "model")


class Books:
    """Stands for the journal: keeps what it is asked to write down."""

    def __init__(self) -> None:
        self.noted: list[RefusedCall] = []
        self.away = False

    async def ask(self, kind: str, item: Sequence[RefusedCall]) -> None:
        assert kind == "refusals"
        if self.away:
            raise BooksUnavailable("away")
        self.noted += item


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> Any:
        return self.now


def grant(token: str = "t") -> Grant:
    return Grant(token=token, public_id="k", owners=Owners(1, 2), zone="UTC", chain=())


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turned_away(books: Books, clock: Clock) -> TurnedAway:
    return TurnedAway(books, clock)  # type: ignore[arg-type]


def left_out() -> float:
    return metrics.UNNOTED._value.get()  # type: ignore[attr-defined]


async def test_a_refusal_is_noted_as_it_was_told(turned_away: TurnedAway, books: Books) -> None:
    asked = call(model="gpt-4o", litellm_session_id="chat-7", metadata={"spend_logs_metadata": {"ticket": 7}})
    turned_away.note(DENIED, grant(), "r1", "chat", asked)
    await turned_away.flush()
    [noted] = books.noted
    assert (noted.request_id, noted.status, noted.kind, noted.message) == (
        "r1", 403, "key_model_access_denied", "not allowed",
    )  # fmt: skip
    assert (noted.owners.key_id, noted.token, noted.at) == (2, "t", NOON)
    assert (noted.model, noted.session_id, noted.log_metadata) == ("gpt-4o", "chat-7", {"ticket": 7})


async def test_what_failed_on_our_side_is_no_refusal(turned_away: TurnedAway, books: Books) -> None:
    turned_away.note(errors.unavailable("the database"), grant(), "r1", "chat")
    turned_away.note(errors.upstream_failed("gone"), grant(), "r2", "chat")
    await turned_away.flush()
    assert books.noted == []


async def test_a_flood_of_one_key_leaves_room_for_others_and_is_counted(
    turned_away: TurnedAway, books: Books, clock: Clock
) -> None:
    before = left_out()
    for number in range(MOST_OF_A_KEY + 5):
        turned_away.note(DENIED, grant("flood"), f"r{number}", "chat")
    turned_away.note(DENIED, grant("other"), "other", "chat")
    await turned_away.flush()
    assert len(books.noted) == MOST_OF_A_KEY + 1
    assert left_out() - before == 5
    clock.now += timedelta(minutes=1)
    turned_away.note(DENIED, grant("flood"), "later", "chat")
    await turned_away.flush()
    assert books.noted[-1].request_id == "later"


async def test_all_keys_together_fill_no_database(turned_away: TurnedAway, books: Books) -> None:
    for number in range(MOST + 100):
        turned_away.note(DENIED, grant(f"t{number}"), "r", "chat")
    await turned_away.flush()
    assert len(books.noted) == MOST


async def test_a_database_that_is_away_costs_the_notes_alone(turned_away: TurnedAway, books: Books) -> None:
    before, books.away = left_out(), True
    turned_away.note(DENIED, grant(), "r1", "chat")
    await turned_away.flush()
    books.away = False
    await turned_away.flush()
    assert (books.noted, left_out() - before) == ([], 1)
