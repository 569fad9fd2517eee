"""The spend log: charges of the ledger, attempts that failed and calls that were refused, merged and cut into pages.

Each step is carried by an index or stops at a cap, so that its cost does not grow with the ledger.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from django.db.models import F, Model, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from keys.models import MASTER_ID, RetiredSecret, VirtualKey
from keys.serializers import token_from
from spend import book
from spend.log_rows import OWNERS, failed_row, log_row, refused_row
from spend.models import Hold, LedgerEntry, Refusal
from spend.query import Query, nano
from teams.actors import MASTER
from teams.api_types import ApiError
from teams.callers import Caller
from teams.models import Customer, Organization, Team, User

#: By which a team lets its plain members read its part of the log, in whatever form.
ROUTE = "/spend/logs"
#: No list counts or reaches farther than this; what no index knows is looked for, and ordered, among so many of the
#: newest calls and as many of the newest failures.
MOST = 10_000
_JOINED = 1000
_CHARGES = {
    "startTime": F("admitted_at"),
    "endTime": F("finished_at"),
    "spend": F("amount_nano"),
    "total_tokens": F("input_tokens") + F("output_tokens"),
    "prompt_tokens": F("input_tokens"),
    "completion_tokens": F("output_tokens"),
    "model": F("upstream_model"),
}
_NOTHING = Value(0)
#: A refused call cost nothing, and ended at once.
_REFUSALS: dict[str, Any] = {
    **_CHARGES, "endTime": F("admitted_at"), "spend": _NOTHING, "total_tokens": _NOTHING, "prompt_tokens": _NOTHING,
    "completion_tokens": _NOTHING,
}  # fmt: skip
#: A failed attempt, too; of older ones the books do not know when they ended.
_FAILURES: dict[str, Any] = {**_REFUSALS, "endTime": Coalesce("failed_at", "admitted_at")}
_SORTS, _BY_TIME = tuple(_CHARGES), "startTime"
#: Filters that no index carries.
_LOOKED_FOR = ("model", "model_id", "model_group", "min_spend", "max_spend", "error_code", "error_message")
_KINDS = ("charges", "failures", "refusals")
_OWNED_BY: dict[str, tuple[type[Model], str, str]] = {
    "user_id": (User, "public_id", "user_id"),
    "team_id": (Team, "public_id", "team_id"),
    "organization_id": (Organization, "public_id", "organization_id"),
    "end_user": (Customer, "public_id", "customer_id"),
    "key_alias": (VirtualKey, "alias", "key_id"),
}


class Fact(NamedTuple):
    """What sessions are made of: a row's instant, primary key and nano-USD, and what it is ordered by."""

    session: str
    at: datetime
    pk: Any
    nano: int
    place: Any


@dataclass(frozen=True)
class Log:
    """What of the log is asked for: charges, attempts that failed, and calls that were refused."""

    charges: QuerySet[LedgerEntry]
    failures: QuerySet[Hold]
    refusals: QuerySet[Refusal]
    is_cut: bool = False
    """Whether there is more of what was asked for than was looked through."""

    @classmethod
    def of(cls, caller: Caller) -> "Log":
        attempts, refusals = Hold.objects.visible_to(caller, ROUTE), Refusal.objects.visible_to(caller, ROUTE)
        return cls(LedgerEntry.objects.visible_to(caller, ROUTE), attempts.failed(), refusals)

    def only(self, *conditions: Any, **columns: Any) -> "Log":
        """By what all of them have in common."""
        return replace(
            self,
            charges=self.charges.filter(*conditions, **columns),
            failures=self.failures.filter(*conditions, **columns),
            refusals=self.refusals.filter(*conditions, **columns),
        )

    def without(self, *kinds: str) -> "Log":
        return replace(self, **{kind: getattr(self, kind).none() for kind in kinds})

    def between(self, start: datetime, end: datetime) -> "Log":
        """Admitted in `[start, end)`."""
        return self.only(admitted_at__gte=start, admitted_at__lt=end)

    def newest(self, count: int) -> list[dict[str, Any]]:
        return self.page(_BY_TIME, "desc", 0, count)

    def cut(self) -> "Log":
        """Without what is older than the newest MOST rows of each kind."""
        edges = {kind: _edge(getattr(self, kind)) for kind in _KINDS}
        newer = {kind: getattr(self, kind).filter(admitted_at__gt=edge) for kind, edge in edges.items() if edge}
        return replace(self, **newer, is_cut=self.is_cut or bool(newer))

    def count(self) -> int:
        """At most MOST + 1."""
        rows: tuple[QuerySet[Any], ...] = (self.charges, self.failures, self.refusals)
        return sum(each.order_by()[: MOST + 1].count() for each in rows)

    def page(self, sort: str, order: str, start: int, size: int) -> list[dict[str, Any]]:
        """Rows from number `start` on, in one order over all kinds."""
        down, end = order == "desc", start + size
        charges = _places(self.charges, (_CHARGES[sort],), down, end)
        failures = _places(self.failures, (_FAILURES[sort], "admitted_at"), down, end)
        refusals = _places(self.refusals, (_REFUSALS[sort], "admitted_at"), down, end)
        merged = heapq.merge(charges, failures, refusals, key=lambda place: place[0], reverse=down)
        return self.rows([pk for _, pk in islice(merged, start, end)])

    def facts(self, sort: str) -> Iterator[Fact]:
        """Of everything that is asked for, in no order."""
        each = ((self.charges, _CHARGES), (self.failures, _FAILURES), (self.refusals, _REFUSALS))
        session = Coalesce("session_id", "request_id")
        for rows, columns in each:
            annotated = rows.order_by().annotate(of=session, nano=columns["spend"], place=columns[sort])
            yield from (Fact(*row) for row in annotated.values_list("of", "admitted_at", "pk", "nano", "place"))

    def rows(self, wanted: list[Any]) -> list[dict[str, Any]]:
        """Rows by their primary keys, in that order."""
        size = len(wanted)
        entries = list(_with_owners(LedgerEntry.objects.filter(pk__in=_ints(wanted)).order_by(), size))
        cards = book.cards_of({entry.price_id for entry in entries if entry.price_id})
        failed = _with_owners(Hold.objects.filter(pk__in=_texts(wanted)), size)
        shown: dict[Any, dict[str, Any]] = {entry.pk: log_row(entry, cards) for entry in entries}
        shown |= {hold.pk: failed_row(hold) for hold in failed}
        if missing := [pk for pk in _texts(wanted) if pk not in shown]:
            refused = _with_owners(Refusal.objects.filter(pk__in=missing), size)
            shown |= {refusal.pk: refused_row(refusal) for refusal in refused}
        return [shown[pk] for pk in wanted]


