"""Lists that are read page by page, and how much is shown of those that are not."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db.models import F, Model, QuerySet
from rest_framework.response import Response

from teams.api_types import ApiError

Q = TypeVar("Q", bound=QuerySet[Any])
M = TypeVar("M", bound=Model)
#: What clients call a sort order, and the column or annotation it means.
Sorts = Mapping[str, str]
#: What a list without pages shows of each kind.
MOST = 1000


def first(rows: QuerySet[M], most: int = MOST) -> tuple[list[M], bool]:
    """The first of them, and whether there are more."""
    found = list(rows[: most + 1])
    return found[:most], len(found) > most


def telling(response: Response, **cut: bool) -> Response:
    """An answer that names what of it is not complete."""
    names = [name for name, is_cut in cut.items() if is_cut]
    if names:
        response["x-latchkey-truncated"] = ", ".join(names)
    return response


def pks_in_order(rows: QuerySet[Any], column: str, order: str, page: slice) -> list[int]:
    """Primary keys of one page, what has no value last. Two queries, of which each can be read off one index."""
    sign, start, end = "-" if order == "desc" else "", page.start, page.stop
    valued = rows.filter(**{f"{column}__isnull": False}).order_by(f"{sign}{column}", f"{sign}pk")
    found = list(valued.values_list("pk", flat=True)[start:end])
    if len(found) == end - start:
        return found
    before = valued.count()
    without = rows.filter(**{f"{column}__isnull": True}).order_by("-pk").values_list("pk", flat=True)
    return found + list(without[max(0, start - before) : end - before])


def order_of(query: Mapping[str, str]) -> str:
    """`asc` or `desc`, as `sort_order` says; ApiError 400 for anything else."""
    order = (query.get("sort_order") or "desc").lower()
    if order not in ("asc", "desc"):
        raise ApiError(400, "sort_order: write asc or desc", param="sort_order")
    return order


def sorted_rows(rows: Q, query: Mapping[str, str], sorts: Sorts, *, default: str) -> Q:
    """By `sort_by` and `sort_order`, what has no value last; ApiError 400 naming an order that there is not.

    By `spend`, which is no column, the lists order their rows themselves.
    """
    name, order = query.get("sort_by") or default, order_of(query)
    if name not in sorts:
        raise ApiError(400, f"sort_by: write one of {', '.join([*sorts, 'spend'])}", param="sort_by")
    column = F(sorts[name])
    placed = column.asc(nulls_last=True) if order == "asc" else column.desc(nulls_last=True)
    return rows.order_by(placed, "-pk")
