"""The spend log: every posting of the ledger as clients of LiteLLM read it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys.models import RetiredSecret, VirtualKey
from keys.serializers import token_from
from spend.models import LedgerEntry
from spend.reports import log_row
from teams.api_base import ApiError, ManagementView, whole_number
from teams.money import nano_from_usd, usd_from_nano

_MOST = 10_000
_OWNERS = ("organization", "key", "team", "user", "customer")
_SORTS = {
    "startTime": "admitted_at",
    "endTime": "finished_at",
    "spend": "amount_nano",
    "total_tokens": "tokens",
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "model": "upstream_model",
}
_FILTERS = {
    "team_id": "team__public_id",
    "model": "upstream_model",
    "model_id": "deployment",
    "model_group": "model",
    "key_alias": "key__alias",
    "end_user": "customer__public_id",
}


class SpendLogs(ManagementView):
    """GET /spend/logs: rows, or sums per UTC day when both dates are given and `summarize` is not false."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        entries = _common(LedgerEntry.objects.all(), query)
        start, end = _day(query, "start_date"), _day(query, "end_date")
        if start and end:
            _refuse_odd_range(start, end)
            entries = entries.filter(admitted_at__gte=_midnight(start), admitted_at__lt=_midnight(end + timedelta(1)))
            if query.get("summarize", "true").lower() != "false":
                return Response(_per_day(entries, start, end))
        rows = list(entries.select_related(*_OWNERS).order_by("-admitted_at", "-pk")[: _MOST + 1])
        response = Response([log_row(entry) for entry in rows[:_MOST]])
        if len(rows) > _MOST:
            response["x-litellm-spend-logs-truncated"] = "true"
        return response


class SpendLogsPaged(ManagementView):
    """GET /spend/logs/v2: one page of rows between two instants (UTC)."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        page = whole_number(query, "page", 1, top=10**9)
        size = whole_number(query, "page_size", 50, top=1000)
        start, end = _instant(query, "start_date"), _instant(query, "end_date", last=True)
        entries = _common(LedgerEntry.objects.all(), query).filter(admitted_at__gte=start, admitted_at__lte=end)
        entries = _sorted(_filtered(entries, query), query)
        total = entries.count()
        rows = entries.select_related(*_OWNERS)[(page - 1) * size : page * size]
        return Response(
            {
                "data": [log_row(entry) for entry in rows],
                "total": total,
                "page": page,
                "page_size": size,
                "total_pages": -(-total // size),
                "total_is_capped": False,
            }
        )


def _common(entries: QuerySet[LedgerEntry], query: Mapping[str, str]) -> QuerySet[LedgerEntry]:
    """Filters of both: api_key (a key or its hash), user_id, request_id."""
    if query.get("api_key"):
        token = token_from(query["api_key"])
        retired = RetiredSecret.objects.filter(token=token).values("key_id")
        keys = VirtualKey.objects.filter(Q(token=token) | Q(pk__in=retired)).values_list("pk", flat=True)
        entries = entries.filter(key_id__in=list(keys))
    if query.get("user_id"):
        entries = entries.filter(user__public_id=query["user_id"])
    if query.get("request_id"):
        wanted = query["request_id"]
        entries = entries.filter(Q(request_id=wanted) | Q(response_id=wanted))
    return entries


def _filtered(entries: QuerySet[LedgerEntry], query: Mapping[str, str]) -> QuerySet[LedgerEntry]:
    for name, column in _FILTERS.items():
        if query.get(name):
            entries = entries.filter(**{column: query[name]})
    for name, lookup in (("min_spend", "amount_nano__gte"), ("max_spend", "amount_nano__lte")):
        if query.get(name):
            entries = entries.filter(**{lookup: _nano(query, name)})
    if query.get("status_filter", "success") not in ("success", ""):
        return entries.none()
    return entries


def _sorted(entries: QuerySet[LedgerEntry], query: Mapping[str, str]) -> QuerySet[LedgerEntry]:
    name, order = query.get("sort_by") or "startTime", query.get("sort_order") or "desc"
    if name not in _SORTS:
        raise ApiError(400, f"sort_by: write one of {', '.join(_SORTS)}", param="sort_by")
    if order not in ("asc", "desc"):
        raise ApiError(400, "sort_order: write asc or desc", param="sort_order")
    if name == "total_tokens":
        entries = entries.annotate(tokens=F("input_tokens") + F("output_tokens"))
    sign = "" if order == "asc" else "-"
    return entries.order_by(f"{sign}{_SORTS[name]}", f"{sign}pk")


def _per_day(entries: QuerySet[LedgerEntry], start: date, end: date) -> list[dict[str, Any]]:
    """One object per day from `start` to `end`: the day's spend, and its shares per user, model and key."""
    groups = (
        entries.order_by()
        .annotate(day=TruncDate("admitted_at", tzinfo=UTC))
        .values("day", "user__public_id", "upstream_model", "key__token")
        .annotate(total=Sum("amount_nano"))
    )
    days = {day: _Day() for day in _days(start, end)}
    for group in groups:
        days[group["day"]].add(group)
    return [days[day].row() | {"startTime": day} for day in days]


class _Day:
    """Sums of one day in nano-USD, so that the shares add up to the total exactly."""

    def __init__(self) -> None:
        self.total = 0
        self.keys: dict[str, int] = {}
        self.users: dict[str, int] = {}
        self.models: dict[str, int] = {}

    def add(self, group: Mapping[str, Any]) -> None:
        amount: int = group["total"]
        self.total += amount
        shares = ((self.keys, "key__token"), (self.users, "user__public_id"), (self.models, "upstream_model"))
        for share, name in shares:
            label = group[name] or ""
            share[label] = share.get(label, 0) + amount

    def row(self) -> dict[str, Any]:
        return {
            **_in_usd(self.keys),
            "spend": usd_from_nano(self.total),
            "users": _in_usd(self.users),
            "models": _in_usd(self.models),
        }


def _in_usd(amounts: Mapping[str, int]) -> dict[str, Decimal]:
    return {name: usd_from_nano(nano) for name, nano in amounts.items()}


def _days(start: date, end: date) -> list[date]:
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


def _refuse_odd_range(start: date, end: date) -> None:
    if start > end:
        raise ApiError(400, "end_date: lies before start_date", param="end_date")
    if (end - start).days > 3660 or end.year > 9000:
        raise ApiError(400, "end_date: at most ten years after start_date", param="end_date")


def _day(query: Mapping[str, str], name: str) -> date | None:
    if not query.get(name):
        return None
    try:
        return date.fromisoformat(query[name])
    except ValueError as error:
        raise ApiError(400, f"{name}: write a date, e.g. 2026-01-31", param=name) from error


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _instant(query: Mapping[str, str], name: str, *, last: bool = False) -> datetime:
    """'YYYY-MM-DD HH:MM:SS' in UTC; a mere date means its start, or with `last` its end."""
    text = query.get(name) or ""
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time.max if last else time(), UTC)
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ApiError(
            400, f"{name}: this field is required; write an instant in UTC, e.g. 2026-01-31 13:00:00", param=name
        ) from error


def _nano(query: Mapping[str, str], name: str) -> int:
    try:
        return nano_from_usd(Decimal(query[name]))
    except (ValueError, ArithmeticError) as error:
        raise ApiError(400, f"{name}: write an amount in USD", param=name) from error