def common(log: Log, query: Query) -> Log:
    """Filters of every form: api_key (a key or its hash), user_id, request_id."""
    if query.get("api_key"):
        log = log.only(_one_of("key_id", key_pks(query["api_key"])))
    if query.get("request_id"):
        log = of_request(log, query["request_id"])
    return _owned(log, query, ("user_id",))


def of_request(log: Log, wanted: str) -> Log:
    """By our id of the call, or by the provider's of the answer; each has an index of its own."""
    by_call = log.charges.filter(request_id=wanted).order_by().values_list("pk", flat=True)[:MOST]
    by_answer = log.charges.exclude(response_id="").filter(response_id=wanted).order_by()
    found = {*by_call, *by_answer.values_list("pk", flat=True)[:MOST]}
    return replace(log.only(request_id=wanted), charges=log.charges.filter(pk__in=found))


def of_session(log: Log, wanted: str) -> Log:
    """By what the client called its session; a call of none is one by itself, under our id of the call."""
    parts = {kind: (getattr(log, kind), getattr(log.only(request_id=wanted), kind)) for kind in _KINDS}
    found = {
        kind: rows.filter(pk__in={*_pks(rows.filter(session_id=wanted)), *_pks(alone.filter(session_id=None))})
        for kind, (rows, alone) in parts.items()
    }
    return replace(log, **found)


def filtered(log: Log, query: Query) -> Log:
    """The filters of the paged forms; those that an index carries come first."""
    log = _owned(common(log, query), query, ("team_id", "organization_id", "end_user", "key_alias"))
    if query.get("session_id"):
        log = of_session(log, query["session_id"])
    if query.get("search"):
        log = _searched(log, query["search"])
    log = _by_outcome(log, query)
    if order_of(query)[0] != _BY_TIME or any(query.get(name) for name in _LOOKED_FOR):
        log = log.cut()
    for name, column in (("model_id", "deployment"), ("model_group", "model")):
        if query.get(name):
            log = log.only(**{column: query[name]})
    if query.get("model"):
        log = log.only(Q(upstream_model=query["model"]) | Q(model=query["model"]))
    return _by_amount(_by_reason(log, query), query)


def order_of(query: Query) -> tuple[str, str]:
    name, order = query.get("sort_by") or _BY_TIME, query.get("sort_order") or "desc"
    if name not in _SORTS:
        raise ApiError(400, f"sort_by: write one of {', '.join(_SORTS)}", param="sort_by")
    if order not in ("asc", "desc"):
        raise ApiError(400, "sort_order: write asc or desc", param="sort_order")
    return name, order


