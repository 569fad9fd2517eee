"""The spend log as clients of LiteLLM read it: rows, pages of rows, and sums per day."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from spend import totals
from spend.labels import key_labels, user_labels
from spend.logs import MOST, ROUTE, Log, common, filtered, key_pks, of_request, of_session, order_of
from spend.query import Days, Query, day, instant, refuse_odd_range
from spend.sessions import sessions
from spend.shares import Shares
from teams.api_base import ApiError, ManagementView, flag, required_text, unwired, whole_number
from teams.callers import Caller
from teams.models import User
from teams.money import usd_from_nano

_EVER, _AGES = date(2000, 1, 1), date(9000, 1, 1)


class LogView(ManagementView):
    """An endpoint that shows rows of the log; `addresses` tells where deployments are, if the caller may know it."""

    addresses: Callable[[Caller, Iterable[str]], Mapping[str, str]] = staticmethod(unwired)

    def shown(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known = self.addresses(self.caller, {row["model_id"] for row in rows}) if rows else {}
        return [row | {"api_base": known.get(row["model_id"], "")} for row in rows]

    def page(self, log: Log, query: Query, sort: str, order: str, *, by_session: bool = False) -> dict[str, Any]:
        page = _page(log, query, sort, order, by_session=by_session)
        return page | {"data": self.shown(page["data"])}


class SpendLogs(LogView):
    """GET /spend/logs: rows, or sums per UTC day when both dates are given and `summarize` is not false."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        first, last = day(query, "start_date"), day(query, "end_date")
        if first and last:
            refuse_odd_range(first, last)
            if flag(query, "summarize", default=True) and not query.get("request_id"):
                return Response(per_day(_shares(self.caller, Days(first, last), query), Days(first, last)))
        log = common(Log.of(self.caller), query)
        if first or last:
            log = log.between(Days(first or _EVER, _AGES).start, Days(_EVER, min(last or _AGES, _AGES)).end)
        found = log.newest(MOST + 1)
        response = Response(self.shown(found[:MOST]))
        if len(found) > MOST:
            response["x-litellm-spend-logs-truncated"] = "true"
        return response


class SpendLogsPaged(LogView):
    """GET /spend/logs/v2 and /spend/logs/ui: one page of rows between two instants (UTC)."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        start, end = instant(query, "start_date"), instant(query, "end_date", last=True)
        if start > end:
            raise ApiError(400, "end_date: lies before start_date", param="end_date")
        log = filtered(Log.of(self.caller).between(start, end + timedelta(microseconds=1)), query)
        by_session = flag(query, "group_by_session")
        return Response(self.page(log.cut() if by_session else log, query, *order_of(query), by_session=by_session))


class SpendLogsSession(LogView):
    """GET /spend/logs/session/ui: all calls of a session, or all attempts of one call, and their corrections."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        log = of_session(Log.of(self.caller), required_text(query, "session_id"))
        return Response(self.page(log, query, "startTime", "asc"))


class SpendLogsOne(LogView):
    """GET /spend/logs/ui/{request_id}: one row. Prompts and answers are never kept, so they are empty."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, request_id: str) -> Response:
        found = of_request(Log.of(self.caller), request_id).newest(1)
        if not found:
            raise ApiError(404, f"request_id: the books know no call {request_id[:100]}", param="request_id")
        return Response(self.shown(found)[0])


def _page(log: Log, query: Query, sort: str, order: str, *, by_session: bool = False) -> dict[str, Any]:
    page, size = whole_number(query, "page", 1, top=10**9), whole_number(query, "page_size", 50, top=1000)
    start = (page - 1) * size
    if start >= MOST:
        raise ApiError(400, f"page: only the first {MOST} rows can be turned to; narrow the dates", param="page")
    if by_session:
        rows, total = sessions(log, sort, order, start, size)
    else:
        rows, total = log.page(sort, order, start, size), log.count()
    return {
        "data": rows,
        "total": min(total, MOST),
        "page": page,
        "page_size": size,
        "total_pages": -(-min(total, MOST) // size),
        "total_is_capped": total > MOST or log.is_cut,
    }


def _shares(caller: Caller, days: Days, query: Query) -> Shares:
    rows = totals.seen(caller, days, route=ROUTE)
    if caller.reads_spend and not query.get("api_key") and not query.get("user_id"):
        return Shares(rows, totals.every(days), days, failures=False)
    if query.get("api_key"):
        rows = rows.filter(key_id__in=key_pks(query["api_key"]))
    if query.get("user_id"):
        users = User.objects.filter(public_id=query["user_id"]).values_list("pk", flat=True)
        rows = rows.filter(user_id__in=list(users))
    return Shares(rows)


def per_day(shares: Shares, days: Days) -> list[dict[str, Any]]:
    """One object per day: the day's spend, and its shares per user, model and key. Shares add up exactly."""
    most = totals.most_named(days)
    columns = {column: shares.leaders(column, most) for column in ("key_id", "user_id")}
    found = shares.sums(("day", "upstream_model"), columns)
    keys = {pk: key.token for pk, key in key_labels(columns["key_id"]).items()}
    users = {pk: user.name for pk, user in user_labels(columns["user_id"]).items()}
    rows: dict[Any, _Day] = {each: _Day() for each in days}
    for at, model, key, user, nano, *_ in found:
        rows[at].add(keys[key], users[user], model, nano)
    return [row.row() | {"startTime": at} for at, row in rows.items()]


class _Day:
    """Sums of one day in nano-USD."""

    def __init__(self) -> None:
        self.keys: Counter[str] = Counter()
        self.users: Counter[str] = Counter()
        self.models: Counter[str] = Counter()

    def add(self, key: str, user: str, model: str, nano: int) -> None:
        self.keys[key] += nano
        self.users[user] += nano
        self.models[model] += nano

    def row(self) -> dict[str, Any]:
        return {
            **_in_usd(self.keys.items()),
            "spend": usd_from_nano(self.keys.total()),
            "users": _in_usd(self.users.items()),
            "models": _in_usd(self.models.items()),
        }


def _in_usd(amounts: Iterable[tuple[str, int]]) -> dict[str, Decimal]:
    return {name: usd_from_nano(nano) for name, nano in amounts}
