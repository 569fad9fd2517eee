"""Holds that were called off, each with the reason."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keys.models import VirtualKey
from spend import services
from spend.models import Hold
from spend.wire import Failure, Posting
from tests.factories import NOON, intent_for, issue, posting_of

pytestmark = pytest.mark.django_db
DOWN = Failure(502, "upstream_error", "the provider of 'demo' cannot be reached, ü 🦊 \"quoted\" \\")
ENDED = NOON + timedelta(seconds=3, microseconds=123_456)


@pytest.fixture
def key() -> VirtualKey:
    return issue(alias="billing")[0]


def failed(key: VirtualKey, *, written: bool = True, failure: Failure | None = DOWN) -> Posting:
    """An attempt that is to be called off; its hold is known, or not yet."""
    intent = intent_for(key)
    if written:
        services.write_intents([intent])
    return posting_of(intent, None, finished_at=ENDED, failure=failure)


def kept(posting: Posting) -> tuple[object, ...]:
    hold = Hold.objects.get(pk=posting.intent.hold_id)
    return hold.state, hold.failed_at, hold.error_status, hold.error_kind, hold.error_message


TOLD = ("void", ENDED, 502, DOWN.kind, DOWN.message)


def test_a_hold_that_is_called_off_keeps_when_and_why(key: VirtualKey) -> None:
    told, untold = failed(key), failed(key, failure=None)
    services.post([told, untold], now=NOON)
    assert (kept(told), kept(untold)) == (TOLD, ("void", ENDED, None, None, None))


def test_one_that_was_never_written_keeps_it_as_well(key: VirtualKey) -> None:
    known, unknown = failed(key), failed(key, written=False)
    assert services.post([known, unknown], now=NOON) == {known.intent.hold_id: 0, unknown.intent.hold_id: 0}
    assert kept(known) == kept(unknown) == TOLD
    assert services.write_intents([unknown.intent]) == [False]


def test_what_is_resolved_keeps_its_first_reason(key: VirtualKey) -> None:
    first, charged = failed(key), failed(key)
    services.post([first, replace(charged, amount_nano=7)], now=NOON)
    late = Failure(500, "other", "something else")
    answer = services.post([replace(first, failure=late), replace(charged, failure=late)], now=NOON)
    assert answer == {first.intent.hold_id: 0, charged.intent.hold_id: 7}
    assert kept(first) == TOLD
    assert kept(charged) == ("posted", None, None, None, None)


@pytest.mark.parametrize("written", [True, False])
def test_as_many_as_there_are_take_a_few_statements(key: VirtualKey, *, written: bool) -> None:
    some, many = ([failed(key, written=written) for _ in range(count)] for count in (64, 128))
    with CaptureQueriesContext(connection) as few:
        services.post(some, now=NOON)
    with CaptureQueriesContext(connection) as more:
        services.post(many, now=NOON)
    assert {kept(posting) for posting in [*some, *many]} == {TOLD}
    # SQLite takes 64 rows with one statement, PostgreSQL all of them.
    assert len(more) <= len(few) + 3


def test_calls_that_are_charged_alone_ask_nothing_about_failures(key: VirtualKey) -> None:
    intent = intent_for(key)
    services.write_intents([intent])
    with CaptureQueriesContext(connection) as asked:
        services.post([posting_of(intent, 7)], now=NOON)
    assert not any("failed_at" in query["sql"] for query in asked)
