"""Sums over whole days of what a caller may see, out of the daily rollups."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import F, Q, QuerySet, Sum

from spend.labels import key_labels, namesakes
from spend.models import Activity, DailyTotal
from spend.query import Days, Query, names
from spend.shares import Shares
from teams.callers import Caller
from teams.models import Customer, Organization, Team, User
from teams.money import usd_from_nano

Rows = QuerySet[Activity]

#: Answers name so many keys, people, teams or customers, those that spent most; the others are summed up under an
#: empty name. Where every day has its own, fewer for more days.
MOST, LEAST, ON_ALL_DAYS = 200, 10, 600
_MODELS: Mapping[str, Any] = {
    "user_id": User.objects,
    "team_id": Team.objects,
    "organization_id": Organization.objects,
    "customer_id": Customer.objects,
}
TOKENS = Sum(F("input_tokens") + F("output_tokens"))


def seen(caller: Caller, days: Days | None = None, *, tagged: bool = False, route: str = "") -> Rows:
    """Every charged call once, also those that teams show by `route`; with `tagged` once for each of its tags."""
    rows = Activity.objects.visible_to(caller, route).filter(requests__gt=0)
    rows = rows.exclude(tag="") if tagged else rows.filter(tag="")
    return rows.filter(day__gte=days.first, day__lte=days.last).order_by() if days else rows.order_by()


def every(days: Days) -> QuerySet[DailyTotal]:
    """What everybody did together, by organization and kind of call."""
    return DailyTotal.objects.filter(requests__gt=0, day__gte=days.first, day__lte=days.last).order_by()


def most_named(days: Days) -> int:
    """How many a report names on each of these days."""
    return max(LEAST, min(MOST, ON_ALL_DAYS // ((days.last - days.first).days + 1)))


def top(rows: Rows | QuerySet[DailyTotal], *labels: str, limit: int | None = None) -> list[tuple[Any, ...]]:
    """(labels..., nano-USD, calls, input tokens, output tokens), the dearest first."""
    summed = rows.values_list(*labels).annotate(
        nano=Sum("amount_nano"), calls=Sum("requests"), read=Sum("input_tokens"), written=Sum("output_tokens")
    )
    return list(summed.order_by("-nano", *labels)[:limit])


def per_day(rows: Rows | QuerySet[DailyTotal], *labels: str) -> list[tuple[Any, ...]]:
    """(day, labels..., nano-USD, calls, tokens), the oldest day first."""
    summed = rows.values_list("day", *labels).annotate(nano=Sum("amount_nano"), calls=Sum("requests"), tokens=TOKENS)
    return list(summed.order_by("day", *labels))


def leading(shares: Shares, column: str, limit: int) -> list[tuple[int, int, int, int, int]]:
    """(owner, nano-USD, calls, input tokens, output tokens) of those that spent most, the dearest first."""
    pks = shares.leaders(column, limit)
    found = shares.named(column, pks)
    return sorted(((pk, *sums[:4]) for pk, *sums in found), key=lambda row: (-row[1], row[0]))


def by_public_id(rows: Rows, column: str, found: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """(label, nano-USD, ...) of owners found in these rows, each public id once, the dearest first.

    Who was deleted and made anew is several owners for the books, but one for whoever reads a report.
    """
    known = {pk for pk, *_ in found}
    named = namesakes(column, known)
    newest = {label.name: label for _, label in sorted(named.items())}
    others = named.keys() - known - {0}
    further = top(rows.filter(Q(**{f"{column}__in": others})), column) if others else []
    sums: dict[str, list[int]] = {}
    for pk, *amounts in [*found, *further]:
        before = sums.get(named[pk].name, [0] * len(amounts))
        sums[named[pk].name] = [one + other for one, other in zip(before, amounts, strict=True)]
    return sorted(((newest[name], *each) for name, each in sums.items()), key=lambda row: (-row[1], row[0].name))


def usd_total(rows: Rows | QuerySet[DailyTotal]) -> Any:
    return usd_from_nano(rows.aggregate(total=Sum("amount_nano"))["total"] or 0)


def chosen(rows: Rows, query: Query, **parameters: str) -> Rows:
    """Narrowed to the owners that parameters name: parameter=column."""
    for parameter, column in parameters.items():
        if query.get(parameter):
            rows = rows.filter(Q(**{f"{column}__in": pks_named(column, names(query, parameter))}))
    return rows


def pks_named(column: str, wanted: Sequence[str]) -> list[int]:
    """Primary keys of what is known under these public ids."""
    found: QuerySet[Any] = _MODELS[column].filter(public_id__in=list(wanted))
    return list(found.values_list("pk", flat=True))


def models_of(shares: Shares, column: str, named: Callable[[set[int]], Mapping[int, str]]) -> list[dict[str, Any]]:
    """What each owner spent on which models, the dearest first; owners that are called the same are one."""
    parts = shares.sums(("upstream_model",), {column: shares.leaders(column, MOST)})
    names, found = named({owner for _, owner, *_ in parts}), defaultdict[str, dict[str, list[int]]](dict)
    for model, owner, nano, _, read, written, *_ in parts:
        before = found[names[owner]].get(model, (0, 0, 0))
        found[names[owner]][model] = [a + b for a, b in zip(before, (nano, read, written), strict=True)]
    rows = [
        {
            "owner": name,
            **_costs([sum(amounts) for amounts in zip(*models.values(), strict=True)]),
            "model_details": [
                {"model": model, **_costs(amounts)}
                for model, amounts in sorted(models.items(), key=lambda item: (-item[1][0], item[0]))
            ],
        }
        for name, models in found.items()
    ]
    return sorted(rows, key=lambda row: (-row["total_cost"], row["owner"]))


def _costs(amounts: Sequence[int]) -> dict[str, Any]:
    """Of nano-USD, tokens read, and tokens written."""
    nano, read, written = amounts
    return {"total_cost": usd_from_nano(nano), "total_input_tokens": read, "total_output_tokens": written}


def key_rows(shares: Shares, limit: int) -> list[dict[str, Any]]:
    found = leading(shares, "key_id", limit)
    keys = key_labels({pk for pk, *_ in found})
    return [
        {
            "api_key": keys[pk].token,
            "key_alias": keys[pk].alias,
            "key_name": keys[pk].masked,
            "total_spend": usd_from_nano(nano),
        }
        for pk, nano, *_ in found
        if pk in keys
    ]