def key_pks(text: str) -> list[int]:
    """Of a secret or its hash, whichever of a key's secrets it is or was."""
    token = token_from(text)
    current = VirtualKey.objects.filter(token=token).order_by().values_list("pk", flat=True)
    # Not in one condition: a database would read every key for it.
    return list(current.union(RetiredSecret.objects.filter(token=token).values_list("key_id", flat=True)))


def _owned(log: Log, query: Query, wanted: Iterable[str]) -> Log:
    for name in wanted:
        if query.get(name):
            log = log.only(_owned_by(name, query[name]))
    return log


def _owned_by(name: str, value: str) -> Q:
    """Of an owner of this kind. The holder of the master key is nobody in the books, so its calls are the key's."""
    model, field, column = _OWNED_BY[name]
    owned = _one_of(column, list(model._default_manager.filter(**{field: value}).values_list("pk", flat=True)))
    if (name, value) != ("user_id", MASTER.label):
        return owned
    return owned | Q(key_id__in=list(VirtualKey.objects.filter(public_id=MASTER_ID).values_list("pk", flat=True)))


def _one_of(column: str, pks: list[int]) -> Q:
    """Of a single owner, an index has the rows in order; of several they would be sorted."""
    return Q(**{column: pks[0]}) if len(pks) == 1 else Q(**{f"{column}__in": pks})


def _searched(log: Log, text: str) -> Log:
    """By any id that a row shows: of the request, the key, the person or the team."""
    by_request, owners = of_request(log, text), Q(key_id__in=key_pks(text))
    for name in ("user_id", "team_id", "end_user", "key_alias"):
        owners |= _owned_by(name, text)
    owned = log.only(owners)
    charges = log.charges.filter(Q(pk__in=by_request.charges.values("pk")) | owners)
    failures, refusals = by_request.failures | owned.failures, by_request.refusals | owned.refusals
    return replace(log, charges=charges, failures=failures, refusals=refusals)


def _by_amount(log: Log, query: Query) -> Log:
    for name, lookup in (("min_spend", "amount_nano__gte"), ("max_spend", "amount_nano__lte")):
        if query.get(name):
            edge = nano(query, name)
            fits = edge <= 0 if name == "min_spend" else edge >= 0
            log = replace(
                log if fits else log.without("failures", "refusals"), charges=log.charges.filter(**{lookup: edge})
            )
    return log


def _by_outcome(log: Log, query: Query) -> Log:
    """No answer comes from a cache."""
    status = query.get("status_filter") or ""
    if status not in ("", "success", "failure"):
        raise ApiError(400, "status_filter: write success or failure", param="status_filter")
    hit = (query.get("cache_hit_filter") or "").lower()
    if hit in ("true", "hit", "cache_hit"):
        return log.without(*_KINDS)
    if status == "success":
        log = log.without("failures", "refusals")
    if status == "failure":
        log = log.without("charges")
    return log


def _by_reason(log: Log, query: Query) -> Log:
    code, words = query.get("error_code"), query.get("error_message")
    if not code and not words:
        return log
    log = log.without("charges")
    if words:
        failures, refusals = log.failures.filter(error_message__icontains=words), log.refusals
        log = replace(log, failures=failures, refusals=refusals.filter(message__icontains=words))
    if not code:
        return log
    if not (code.isascii() and code.isdigit() and len(code) < 5):
        return log.without("failures", "refusals")
    status = int(code)
    return replace(log, failures=log.failures.filter(error_status=status), refusals=log.refusals.filter(status=status))


def _places(rows: QuerySet[Any], by: tuple[Any, *tuple[str, ...]], down: bool, end: int) -> list[tuple[Any, Any]]:
    """In the order of an expression, where that says nothing of columns, and in the end always in the same."""
    sign, (column, *further) = "-" if down else "", by
    ordered = rows.order_by().annotate(place=column).order_by(*(f"{sign}{name}" for name in ("place", *further, "pk")))
    return list(ordered.values_list("place", "pk")[:end])


def _with_owners(rows: QuerySet[Any], size: int) -> QuerySet[Any]:
    """Where thousands of rows are shown, many have the same owners: those are read once each, not with every row."""
    return rows.prefetch_related(*OWNERS) if size > _JOINED else rows.select_related(*OWNERS)


def _edge(rows: QuerySet[Any]) -> datetime | None:
    """When the newest of the rows that nobody looks through was admitted."""
    return rows.order_by("-admitted_at").values_list("admitted_at", flat=True)[MOST:].first()


def _pks(rows: QuerySet[Any]) -> list[Any]:
    return list(rows.order_by("-admitted_at").values_list("pk", flat=True)[:MOST])


def _ints(pks: Iterable[Any]) -> list[int]:
    return [pk for pk in pks if isinstance(pk, int)]


def _texts(pks: Iterable[Any]) -> list[str]:
    return [pk for pk in pks if isinstance(pk, str)]
