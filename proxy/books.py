"""The gateway's journal on Django's side: what the journal thread runs, on Django's own connection."""

import select
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import structlog
from django.db import Error, InterfaceError, OperationalError, connection, connections, transaction
from django.utils import timezone

from keys import loading
from keys.grants import Grant, ScopePolicy
from proxy import shelves
from proxy.runtime import faults
from proxy.runtime.catalog import Catalog, Target
from proxy.runtime.journal import Asks, BooksUnavailable, Handler, Lane, WritesRefused
from spend import commits, rollups, sql_holds, versions
from spend import services as ledger
from spend.wire import Authority, CounterLoad, CounterRef, Crossing, Intent, Posting, RefusedCall, SqlHold
from teams import changes
from teams.database import refuses_writes
from teams.models import Organization, PolicyChange

log = structlog.get_logger()
K = TypeVar("K")
V = TypeVar("V")


def grants(tokens: Sequence[str]) -> list[Grant | None]:
    found = loading.load_grants(tokens)
    return [found.get(token) for token in tokens]


def teams(items: Sequence[tuple[str, int | None, bool]]) -> list[tuple[tuple[ScopePolicy, ...], int, Any] | None]:
    return _each_once(items, lambda item: shelves.team_view(*item))


def customers(items: Sequence[tuple[int, str, int | None]]) -> list[ScopePolicy | None]:
    return _each_once(items, lambda item: loading.load_customer(*item))


def known_customers(items: Sequence[tuple[int, str]]) -> list[ScopePolicy | None]:
    return _each_once(items, lambda item: loading.load_known_customer(*item))


def tags(items: Sequence[tuple[int, tuple[str, ...]]]) -> list[dict[str, ScopePolicy]]:
    return _each_once(items, lambda item: loading.load_tags(*item))


def intents(items: Sequence[Intent]) -> list[bool]:
    return ledger.write_intents(items)


def adoptions(items: Sequence[Sequence[Intent]]) -> list[None]:
    for batch in items:
        ledger.adopt(batch)
    return [None] * len(items)


def late_intents(items: Sequence[Sequence[Intent]]) -> list[None]:
    for batch in items:
        ledger.adopt_late(batch)
    return [None] * len(items)


def postings(items: Sequence[Sequence[Posting]]) -> list[dict[str, int]]:
    # A hold that is in SQL since before the send can be charged without its posting; any other cannot.
    on_disk = all(posting.intent.written for batch in items for posting in batch)
    with commits.synced_with_the_next() if on_disk else nullcontext(), transaction.atomic():
        posted = [ledger.post(batch, now=timezone.now()) for batch in items]
        faults.reach("before_commit")
    return posted


def counters(items: Sequence[CounterRef]) -> list[CounterLoad]:
    return [rollups.load_counter(ref) for ref in items]


def crossings(items: Sequence[Crossing]) -> list[None]:
    ledger.note_crossings(items, now=timezone.now())
    return [None] * len(items)


def refusals(items: Sequence[Sequence[RefusedCall]]) -> list[None]:
    ledger.note_refusals(call for batch in items for call in batch)
    return [None] * len(items)


def servers(items: Sequence[str]) -> list[None]:
    for run_id in items:
        changes.note_store(run_id)
    return [None] * len(items)


def trials(items: Sequence[None]) -> list[None]:
    changes.try_writing()
    return [None] * len(items)


def organizations(items: Sequence[None]) -> list[list[int]]:
    return [list(Organization.objects.order_by("pk").values_list("pk", flat=True))] * len(items)


def epochs(items: Sequence[int]) -> list[Authority]:
    return _each_once(items, sql_holds.authority_of)


def raise_epochs(items: Sequence[tuple[int, int, int]]) -> list[tuple[int, bool]]:
    return [ledger.raise_epoch(organization_pk, seen=seen, above=above) for organization_pk, seen, above in items]


def takeovers(items: Sequence[tuple[int, datetime]]) -> list[Authority]:
    return [sql_holds.take_over(organization_pk, until=until) for organization_pk, until in items]


def returns(items: Sequence[tuple[int, int, datetime]]) -> list[tuple[Authority, bool]]:
    return [sql_holds.give_back(organization_pk, above=above, now=now) for organization_pk, above, now in items]


def judgements(items: Sequence[SqlHold]) -> list[list[str]]:
    return sql_holds.hold(items)


def outdated(items: Sequence[tuple[versions.Version, ...]]) -> list[str]:
    """Of each chain a scope whose policy has changed since it was read; empty if there is none."""
    gone = versions.outdated(version for chain in items for version in chain)
    return [min((scope for scope, _ in gone.intersection(chain)), default="") for chain in items]


def leases(items: Sequence[tuple[list[str], datetime]]) -> list[None]:
    for hold_ids, until in items:
        ledger.renew_leases(hold_ids, until=until)
    return [None] * len(items)


