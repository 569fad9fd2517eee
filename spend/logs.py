"""The spend log: charges of the ledger and attempts that failed, filtered, merged and cut into pages.

Each step is carried by an index or stops at a cap, so that its cost does not grow with the ledger.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from django.db.models import F, Model, Q, QuerySet, Value

from keys.models import RetiredSecret, VirtualKey
from keys.serializers import token_from
from spend.log_rows import OWNERS, failed_row, log_row
from spend.models import Hold, LedgerEntry
from spend.query import Query, nano
from teams.api_types import ApiError
from teams.callers import Caller
from teams.models import Customer, Organization, Team, User

#: No list counts or reaches farther than this.
MOST = 10_000
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
#: A failed attempt cost nothing; when it ended is not known, so it counts as having ended at once.
_FAILURES: dict[str, Any] = {
    **_CHARGES, "endTime": F("admitted_at"), "spend": _NOTHING, "total_tokens": _NOTHING, "prompt_tokens": _NOTHING,
    "completion_tokens": _NOTHING,
}  # fmt: skip
_SORTS = tuple(_CHARGES)
_OWNED_BY: dict[str, tuple[type[Model], str, str]] = {
    "user_id": (User, "public_id", "user_id"),
    "team_id": (Team, "public_id", "team_id"),
    "organization_id": (Organization, "public_id", "organization_id"),
    "end_user": (Customer, "public_id", "customer_id"),
    "key_alias": (VirtualKey, "alias", "key_id"),
}


@dataclass(frozen=True)
class Log:
    """What of the log is asked for: charges, and attempts that failed."""

    charges: QuerySet[LedgerEntry]
    failures: QuerySet[Hold]

    @classmethod
    def of(cls, caller: Caller) -> "Log":
        return cls(LedgerEntry.objects.visible_to(caller), Hold.objects.visible_to(caller).failed())

    def only(self, *conditions: Any, **columns: Any) -> "Log":
        """By what charges and failures have in common."""
        return Log(self.charges.filter(*conditions, **columns), self.failures.filter(*conditions, **columns))

    def between(self, start: datetime, end: datetime) -> "Log":
        """Admitted in `[start, end)`."""
        return self.only(admitted_at__gte=start, admitted_at__lt=end)

    def newest(self, count: int) -> list[dict[str, Any]]:
        return self.page("startTime", "desc", 0, count)

    def count(self) -> int:
        """At most MOST + 1."""
        return sum(rows.order_by()[: MOST + 1].count() for rows in (self.charges, self.failures))

    def page(self, sort: str, order: str, start: int, size: int) -> list[dict[str, Any]]:
        """Rows from number `start` on, in one order over both kinds."""
        down, end = order == "desc", start + size
        charges = _places(self.charges, _CHARGES[sort], down, end)
        failures = _places(self.failures, _FAILURES[sort], down, end)
        merged = heapq.merge(charges, failures, key=lambda place: place[0], reverse=down)
        wanted = [pk for _, pk in islice(merged, start, end)]
        shown: dict[Any, dict[str, Any]] = {
            entry.pk: log_row(entry)
            for entry in LedgerEntry.objects.filter(pk__in=_ints(wanted)).select_related(*OWNERS)
        }
        failed = Hold.objects.filter(pk__in=_texts(wanted)).select_related(*OWNERS)
        shown |= {hold.pk: failed_row(hold) for hold in failed}
        return [shown[pk] for pk in wanted]


def common(log: Log, query: Query) -> Log:
    """Filters of every form: api_key (a key or its hash), user_id, request_id."""
    if query.get("api_key"):
        log = log.only(key_id__in=key_pks(query["api_key"]))
    if query.get("request_id"):
        log = of_request(log, query["request_id"])
    return _owned(log, query, ("user_id",))


def of_request(log: Log, wanted: str) -> Log:
    """By our id of the call, or by the provider's of the answer; each has an index of its own."""
    by_call = log.charges.filter(request_id=wanted).order_by().values_list("pk", flat=True)[:MOST]
    by_answer = log.charges.exclude(response_id="").filter(response_id=wanted).order_by()
    found = {*by_call, *by_answer.values_list("pk", flat=True)[:MOST]}
    return Log(log.charges.filter(pk__in=found), log.failures.filter(request_id=wanted))


