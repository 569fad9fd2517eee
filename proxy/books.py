"""The gateway's journal on Django's side: what the journal thread runs, on Django's own connection."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import structlog
from django.db import Error, InterfaceError, OperationalError, connection, connections, transaction
from django.utils import timezone

from keys import loading
from keys.grants import Grant, ScopePolicy
from proxy import services, vault
from proxy.models import Deployment
from proxy.providers import REGISTRY
from proxy.runtime import faults
from proxy.runtime.catalog import Catalog, Target
from proxy.runtime.journal import BooksUnavailable, Handler, Lane
from spend import book, rollups
from spend import services as ledger
from spend.pricing import PriceCard
from spend.wire import CounterLoad, CounterRef, Crossing, Intent, Posting
from teams import changes
from teams.models import PolicyChange

log = structlog.get_logger()


def grants(tokens: Sequence[str]) -> list[Grant | None]:
    found = loading.load_grants(tokens)
    return [found.get(token) for token in tokens]


def customers(items: Sequence[tuple[int, str]]) -> list[ScopePolicy]:
    return [loading.load_customer(organization_id, name) for organization_id, name in items]


def tags(items: Sequence[tuple[int, tuple[str, ...]]]) -> list[dict[str, ScopePolicy]]:
    return [loading.load_tags(organization_id, names) for organization_id, names in items]


def intents(items: Sequence[Intent]) -> list[bool]:
    return ledger.write_intents(items)


def adoptions(items: Sequence[Sequence[Intent]]) -> list[None]:
    for batch in items:
        ledger.adopt(batch)
    return [None] * len(items)


def postings(items: Sequence[Sequence[Posting]]) -> list[dict[str, int]]:
    with transaction.atomic():
        posted = [ledger.post(batch, now=timezone.now()) for batch in items]
        faults.reach("before_commit")
    return posted


def counters(items: Sequence[CounterRef]) -> list[CounterLoad]:
    return [rollups.load_counter(ref) for ref in items]


def crossings(items: Sequence[Crossing]) -> list[None]:
    ledger.note_crossings(items, now=timezone.now())
    return [None] * len(items)


def servers(items: Sequence[str]) -> list[None]:
    for run_id in items:
        changes.note_store(run_id)
    return [None] * len(items)


def epochs(items: Sequence[int]) -> list[int]:
    return [ledger.current_epoch(organization_pk) for organization_pk in items]


def raise_epochs(items: Sequence[tuple[int, int, int]]) -> list[tuple[int, bool]]:
    return [ledger.raise_epoch(organization_pk, seen=seen, above=above) for organization_pk, seen, above in items]


def leases(items: Sequence[tuple[list[str], datetime]]) -> list[None]:
    for hold_ids, until in items:
        ledger.renew_leases(hold_ids, until=until)
    return [None] * len(items)


def policy_changes(items: Sequence[datetime]) -> list[list[tuple[int, str]]]:
    """Announcements since an instant; callers look back a little, as commits may arrive out of order."""
    rows = PolicyChange.objects.filter(at__gte=min(items)).order_by("pk").values_list("pk", "scope")
    return [list(rows)] * len(items)


def catalogs(items: Sequence[None]) -> list[Catalog]:
    return [load_catalog(timezone.now())] * len(items)


def load_catalog(now: datetime) -> Catalog:
    rows = list(Deployment.objects.filter(blocked=False).select_related("model", "provider", "credential"))
    priced = book.cards_at(now, {row.price_item for row in rows})
    listed = {row.pk: services.price_item(row) for row in rows if row.price_item not in priced}
    by_list = book.cards_at(now, set(listed.values()))
    priced |= {row.price_item: by_list[listed[row.pk]] for row in rows if listed.get(row.pk) in by_list}
    models: dict[str, tuple[Target, ...]] = {}
    for row in rows:
        target = _target(row, priced)
        if target is not None:
            models[row.model.name] = (*models.get(row.model.name, ()), target)
    return Catalog(models, {row.model.name: int(row.model.created_at.timestamp()) for row in rows})


def _target(row: Deployment, priced: dict[str, PriceCard]) -> Target | None:
    """None, and a red line in the log, for a deployment whose credential cannot be read."""
    try:
        secret = services.reveal(row.credential) if row.credential else ""
    except vault.CannotDecrypt as error:
        log.error("deployment left out", deployment=row.public_id, reason=str(error))
        return None
    if row.credential and row.credential.host != services.host_of(row.base_url):
        log.error("deployment left out", deployment=row.public_id, reason="its credential is bound to another host")
        return None
    return Target(
        deployment=row.public_id,
        model=row.model.name,
        provider=row.provider.slug,
        upstream_model=row.upstream_model,
        base_url=row.base_url,
        mode=row.mode,
        secret=secret,
        max_input_tokens=row.max_input_tokens,
        max_output_tokens=row.max_output_tokens,
        price=priced.get(row.price_item),
        is_free=row.is_free,
        timeout_seconds=row.timeout_seconds,
        max_retries=row.max_retries,
        on_disconnect=row.params.get("on_disconnect") or REGISTRY[row.provider.slug].on_disconnect,
    )


def _guarded(handler: Callable[[Sequence[Any]], Sequence[Any]]) -> Handler:
    """A database that fails is an outage, and its connection is not used again."""

    def run(items: Sequence[Any]) -> Sequence[Any]:
        try:
            return _once_more(handler, items)
        except Error as error:
            down = isinstance(error, InterfaceError | OperationalError) and not connection.is_usable()
            log.warning("database unavailable", error=type(error).__name__, doing=handler.__name__, down=down)
            connection.close()
            raise BooksUnavailable(type(error).__name__, down=down) from error

    return run


def _once_more(handler: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> Sequence[Any]:
    """Of two transactions that wait for each other the database ends one; it wrote nothing and is done again."""
    try:
        return handler(items)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) not in _CLASHES:
            raise
        return handler(items)


def _own_connection() -> None:
    """A connection of this thread's own: no pool to wait in, and no statement that runs for ever."""
    if connection.vendor != "postgresql":
        return
    own = connections.create_connection("default")
    options = {name: value for name, value in own.settings_dict["OPTIONS"].items() if name != "pool"}
    own.settings_dict = {**own.settings_dict, "OPTIONS": options | _IMPATIENT}
    connections["default"] = own


def _close() -> None:
    connection.close()


#: SQLSTATE of a deadlock and of a snapshot that could not be kept.
_CLASHES = ("40P01", "40001")
#: For the connections on which callers wait: seconds to connect, milliseconds per statement and per lock.
_IMPATIENT = {
    "connect_timeout": 2,
    "tcp_user_timeout": 5000,
    "options": "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000",
}
#: In order of urgency. Callers wait for the first ones; nobody waits for the others.
_URGENT = (
    intents,
    grants,
    customers,
    tags,
    epochs,
    raise_epochs,
    servers,
    adoptions,
    counters,
    catalogs,
    policy_changes,
)
_LATER = (postings, crossings, leases)


def lanes() -> list[Lane]:
    """One lane on SQLite, which has one writer; two on PostgreSQL, so that no intent waits for a posting."""
    kinds = [(*_URGENT, *_LATER)] if connection.vendor == "sqlite" else [_URGENT, _LATER]
    return [
        Lane({one.__name__: _guarded(one) for one in handlers}, opened=_own_connection, closed=_close)
        for handlers in kinds
    ]
