"""/user/daily/activity and its siblings: what was used per day, broken down by everything the books tell apart."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, ClassVar

from django.db.models import Model, Q
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from spend import labels
from spend.daily import Row, Selection, Sums
from spend.labels import KeyLabel, Label
from spend.logs import key_pks
from spend.query import Days, days, names, offset_zone
from teams.api_base import ManagementView, whole_number
from teams.finding import reported_organizations, reported_teams
from teams.models import Customer, Organization, Team, User
from teams.money import usd_from_nano

#: Answers without pages name so many keys, and as many people, teams or customers: those that spent most, fewer where
#: there are more days. All others are summed up under an empty name.
MOST, LEAST, ON_ALL_DAYS = 100, 10, 600
_ENDPOINTS = {
    "chat": "/chat/completions",
    "completion": "/completions",
    "embedding": "/embeddings",
    "image": "/images/generations",
    "moderation": "/moderations",
}


class DailyActivity(ManagementView):
    """GET /.../daily/activity: page by page; with `everything` (/aggregated) all days in one answer."""

    detail_errors = True
    everything: ClassVar[bool] = False
    #: The column that names the entities of this view, the parameters that choose among them, and their rows.
    column: ClassVar[str] = "user_id"
    chosen_by: ClassVar[tuple[str, ...]] = ("user_id", "user_ids")
    #: Which of the daily totals are calls of all entities; None where totals do not tell.
    totals: ClassVar[Q | None] = Q()
    entity: ClassVar[type[Model]] = User
    #: What a team grants its plain members who are to see all of it here.
    route: ClassVar[str] = ""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        page, size = whole_number(query, "page", 1, top=10**6), whole_number(query, "page_size", 50, top=1000)
        chosen = self.selection(query)
        if self.everything:
            columns = dict.fromkeys(("key_id", self.column) if self.column else ("key_id",))
            return Response(self.answer(chosen.summed(tuple(columns), _most_named(chosen.days)), 1, 1))
        rows, total = chosen.turned_to((page - 1) * size, size)
        return Response(self.answer(rows, page, max(1, -(-total // size))))

    def selection(self, query: Mapping[str, str]) -> Selection:
        where, totals = self.chosen(query), self.totals
        if not self.caller.reads_spend or where != self.all_entities():
            totals = None
        if query.get("model"):
            where, totals = where & (Q(model=query["model"]) | Q(upstream_model=query["model"])), None
        if query.get("api_key"):
            pks = [pk for each in names(query, "api_key") for pk in key_pks(each)]
            where, totals = where & Q(key_id__in=pks), None
        return Selection(self.caller, days(query, zone=offset_zone(query)), where, totals=totals, route=self.route)

    def chosen(self, query: Mapping[str, str]) -> Q:
        """Of the caller's entities those that are named; everything else is left out by `visible_to`."""
        wanted = [name for parameter in self.chosen_by for name in names(query, parameter)]
        where = Q(**{f"{self.column}__in": self.pks_asked(wanted)}) if wanted else self.all_entities()
        excluded = [name for parameter in self.chosen_by for name in names(query, f"exclude_{parameter}")]
        return where & ~Q(**{f"{self.column}__in": self._pks(excluded)}) if excluded else where

    def all_entities(self) -> Q:
        """Calls of any entity; about people: everybody's for admins, else the caller's own."""
        if self.column == "organization_id":
            return Q()
        if self.column != "user_id":
            return Q(**{f"{self.column}__gt": 0})
        if self.caller.reads_spend:
            return Q()
        return Q(user_id=self.caller.user_pk) if self.caller.user_pk else Q(key_id=self.caller.key_pk)

    def pks_asked(self, wanted: list[str]) -> list[int]:
        """Of the entities that are named."""
        return self._pks(wanted)

    def _pks(self, wanted: Iterable[str]) -> list[int]:
        rows = self.entity._default_manager.filter(public_id__in=list(wanted))
        return list(rows.values_list("pk", flat=True))

    def entity_of(self, row: Row) -> Any:
        return getattr(row, self.column)

    def named(self, entities: set[Any]) -> dict[Any, Label]:
        return labels.OWNERS[self.column](entities)

    def answer(self, rows: list[Row], page: int, pages: int) -> dict[str, Any]:
        keys = labels.key_labels({row.key_id for row in rows})
        named = self.named({self.entity_of(row) for row in rows})
        by_day: dict[date, _Breakdown] = {}
        for row in rows:
            if row.day not in by_day:
                by_day[row.day] = _Breakdown(keys)
            by_day[row.day].add(row, named[self.entity_of(row)])
        total = Sums()
        for parts in by_day.values():
            total.add(parts.total())
        metadata = {f"total_{name.removeprefix('total_')}": value for name, value in metrics(total).items()}
        metadata |= {"page": page, "total_pages": pages, "has_more": page < pages}
        found = sorted(by_day.items(), reverse=True)
        return {"results": [{"date": day} | parts.row() for day, parts in found], "metadata": metadata}