def filtered(log: Log, query: Query) -> Log:
    """The filters of the paged forms."""
    log = _owned(common(log, query), query, ("team_id", "organization_id", "end_user", "key_alias"))
    for name, column in (("model_id", "deployment"), ("model_group", "model"), ("session_id", "request_id")):
        if query.get(name):
            log = log.only(**{column: query[name]})
    if query.get("model"):
        log = log.only(Q(upstream_model=query["model"]) | Q(model=query["model"]))
    if query.get("search"):
        log = _searched(log, query["search"])
    return _by_outcome(_by_amount(log, query), query)


def order_of(query: Query) -> tuple[str, str]:
    name, order = query.get("sort_by") or "startTime", query.get("sort_order") or "desc"
    if name not in _SORTS:
        raise ApiError(400, f"sort_by: write one of {', '.join(_SORTS)}", param="sort_by")
    if order not in ("asc", "desc"):
        raise ApiError(400, "sort_order: write asc or desc", param="sort_order")
    return name, order


def key_pks(text: str) -> list[int]:
    """Of a secret or its hash, whichever of a key's secrets it is or was."""
    token = token_from(text)
    retired = RetiredSecret.objects.filter(token=token).values("key_id")
    return list(VirtualKey.objects.filter(Q(token=token) | Q(pk__in=retired)).values_list("pk", flat=True))


def _owned(log: Log, query: Query, wanted: Iterable[str]) -> Log:
    for name in wanted:
        if query.get(name):
            model, field, column = _OWNED_BY[name]
            rows = model._default_manager.filter(**{field: query[name]}).values_list("pk", flat=True)
            log = log.only(**{f"{column}__in": list(rows)})
    return log


def _searched(log: Log, text: str) -> Log:
    """By any id that a row shows: of the request, the key, the person or the team."""
    by_request, owners = of_request(log, text), Q(key_id__in=key_pks(text))
    for name in ("user_id", "team_id", "end_user", "key_alias"):
        model, field, column = _OWNED_BY[name]
        owners |= Q(
            **{f"{column}__in": list(model._default_manager.filter(**{field: text}).values_list("pk", flat=True))}
        )
    owned = log.only(owners)
    return Log(
        log.charges.filter(Q(pk__in=by_request.charges.values("pk")) | owners),
        by_request.failures | owned.failures,
    )


def _by_amount(log: Log, query: Query) -> Log:
    for name, lookup in (("min_spend", "amount_nano__gte"), ("max_spend", "amount_nano__lte")):
        if query.get(name):
            edge = nano(query, name)
            fits = edge <= 0 if name == "min_spend" else edge >= 0
            log = Log(log.charges.filter(**{lookup: edge}), log.failures if fits else log.failures.none())
    return log


def _by_outcome(log: Log, query: Query) -> Log:
    """Why an attempt failed is not in the books, and no answer ever comes from a cache: such filters find nothing."""
    status = query.get("status_filter") or ""
    if status not in ("", "success", "failure"):
        raise ApiError(400, "status_filter: write success or failure", param="status_filter")
    hit = (query.get("cache_hit_filter") or "").lower()
    if hit in ("true", "hit", "cache_hit"):
        return Log(log.charges.none(), log.failures.none())
    if status == "success":
        log = replace(log, failures=log.failures.none())
    if status == "failure" or query.get("error_code") or query.get("error_message"):
        log = replace(log, charges=log.charges.none())
    if query.get("error_code") or query.get("error_message"):
        log = replace(log, failures=log.failures.none())
    return log


def _places(rows: QuerySet[Any], column: Any, down: bool, end: int) -> list[tuple[Any, Any]]:
    sign = "-" if down else ""
    ordered = rows.order_by().annotate(place=column).order_by(f"{sign}place", f"{sign}pk")
    return list(ordered.values_list("place", "pk")[:end])


def _ints(pks: Iterable[Any]) -> list[int]:
    return [pk for pk in pks if isinstance(pk, int)]


def _texts(pks: Iterable[Any]) -> list[str]:
    return [pk for pk in pks if isinstance(pk, str)]
