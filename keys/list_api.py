"""GET /key/list: keys page by page."""

from typing import Any

from django.db.models import F, Q
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys.api import KeyView
from keys.models import KeyQuerySet, VirtualKey
from keys.rows import key_row, status_of
from keys.serializers import token_from
from teams.api_base import ApiError, whole_number

_SORTS = {
    "max_budget": "max_budget_nano",
    "created_at": "created_at",
    "updated_at": "updated_at",
    "token": "token",
    "key_alias": "alias",
    "expires": "expires_at",
    "tpm_limit": "tpm_limit",
    "rpm_limit": "rpm_limit",
}
_STATUSES = ("active", "expired", "revoked", "blocked", "deleted")
_EXACT = {"user_id": "user__public_id", "team_id": "team__public_id", "organization_id": "organization__public_id"}


class KeyList(KeyView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        page = whole_number(query, "page", 1, top=10**9)
        size = whole_number(query, "size", 10, top=100)
        keys = _sorted(_filtered(VirtualKey.objects.visible_to(self.caller), query), query)
        total = keys.count()
        rows = list(keys[(page - 1) * size : page * size])
        full = query.get("return_full_object", "").lower() == "true"
        return Response(
            {
                "keys": self._full(rows) if full else [key.token for key in rows],
                "total_count": total,
                "current_page": page,
                "total_pages": -(-total // size),
            }
        )

    def _full(self, rows: list[VirtualKey]) -> list[dict[str, Any]]:
        spent, now = self.spent(rows), timezone.now()
        return [key_row(key, spent, now) | {"status": status_of(key, now)} for key in rows]


def _filtered(keys: KeyQuerySet, query: Any) -> KeyQuerySet:
    keys = _with_status(keys.with_owners(), query.get("status") or "")
    for name, column in _EXACT.items():
        if query.get(name):
            keys = keys.filter(**{column: query[name]})
    if query.get("key_hash"):
        keys = keys.filter(token=token_from(query["key_hash"]))
    if query.get("key_alias"):
        lookup = "alias__icontains" if query.get("substring_matching", "").lower() == "true" else "alias"
        keys = keys.filter(**{lookup: query["key_alias"]})
    if query.get("search"):
        keys = keys.filter(Q(alias__icontains=query["search"]) | Q(token=token_from(query["search"])))
    return keys


def _with_status(keys: KeyQuerySet, status: str) -> KeyQuerySet:
    """Keys of one status; without one all that are not deleted."""
    if status and status not in _STATUSES:
        raise ApiError(400, f"status: write one of {', '.join(_STATUSES)}", param="status")
    if status == "deleted":
        return keys.filter(deleted_at__isnull=False)
    keys, gone = keys.live(), Q(expires_at__lte=timezone.now())
    if status in ("revoked", "blocked"):
        return keys.filter(blocked=True)
    if status == "expired":
        return keys.filter(gone, blocked=False)
    return keys.exclude(gone).filter(blocked=False) if status == "active" else keys


def _sorted(keys: KeyQuerySet, query: Any) -> KeyQuerySet:
    name, order = query.get("sort_by") or "created_at", query.get("sort_order") or "desc"
    if name not in _SORTS:
        raise ApiError(400, f"sort_by: write one of {', '.join(_SORTS)}", param="sort_by")
    if order not in ("asc", "desc"):
        raise ApiError(400, "sort_order: write asc or desc", param="sort_order")
    if name == "created_at":
        return keys.order_by("pk" if order == "asc" else "-pk")
    column = F(_SORTS[name])
    placed = column.asc(nulls_last=True) if order == "asc" else column.desc(nulls_last=True)
    return keys.order_by(placed, "-pk")