class TeamDailyActivity(DailyActivity):
    column, chosen_by, entity, totals = "team_id", ("team_ids", "team_id"), Team, Q(of_team=True)
    route = "/team/daily/activity"

    def pks_asked(self, wanted: list[str]) -> list[int]:
        return reported_teams(wanted, self.caller)


class OrganizationDailyActivity(DailyActivity):
    column, chosen_by, entity = "organization_id", ("organization_ids", "organization_id"), Organization

    def pks_asked(self, wanted: list[str]) -> list[int]:
        return reported_organizations(wanted, self.caller)


class CustomerDailyActivity(DailyActivity):
    column, chosen_by, entity = "customer_id", ("end_user_ids", "customer_ids", "end_user_id"), Customer
    totals = None


class TagDailyActivity(DailyActivity):
    """A call with several tags counts for each of them."""

    column, chosen_by, totals = "", ("tags", "tag"), None

    def selection(self, query: Mapping[str, str]) -> Selection:
        chosen = super().selection(query)
        tags = tuple(name for parameter in self.chosen_by for name in names(query, parameter))
        return Selection(chosen.caller, chosen.days, chosen.where, tags)

    def chosen(self, query: Mapping[str, str]) -> Q:
        return Q()

    def entity_of(self, row: Row) -> Any:
        return row.tag

    def named(self, entities: set[Any]) -> dict[Any, Label]:
        return {tag: Label(tag) for tag in entities}


def _most_named(days: Days) -> int:
    return max(LEAST, min(MOST, ON_ALL_DAYS // len(list(days))))


class _Breakdown:
    """The sums of one day, and its shares."""

    def __init__(self, keys: Mapping[int, KeyLabel]) -> None:
        self._keys = keys
        self._parts: dict[str, dict[str, _Part]] = {
            name: {} for name in ("models", "model_groups", "providers", "endpoints", "entities")
        }
        self._by_key: dict[str, tuple[KeyLabel, Sums]] = {}

    def add(self, row: Row, entity: Label) -> None:
        key = self._keys[row.key_id]
        _of_key(self._by_key, key).add(row.sums)
        names = (
            row.upstream_model or row.model, row.model, row.provider, _ENDPOINTS.get(row.call_type, row.call_type),
            entity.name,
        )  # fmt: skip
        for (kind, parts), name in zip(self._parts.items(), names, strict=True):
            if not name and kind != "entities" and not (row.sums.nano or row.sums.calls):
                # A call that was refused has come to no provider, and perhaps named no model.
                continue
            if name not in parts:
                parts[name] = _Part(entity if kind == "entities" else None)
            parts[name].add(key, row.sums)

    def total(self) -> Sums:
        return _total(self._by_key)

    def row(self) -> dict[str, Any]:
        breakdown = {kind: {name: part.row() for name, part in parts.items()} for kind, parts in self._parts.items()}
        breakdown |= {"api_keys": _key_rows(self._by_key), "mcp_servers": {}}
        return {"metrics": metrics(self.total()), "breakdown": breakdown}


class _Part:
    def __init__(self, entity: Label | None) -> None:
        self._entity = entity
        self._by_key: dict[str, tuple[KeyLabel, Sums]] = {}

    def add(self, key: KeyLabel, sums: Sums) -> None:
        _of_key(self._by_key, key).add(sums)

    def row(self) -> dict[str, Any]:
        metadata = {"alias": self._entity.alias, "team_alias": self._entity.alias} if self._entity else {}
        return {
            "metrics": metrics(_total(self._by_key)), "metadata": metadata, "api_key_breakdown": _key_rows(self._by_key)
        }  # fmt: skip


def _of_key(by_key: dict[str, tuple[KeyLabel, Sums]], key: KeyLabel) -> Sums:
    if key.token not in by_key:
        by_key[key.token] = key, Sums()
    return by_key[key.token][1]


def _total(by_key: Mapping[str, tuple[KeyLabel, Sums]]) -> Sums:
    """Added up once in the end, and not with every row."""
    total = Sums()
    for _, sums in by_key.values():
        total.add(sums)
    return total


def _key_rows(by_key: Mapping[str, tuple[KeyLabel, Sums]]) -> dict[str, Any]:
    return {
        token: {"metrics": metrics(sums), "metadata": {"key_alias": key.alias, "team_id": key.team_id}}
        for token, (key, sums) in by_key.items()
    }


def metrics(sums: Sums) -> dict[str, Any]:
    return {
        "spend": usd_from_nano(sums.nano),
        "prompt_tokens": sums.input,
        "completion_tokens": sums.output,
        "total_tokens": sums.input + sums.output,
        "cache_read_input_tokens": sums.cached,
        "cache_creation_input_tokens": sums.cache_write,
        "successful_requests": sums.calls,
        "failed_requests": sums.failed,
        "api_requests": sums.calls + sums.failed,
    }
