"""Whom a report names: those who spent most, found without a look at what everybody did on every day.

Of days that are over, each day's thousand are noted; who leads over many days is found among them. What those who are
named spent is then summed up from their own rows, so amounts are exact, whoever is chosen.
"""

from collections import Counter
from datetime import date
from typing import Any

from django.db.models import QuerySet, Sum

from spend.models import Activity, DailyLeader, DailyTotal
from spend.query import Days

Rows = QuerySet[Activity] | QuerySet[DailyTotal]
#: Of how many more than wanted the sums of past days are compared with those of days that are not closed yet.
_MARGIN = 4


def leaders(rows: Rows, column: str, most: int) -> list[int]:
    """The owners who spent most in these rows, the dearest first."""
    return [pk for pk, _ in _summed(rows, column)[:most]]


def leaders_of_all(column: str, most: int, days: Days) -> list[int]:
    """The owners who spent most of everybody in these days; of a column that is noted."""
    noted = DailyLeader.objects.filter(column=column)
    closed = _days(noted, days)
    open_days = set(_days(DailyTotal.objects.all(), days)) - set(closed)
    found: Counter[int] = Counter()
    past = noted.filter(day__in=closed).values_list("owner_id").annotate(total=Sum("amount_nano"))
    found.update(dict(past.order_by("-total", "owner_id")[: most * _MARGIN]))
    found.update(dict(_summed(Activity.objects.filter(tag="", day__in=open_days), column)[: most * _MARGIN]))
    return [pk for pk, _ in sorted(found.items(), key=lambda item: (-item[1], item[0]))[:most]]


def _summed(rows: Rows, column: str) -> QuerySet[Any, tuple[int, int]]:
    named: QuerySet[Any, Any] = rows.filter(**{f"{column}__gt": 0}).order_by().values_list(column)
    summed: QuerySet[Any, tuple[int, int]] = named.annotate(total=Sum("amount_nano")).order_by("-total", column)
    return summed


def _days(rows: QuerySet[DailyLeader] | QuerySet[DailyTotal], days: Days) -> list[date]:
    rows = rows.filter(day__gte=days.first, day__lte=days.last)
    return list(rows.order_by().values_list("day", flat=True).distinct())
