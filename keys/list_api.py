"""GET /key/list and /key/aliases: keys page by page."""

from collections.abc import Callable
from typing import Any

from django.db.models import Q, Subquery, prefetch_related_objects
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from keys.api import KeyView
from keys.models import KeyQuerySet, VirtualKey
from keys.rows import key_row, owner_row, status_of
from keys.serializers import token_from
from teams.access_groups import listed_groups
from teams.actors import MASTER, SYSTEM
from teams.api_base import ApiError, ManagementView, flag, unwired, whole_number
from teams.api_fields import DayOrInstantField
from teams.callers import Caller
from teams.limit_serializers import end_of
from teams.models import Organization, Project, Team, User
from teams.paging import pks_in_order
from teams.rows import current_window
from teams.services import default_organization

#: Columns that a list may be ordered by.
_SORTS = {
    "max_budget": "max_budget_nano",
    "created_at": "created_at",
    "updated_at": "updated_at",
    "token": "token",
    "key_alias": "alias",
    "expires": "expires_at",
    "tpm_limit": "tpm_limit",
    "rpm_limit": "rpm_limit",
    "last_active": "last_active",
    "total_spend": "total_spend",
}
#: What is no column, but worked out or added up per key; so many keys at most are.
_COMPUTED = ("spend", "budget_reset_at")
_COUNTED, _MOST = (*_COMPUTED, "total_spend", "last_active"), 10_000
_STATUSES = ("active", "expired", "revoked", "blocked", "deleted")
_EXACT = {
    "team_id": "team__public_id", "organization_id": "organization__public_id", "project_id": "project__public_id",
}  # fmt: skip


