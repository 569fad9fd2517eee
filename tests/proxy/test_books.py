"""What calls ask of the database when a worker has just started, and when a connection is cut."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from proxy import books
from proxy.runtime.journal import BooksUnavailable, WritesRefused
from teams import services
from teams.actors import SYSTEM
from teams.models import Organization

pytestmark = pytest.mark.django_db


def test_a_thousand_calls_that_ask_for_the_same_cost_one_look(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    organization = services.create_organization(Organization(name="North"), actor=SYSTEM)
    with django_assert_num_queries(1):
        found = books.epochs([organization.pk] * 1000)
    assert {authority.epoch for authority in found} == {organization.epoch}
    assert len(found) == 1000


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connection that could be cut")
@pytest.mark.parametrize("together", [True, False])
def test_a_connection_that_is_cut_is_an_outage_and_no_refusal_also_within_a_transaction(together: bool) -> None:
    def cut(items: Sequence[None]) -> list[None]:
        with transaction.atomic() if together else connection.cursor(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return [None] * len(items)

    # On a connection of its own, which a thread of the journal's has as well.
    with ThreadPoolExecutor(1) as thread, pytest.raises(BooksUnavailable) as failed:
        thread.submit(books._guarded(cut), [None]).result()
    assert failed.value.down


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connection that could be cut")
def test_a_connection_that_was_cut_while_nobody_used_it_is_left_for_a_new_one() -> None:
    def pids(items: Sequence[None]) -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return [pid for (pid,) in cursor.fetchall()]

    asks = books._guarded(pids)
    with ThreadPoolExecutor(1) as thread:
        (before,) = thread.submit(asks, [None]).result()
        (again,) = thread.submit(asks, [None]).result()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
        (after,) = thread.submit(asks, [None]).result()
        thread.submit(books._close).result()
    assert before == again != after


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no session that only reads")
def test_a_database_that_only_reads_is_an_outage_and_wrote_nothing() -> None:
    def write(items: Sequence[None]) -> list[None]:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            return books.trials(items)

    with ThreadPoolExecutor(1) as thread, pytest.raises(WritesRefused) as failed:
        thread.submit(books._guarded(write), [None]).result()
    assert failed.value.down and failed.value.never


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the same for SQLite")
def test_a_file_that_only_reads_is_an_outage_and_wrote_nothing() -> None:
    def write(items: Sequence[None]) -> list[None]:
        connection.cursor().execute("PRAGMA query_only = ON")
        return books.trials(items)

    with ThreadPoolExecutor(1) as thread, pytest.raises(WritesRefused) as failed:
        thread.submit(books._guarded(write), [None]).result()
    assert failed.value.down and failed.value.never
