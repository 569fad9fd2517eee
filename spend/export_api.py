"""/.../daily/activity/export: what was used per day as a file, every row of it."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from spend import labels
from spend.daily import Row, Sums
from spend.daily_api import (
    CustomerDailyActivity,
    DailyActivity,
    OrganizationDailyActivity,
    TagDailyActivity,
    TeamDailyActivity,
    metrics,
)
from spend.labels import KeyLabel, Label
from spend.shares import Shown
from spend.streamed import Streamed
from teams.api_base import ApiError

Line = dict[str, Any]
#: What the rows of each kind of export are told apart by, beside day and entity.
TYPES = ("daily", "daily_with_keys", "daily_with_models")
FORMATS = ("csv", "json")
#: Spreadsheets take a cell that begins so for a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
#: Days are read together until they hold so many calls, which are at least as many as their lines.
_CALLS_AT_ONCE = 20_000


class _OwnFormat(DefaultContentNegotiation):
    """Takes no notice of `format`, which is the export's own parameter here."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class ActivityExport(DailyActivity):
    """GET: `export_type` daily, daily_with_keys or daily_with_models; `format` csv or json."""

    content_negotiation_class = _OwnFormat

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Any:
        query = request.query_params
        kind, form = _one_of(query, "export_type", TYPES), _one_of(query, "format", FORMATS)
        chosen = replace(self.selection(query), kinds=("model",) if kind == "daily_with_models" else ())
        shown = self._shown(kind)
        parts = (self._lines(some.rows(shown), kind) for some in chosen.in_stretches(_CALLS_AT_ONCE))
        if form == "json":
            answer = Streamed(_json(parts, request.accepted_renderer.render), content_type="application/json")
        else:
            answer = Streamed(_csv(parts, _columns(kind)), content_type="text/csv; charset=utf-8")
        name = f"{request.path.split('/')[1]}-{kind}.{form}"
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    def _shown(self, kind: str) -> Shown:
        columns = [self.column] if self.column else []
        return dict.fromkeys([*columns, "key_id"] if kind == "daily_with_keys" else columns)

    def _lines(self, rows: list[Row], kind: str) -> list[Line]:
        keys = labels.key_labels({row.key_id for row in rows})
        named = self.named({self.entity_of(row) for row in rows})
        found: dict[tuple[Any, ...], Sums] = {}
        for row in rows:
            part = {"daily_with_keys": row.key_id, "daily_with_models": row.model}.get(kind, "")
            found.setdefault((row.day, self.entity_of(row), part), Sums()).add(row.sums)
        lines = [
            _line(day, named[entity]) | _part(kind, part, keys) | metrics(sums)
            for (day, entity, part), sums in found.items()
        ]
        columns = _columns(kind)
        return sorted(lines, key=lambda line: [str(line[name] or "") for name in columns])


class TeamExport(ActivityExport, TeamDailyActivity):
    pass


class OrganizationExport(ActivityExport, OrganizationDailyActivity):
    pass


class CustomerExport(ActivityExport, CustomerDailyActivity):
    pass


class TagExport(ActivityExport, TagDailyActivity):
    pass


def _line(day: Any, entity: Label) -> Line:
    return {"date": day, "entity_id": entity.name, "entity_alias": entity.alias}


def _part(kind: str, part: Any, keys: Mapping[int, KeyLabel]) -> Line:
    if kind == "daily_with_keys":
        return {"api_key": keys[part].token, "key_alias": keys[part].alias}
    return {"model": part} if kind == "daily_with_models" else {}


def _columns(kind: str) -> list[str]:
    parts = {"daily_with_keys": ["api_key", "key_alias"], "daily_with_models": ["model"]}
    return ["date", "entity_id", "entity_alias", *parts.get(kind, []), *metrics(Sums())]


def _csv(parts: Iterable[list[Line]], columns: list[str]) -> Iterator[bytes]:
    yield _written([columns])
    for lines in parts:
        yield _written([_cell(line[name]) for name in columns] for line in lines)


def _written(rows: Iterable[list[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _json(parts: Iterable[list[Line]], render: Callable[[list[Line]], Any]) -> Iterator[bytes]:
    """One list, of which each part renders some lines."""
    yield b"["
    before = b""
    for lines in parts:
        if lines:
            yield before + render(lines)[1:-1]
            before = b","
    yield b"]"


def _cell(value: Any) -> Any:
    """In full, without an exponent; a name that a spreadsheet would take for a formula becomes text."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return f"'{value}"
    return "" if value is None else value


def _one_of(query: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    value = query.get(name) or known[0]
    if value not in known:
        raise ApiError(400, f"{name}: write one of {', '.join(known)}", param=name)
    return value