def policy_changes(items: Sequence[datetime]) -> list[list[tuple[int, str]]]:
    """Announcements since an instant; callers look back a little, as commits may arrive out of order."""
    rows = PolicyChange.objects.filter(at__gte=min(items)).order_by("pk").values_list("pk", "scope")
    return [list(rows)] * len(items)


def catalogs(items: Sequence[None]) -> list[Catalog]:
    return [shelves.load_catalog(timezone.now())] * len(items)


def concretes(items: Sequence[tuple[int | None, str]]) -> list[tuple[Target, ...]]:
    return _each_once(items, lambda item: shelves.concrete(item[1], item[0], timezone.now()))


def _each_once(items: Sequence[K], look: Callable[[K], V]) -> list[V]:
    """Of many callers who ask the same, as after a start, the first one's answer serves all."""
    found = {item: look(item) for item in dict.fromkeys(items)}
    return [found[item] for item in items]


def _guarded(handler: Callable[[Sequence[Any]], Sequence[Any]]) -> Handler:
    """A database that fails is an outage, and its connection is not used again."""

    def run(items: Sequence[Any]) -> Sequence[Any]:
        _leave_if_ended()
        try:
            return _once_more(handler, items)
        except Error as error:
            down = isinstance(error, InterfaceError | OperationalError) and (
                _is_lost(error) or not connection.is_usable()
            )
            log.warning("database unavailable", error=type(error).__name__, doing=handler.__name__, down=down)
            connection.close()
            if not down and refuses_writes(error):
                raise WritesRefused(type(error).__name__) from error
            raise BooksUnavailable(type(error).__name__, down=down) from error

    return run


def _leave_if_ended() -> None:
    """Leave a connection that an outage ended while nobody used it: the outage is over, and nothing was asked yet.

    A sound server says nothing unasked, so one that has something to read has said goodbye, or was cut.
    """
    if connection.vendor == "postgresql" and connection.connection and not connection.in_atomic_block:
        heard = select.poll()
        heard.register(connection.connection.fileno(), select.POLLIN)
        if heard.poll(0):
            connection.close()


def _is_lost(error: Error) -> bool:
    """Whether the connection went away. One that did in a transaction is a new, sound one by now: Django opens it."""
    state = getattr(error.__cause__, "sqlstate", None)
    return connection.vendor == "postgresql" and (state is None or state.startswith(_LOST))


def _once_more(handler: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> Sequence[Any]:
    """Of two transactions that wait for each other the database ends one; it wrote nothing and is done again."""
    try:
        return handler(items)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) not in _CLASHES:
            raise
        return handler(items)


def _own_connection(asks: Asks) -> None:
    """A connection of this thread's own: no pool to wait in, and no statement that runs for ever."""
    if connection.vendor == "postgresql":
        own = connections.create_connection("default")
        options = {name: value for name, value in own.settings_dict["OPTIONS"].items() if name != "pool"}
        limits = f"{options.get('options', '')} {_LIMITS}".strip()
        own.settings_dict = {**own.settings_dict, "OPTIONS": options | _IMPATIENT | {"options": limits}}
        connections["default"] = own
    connection.execute_wrappers.append(partial(_asked, asks))


def _asked(asks: Asks, execute: Callable[..., Any], *statement: Any) -> Any:
    asks()
    return execute(*statement)


def _close() -> None:
    connection.close()


#: SQLSTATE of a deadlock and of a snapshot that could not be kept.
_CLASHES = ("40P01", "40001")
#: How it begins where the server ended a connection, or does not take any.
_LOST = ("08", "57P")
#: For the connections on which callers wait: what is asked again is planned once; seconds to connect.
_IMPATIENT = {
    "server_side_binding": True,
    "prepare_threshold": 1,
    "connect_timeout": 2,
    "tcp_user_timeout": 5000,
}
#: Milliseconds per statement and per lock.
_LIMITS = "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000"
#: In order of urgency. Callers wait for the first ones; nobody waits for the others.
_URGENT = (
    intents,
    grants,
    customers,
    known_customers,
    tags,
    epochs,
    organizations,
    raise_epochs,
    judgements,
    outdated,
    takeovers,
    returns,
    servers,
    trials,
    adoptions,
    counters,
    catalogs,
    concretes,
    teams,
    policy_changes,
)
_LATER = (postings, crossings, leases, late_intents, refusals)


def lanes() -> list[Lane]:
    """One lane on SQLite, which has one writer; two on PostgreSQL, so that no intent waits for a posting."""
    kinds = [(*_URGENT, *_LATER)] if connection.vendor == "sqlite" else [_URGENT, _LATER]
    return [
        Lane({one.__name__: _guarded(one) for one in handlers}, opened=_own_connection, closed=_close)
        for handlers in kinds
    ]
