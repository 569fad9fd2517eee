"""No list or report costs more queries for many rows than for few, and how many each costs is written down.

`query_counts.txt` names every GET route and every list of the admin. RENEW_QUERY_COUNTS=1 writes the numbers anew;
a new route has to be added to it by hand, with a query that shows as much as the route can show.
"""

import os
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from gateway_project import api as router
from tests.api.crowd import SECRET, Crowd, crowd

WRITTEN = Path(__file__).with_name("query_counts.txt")
RENEW = bool(os.environ.get("RENEW_QUERY_COUNTS"))
#: They ask other servers, or answer only with an error here, where no file configures anything.
LEFT_OUT = {"health", "health/services", "config/field/info", "cache/ping", "cache/redis/info"}
#: By rights, or because the caller is an admin who is in no team.
REFUSED = (401, 403, 404)
FEW, MANY = 2, 6
Counts = dict[str, tuple[str, str]]


def _written() -> Counts:
    """By path and query: the number of queries for an admin, and for somebody who leads a team."""
    lines = [line.split() for line in WRITTEN.read_text().splitlines() if line and not line.startswith("#")]
    return {path: (admins, leaders) for admins, leaders, path in lines}


def _count(client: Client, path: str, bearer: str) -> str:
    """The number of queries, or '-' for somebody who may not ask."""
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path, headers=headers)
        answer.getvalue()  # exports ask while they are read
    status = answer.status_code
    assert status in (200, *REFUSED), f"{path}: {status}"
    return str(len(captured)) if status == 200 else "-"


def _asked(browser: Client, people: Crowd) -> Counts:
    found, names = {}, people.names()
    for path in _written():
        callers = ("", None) if path.startswith("/admin/") else (settings.MASTER_KEY, SECRET)
        admins, leaders = (
            "-" if bearer is None else _count(browser, path.format(**names), bearer) for bearer in callers
        )
        found[path] = (admins, leaders)
    return found


@pytest.fixture
def browser(client: Client, ada: object) -> Client:
    client.force_login(ada)  # type: ignore[arg-type]
    return client


def test_no_list_costs_more_queries_for_many_rows_than_for_few(browser: Client) -> None:
    people = crowd()
    for number in range(FEW):
        people.grow(number)
    _asked(browser, people)  # what is read once per process is read now
    few = _asked(browser, people)
    for number in range(FEW, MANY):
        people.grow(number)
    many = _asked(browser, people)
    assert [path for path, counts in many.items() if counts == ("-", "-")] == []
    assert {path: (few[path], many[path]) for path in few if few[path] != many[path]} == {}
    if RENEW:
        _write(many)
    assert many == _written(), "RENEW_QUERY_COUNTS=1 writes the numbers anew"


def test_every_list_is_counted() -> None:
    routes = {
        str(pattern.pattern)
        for pattern in router.urlpatterns
        if "access" in getattr(pattern.callback, "view_initkwargs", {})
        and "get" in _methods(pattern.callback)
        and hasattr(pattern.callback.view_class, "get")  # type: ignore[attr-defined]
    }
    paths = [path.partition("?")[0] for path in _written()]
    assert {resolve(path).route for path in paths if not path.startswith("/admin/")} == routes - LEFT_OUT
    lists = {
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry
    }
    assert {path for path in paths if path.startswith("/admin/")} == lists


def _methods(view: object) -> tuple[str, ...]:
    given = view.view_initkwargs.get("http_method_names")  # type: ignore[attr-defined]
    return tuple(given or view.view_class.http_method_names)  # type: ignore[attr-defined]


def _write(counts: Counts) -> None:
    head = [line for line in WRITTEN.read_text().splitlines() if line.startswith("#")]
    rows = [f"{admins:>3} {leaders:>3} {path}" for path, (admins, leaders) in counts.items()]
    WRITTEN.write_text("\n".join([*head, *rows]) + "\n")