class KeyList(KeyView):
    #: Adds what keys have spent in all, and when they were last used; both are known only above this app.
    active: Callable[[KeyQuerySet], KeyQuerySet] = staticmethod(unwired)
    totals: Callable[[KeyQuerySet], KeyQuerySet] = staticmethod(unwired)
    #: Keys that an access group is assigned to; access groups, too, are known only above.
    granted: Callable[[KeyQuerySet, str], KeyQuerySet] = staticmethod(unwired)

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        page = whole_number(query, "page", 1, top=10**9)
        size = whole_number(query, "size", 10, top=100)
        name, order = _sort_of(query)
        keys = _filtered(_reached(self.caller, query), query, self.caller)
        if query.get("access_group_id"):
            keys = self.granted(keys, query["access_group_id"])
        total = keys.count()
        if name in _COUNTED and total > _MOST:
            raise ApiError(
                400, f"sort_by: at most {_MOST} keys can be ordered by {name}; narrow the list", param="sort_by"
            )
        full = flag(query, "return_full_object") or "user" in query.getlist("expand")
        chosen = slice((page - 1) * size, page * size)
        rows = self._page(keys, name, order, chosen, full=full)
        return Response(
            {
                "keys": self._full(list(rows), query) if full else [key.token for key in rows],
                "total_count": total,
                "current_page": page,
                "total_pages": -(-total // size),
            }
        )

    def _page(self, keys: KeyQuerySet, name: str, order: str, page: slice, *, full: bool) -> list[VirtualKey]:
        """Only the keys of the page are read with their owners: which ones they are, an index knows."""
        if name in _COMPUTED:
            pks = [key.pk for key in self._computed(keys, name, order)[page]]
        elif name == "created_at":
            pks = list(keys.order_by("pk" if order == "asc" else "-pk").values_list("pk", flat=True)[page])
        else:
            keys = {"total_spend": self.totals, "last_active": self.active}.get(name, _as_they_are)(keys)
            pks = pks_in_order(keys, _SORTS[name], order, page)
        shown = VirtualKey.objects.filter(pk__in=pks).order_by()
        found = {key.pk: key for key in (self.active(shown.with_owners()) if full else shown)}
        return [found[pk] for pk in pks]

    def _computed(self, keys: KeyQuerySet, name: str, order: str) -> list[VirtualKey]:
        """Ordered by what is worked out; keys without a value come last."""
        rows, now = list(keys), timezone.now()
        if name == "spend":
            spent = self.spent(rows)
            return sorted(rows, key=lambda key: (spent[key.scope], key.pk), reverse=order == "desc")
        ends = {key.pk: current_window(key, now).end for key in rows}
        with_end = sorted(
            (key for key in rows if ends[key.pk]), key=lambda key: (ends[key.pk], key.pk), reverse=order == "desc"
        )
        return with_end + [key for key in rows if not ends[key.pk]]

    def _full(self, rows: list[VirtualKey], query: Any) -> list[dict[str, Any]]:
        prefetch_related_objects(rows, listed_groups())
        spent, now, expanded = self.spent(rows), timezone.now(), "user" in query.getlist("expand")
        shown = [key_row(key, spent, now) | {"status": status_of(key, now)} for key in rows]
        if expanded:
            for row, key in zip(shown, rows, strict=True):
                row["user"] = owner_row(key.user) if key.user else None
        return shown


class KeyAliases(ManagementView):
    """The aliases of the keys that the caller may see."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        page = whole_number(query, "page", 1, top=10**9)
        size = whole_number(query, "size", 50, top=100)
        keys = VirtualKey.objects.visible_to(self.caller, "/key/aliases").live().filter(alias__isnull=False)
        if query.get("search"):
            keys = keys.filter(alias__icontains=query["search"])
        if query.get("team_id"):
            _refuse_foreign(self.caller, query, "team_id")
            keys = keys.filter(team__public_id=query["team_id"])
        total = keys.count()
        names = keys.order_by("alias").values_list("alias", flat=True)
        return Response(
            {
                "aliases": list(names[(page - 1) * size : page * size]),
                "total_count": total,
                "current_page": page,
                "total_pages": -(-total // size),
                "size": size,
            }
        )


def _reached(caller: Caller, query: Any) -> KeyQuerySet:
    """What the caller may list; 403 for a filter by somebody whom the caller may not see."""
    for name in ("user_id", "team_id", "project_id", "organization_id", "key_hash"):
        if query.get(name):
            _refuse_foreign(caller, query, name)
    keys = VirtualKey.objects.visible_to(caller)
    if caller.reads_all:
        return keys
    if query.get("include_team_keys", "").lower() == "false" and not query.get("team_id"):
        keys = keys.filter(Q(user=caller.user_pk) | Q(pk=caller.key_pk))
    if flag(query, "include_created_by_keys") and caller.user_pk is not None and not _is_anothers_name(caller):
        began = User.objects.filter(pk=caller.user_pk).values("created_at")[:1]
        made = Q(created_by=caller.user_id, created_at__gte=Subquery(began))
        # Not those of a team that was left: nobody who is not in it reads about its keys.
        made &= Q(team__isnull=True) | Q(team__in=caller.teams)
        keys = VirtualKey.objects.filter(Q(pk__in=keys.values("pk")) | made)
    return keys


def _is_anothers_name(caller: Caller) -> bool:
    """Whether the caller is called like the holder of the master key, the system, a key of nobody, or as somebody else
    signs in, by which the admin notes who made a key."""
    name = caller.user_id
    if name in (MASTER.label, SYSTEM.label) or name.startswith("key:"):
        return True
    signs_in = Q(email__iexact=name) | Q(username=name)
    return User.objects.filter(signs_in).exclude(public_id=name, deleted_at=None).exists()


def _refuse_foreign(caller: Caller, query: Any, name: str) -> None:
    if caller.reads_all:
        return
    wanted = query[name]
    if name == "key_hash":
        known = VirtualKey.objects.visible_to(caller).filter(token=token_from(wanted)).exists()
    elif name == "user_id":
        known = wanted == caller.user_id or User.objects.visible_to(caller).filter(public_id=wanted).exists()
    elif name == "team_id":
        known = Team.objects.visible_to(caller).filter(public_id=wanted).exists()
    elif name == "project_id":
        known = Project.objects.visible_to(caller).filter(public_id=wanted).exists()
    else:
        known = Organization.objects.visible_to(caller).filter(public_id=wanted).exists()
    if not known:
        raise ApiError(403, f"{name}: you may not list the keys of this one", param=name)


def _of_person(query: Any, caller: Caller) -> Q:
    """Keys of whom `user_id` names, and as far as they are asked for those that it made, and of one's own teams."""
    wanted = query["user_id"]
    found = Q(user__public_id=wanted)
    if flag(query, "include_created_by_keys"):
        found |= Q(created_by=wanted)
    if flag(query, "include_team_keys") and wanted == caller.user_id and not caller.reads_all:
        found |= Q(team__isnull=False)
    return found


def _filtered(keys: KeyQuerySet, query: Any, caller: Caller) -> KeyQuerySet:
    keys = _with_status(keys.with_owners(), query.get("status") or "")
    if query.get("agent_id"):  # there are no agents, so no key has one
        return keys.none()
    if query.get("user_id"):
        keys = keys.filter(_of_person(query, caller))
    for name, column in _EXACT.items():
        if query.get(name):
            keys = keys.filter(**{column: query[name]})
    if query.get("key_hash"):
        keys = keys.filter(token=token_from(query["key_hash"]))
    if query.get("key_alias"):
        lookup = "alias__icontains" if flag(query, "substring_matching") else "alias"
        keys = keys.filter(**{lookup: query["key_alias"]})
    if query.get("search"):
        keys = keys.filter(Q(alias__icontains=query["search"]) | Q(token=token_from(query["search"])))
    return _expiring(keys, query["expires"]) if query.get("expires") else keys


def _expiring(keys: KeyQuerySet, text: str) -> KeyQuerySet:
    """`never`, or the day or instant by whose end they expire; a day ends where the default organization is."""
    if text == "never":
        return keys.filter(expires_at__isnull=True)
    try:
        given = DayOrInstantField().run_validation(text)
    except ValidationError as error:
        raise ApiError(
            400, "expires: write 'never', a date, or an instant such as 2026-12-31T00:00:00Z", param="expires"
        ) from error
    return keys.filter(expires_at__lte=end_of(given, default_organization(), "expires"))


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


def _sort_of(query: Any) -> tuple[str, str]:
    name, order = query.get("sort_by") or "created_at", (query.get("sort_order") or "desc").lower()
    if name not in _SORTS and name not in _COMPUTED:
        raise ApiError(400, f"sort_by: write one of {', '.join((*_SORTS, *_COMPUTED))}", param="sort_by")
    if order not in ("asc", "desc"):
        raise ApiError(400, "sort_order: write asc or desc", param="sort_order")
    return name, order


def _as_they_are(keys: KeyQuerySet) -> KeyQuerySet:
    return keys
