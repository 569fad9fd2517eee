"""The audit trail in LiteLLM's shape: GET /audit and /audit/{id}. Nothing secret ever gets into the trail."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from datetime import timezone as zones
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from keys.audit_words import Words
from keys.models import RetiredSecret, VirtualKey
from teams.api_base import ApiError, ManagementView, whole_number
from teams.api_fields import DayOrInstantField
from teams.models import AuditEvent, User

_LAST_DAY = date.max - timedelta(days=1)
_TABLES = {
    "keys.VirtualKey": "LiteLLM_VerificationToken",
    "teams.Team": "LiteLLM_TeamTable",
    "teams.Project": "LiteLLM_ProjectTable",
    "teams.Membership": "LiteLLM_TeamMembership",
    "teams.User": "LiteLLM_UserTable",
    "teams.Organization": "LiteLLM_OrganizationTable",
    "teams.OrganizationMembership": "LiteLLM_OrganizationMembership",
    "teams.SharedBudget": "LiteLLM_BudgetTable",
    "teams.Customer": "LiteLLM_EndUserTable",
    "teams.Tag": "LiteLLM_TagTable",
    "proxy.Deployment": "LiteLLM_ProxyModelTable",
    "proxy.Credential": "LiteLLM_CredentialsTable",
    "proxy.AccessGroup": "LiteLLM_AccessGroupTable",
    "proxy.Fallback": "LiteLLM_Config",
}
#: Our events end in words of our own; clients know few, and everything else is a change.
_ACTIONS = {
    "created": ("created", "issued", "member_added", "set"),
    "deleted": ("deleted", "member_removed"),
    "blocked": ("blocked",),
    "unblocked": ("unblocked",),
    "rotated": ("regenerated",),
}
_ACTION_OF = {word: action for action, words in _ACTIONS.items() for word in words}
_SORTS = {"updated_at": "pk", "action": "action", "table_name": "object_type", "changed_by": "actor"}
Row = dict[str, Any]


class AuditLogs(ManagementView):
    """A page of the trail, the newest first unless asked otherwise."""

    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        page, size = whole_number(query, "page", 1, top=10**6), whole_number(query, "page_size", 10, top=1000)
        events = _filtered(AuditEvent.objects.visible_to(self.caller), query).order_by(*_order(query))
        total = events.count()
        return Response(
            {
                "audit_logs": _rows(events[(page - 1) * size : page * size]),
                "total": total,
                "page": page,
                "page_size": size,
                "total_pages": -(-total // size),
            }
        )


class AuditLog(ManagementView):
    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, event_id: str) -> Response:
        pk = int(event_id) if event_id.isascii() and event_id.isdigit() and len(event_id) < 19 else 0
        rows = _rows(AuditEvent.objects.visible_to(self.caller).filter(pk=pk))
        if not rows:
            raise ApiError(404, f"Audit log with ID {event_id[:64]} not found", param="id")
        return Response(rows[0])


def _filtered(events: QuerySet[AuditEvent], query: Any) -> QuerySet[AuditEvent]:
    if query.get("changed_by"):
        known = VirtualKey.objects.filter(user__public_id=query["changed_by"]).values("token")
        person = User.objects.filter(public_id=query["changed_by"]).values("username")
        events = events.filter(Q(actor=query["changed_by"]) | Q(actor__in=person) | Q(actor_key__in=known))
    if query.get("changed_by_api_key"):
        events = events.filter(actor_key=query["changed_by_api_key"])
    if query.get("action"):
        events = events.filter(_action(query["action"]))
    if query.get("table_name"):
        labels = [label for label, table in _TABLES.items() if table == query["table_name"]]
        events = events.filter(object_type__in=[*labels, query["table_name"]])
    if query.get("object_id"):
        events = events.filter(object_id__in=[query["object_id"], *_ids_of_key(query["object_id"])])
    since, until = _instant(query, "start_date"), _instant(query, "end_date", end=True)
    events = events.filter(at__gte=since) if since else events
    return events.filter(at__lt=until) if until else events


def _ids_of_key(name: str) -> list[str]:
    """All ids by which the trail knows the key of this hash or id, which change with its secret."""
    retired = RetiredSecret.objects.filter(Q(token=name) | Q(public_id=name)).values("key")
    keys = VirtualKey.objects.filter(Q(token=name) | Q(public_id=name) | Q(pk__in=retired))
    return [*keys.values_list("public_id", flat=True), *RetiredSecret.objects.filter(key__in=keys).public_ids()]


def _action(wanted: str) -> Q:
    """Events whose last word means the action that clients know."""
    if wanted != "updated":
        words = _ACTIONS.get("rotated" if wanted == "regenerated" else wanted, ())
        found = Q(pk__in=())
        for word in words:
            found |= Q(action__endswith=f".{word}")
        return found
    others = Q(pk__in=())
    for word in _ACTION_OF:
        others |= Q(action__endswith=f".{word}")
    return ~others


def _instant(query: Any, name: str, *, end: bool = False) -> datetime | None:
    """The instant that a parameter names; a day ends where the next one begins. ApiError 400."""
    if not query.get(name):
        return None
    try:
        value: date | datetime = DayOrInstantField().to_internal_value(query[name].replace(" ", "T"))
        if isinstance(value, datetime):
            return value.astimezone(zones.utc) if value.tzinfo else value.replace(tzinfo=zones.utc)  # noqa: UP017
    except (serializers.ValidationError, OverflowError) as error:
        raise ApiError(400, f"{name}: write a date or an instant, e.g. '2026-12-31'", param=name) from error
    return datetime.combine(min(value, _LAST_DAY) + timedelta(days=int(end)), time(), zones.utc)  # noqa: UP017


def _order(query: Any) -> list[str]:
    sort, order = query.get("sort_by") or "updated_at", query.get("sort_order") or "desc"
    if sort not in _SORTS:
        raise ApiError(400, f"sort_by: choose one of {', '.join(_SORTS)}", param="sort_by")
    if order not in ("asc", "desc"):
        raise ApiError(400, "sort_order: write asc or desc", param="sort_order")
    sign = "-" if order == "desc" else ""
    return list(dict.fromkeys([f"{sign}{_SORTS[sort]}", f"{sign}pk"]))


def _rows(events: Iterable[AuditEvent]) -> list[Row]:
    """Who made a change is named by the person, where a person's key made it; a key is named by its hash."""
    events = list(events)
    tokens = {event.actor_key for event in events if event.actor_key}
    keys = VirtualKey.objects.select_related("user")
    by_token = {key.token: key for key in keys.filter(token__in=tokens)}
    retired = RetiredSecret.objects.select_related("key__user").filter(token__in=tokens - by_token.keys())
    by_token |= {old.token: old.key for old in retired}
    named = {event.object_id for event in events if event.object_type == "keys.VirtualKey"}
    hashes = dict(VirtualKey.objects.filter(public_id__in=named).values_list("public_id", "token"))
    if earlier := named - hashes.keys():
        hashes |= dict(RetiredSecret.objects.filter(public_id__in=earlier).values_list("public_id", "key__token"))
    words = Words(events)
    return [_row(event, by_token.get(event.actor_key), hashes, words) for event in events]


def _row(event: AuditEvent, key: VirtualKey | None, hashes: dict[str, str], words: Words) -> Row:
    person = key.user.public_id if key and key.user and event.actor.startswith("key:") else event.actor
    return {
        "id": str(event.pk),
        "updated_at": event.at,
        "changed_by": person,
        "changed_by_api_key": event.actor_key or None,
        "action": _ACTION_OF.get(event.action.rpartition(".")[2], "updated"),
        "table_name": _TABLES.get(event.object_type, event.object_type),
        "object_id": hashes.get(event.object_id, event.object_id),
        "before_value": words.of(event.object_type, event.before),
        "updated_values": words.of(event.object_type, event.after),
        "event": event.action,
    }
