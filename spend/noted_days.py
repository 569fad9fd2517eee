"""What is noted of a UTC day that is over: what each team's keys did together, and of how many rows the day consists.

An entry may still come to such a day. Calls, attempts that failed and corrections are its *deeds*; their number only
grows, in the transaction that writes them. What was noted after they were counted is the truth as long as there are as
many. A day with more of them is read from its rows, until it is noted anew. So nothing here costs a call anything.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic

from django.db import connection, transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate

from spend.activity import SUMS
from spend.closed_days import LATE
from spend.models import Activity, DailyTeam, DailyTotal, LedgerEntry, NotedDay
from spend.query import Days

_LABELS = ("day", "team_id", "organization_id", "model", "upstream_model", "provider", "call_type")
#: After so long the rest is left to the next time: on SQLite nobody else writes meanwhile, nor waits for ever.
_SECONDS = 10


def note_days(*, now: datetime) -> int:
    """Note days that are over, also anew, the newest first, until time is up; returns how many. Repeatable."""
    last, done, stop = (now.astimezone(UTC) - LATE).date() - timedelta(days=1), 0, monotonic() + _SECONDS
    noted = dict(NotedDay.objects.values_list("day", "deeds"))
    for day, deeds in sorted(_deeds(date.min, last).items(), reverse=True):
        if noted.get(day) != deeds:
            if done and monotonic() >= stop:
                break
            _note(day)
            done += 1
    return done


def as_noted(days: Days) -> tuple[Mapping[date, NotedDay], Sequence[date]]:
    """Those of the days that are still as they were noted, and those whose rows have to be read."""
    found = {noted.day: noted for noted in NotedDay.objects.filter(day__gte=days.first, day__lte=days.last)}
    deeds = _deeds(days.first, days.last)
    kept = {day: noted for day, noted in found.items() if deeds.get(day) == noted.deeds}
    return kept, [day for day in deeds if day not in kept]


def _deeds(first: date, last: date) -> Mapping[date, int]:
    totals = DailyTotal.objects.filter(day__gte=first, day__lte=last).order_by().values_list("day")
    found = Counter(dict(totals.annotate(deeds=Sum("requests") + Sum("failed_requests"))))
    start, end = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(days=1)))
    corrections = LedgerEntry.objects.filter(kind="correction", admitted_at__gte=start, admitted_at__lt=end)
    dated = corrections.annotate(on=TruncDate("admitted_at", tzinfo=UTC)).order_by().values_list("on")
    found.update(dict(dated.annotate(deeds=Count("pk"))))
    return found


def _note(day: date) -> None:
    """The deeds are counted first: what comes meanwhile has the day noted anew."""
    with transaction.atomic():
        deeds = _deeds(day, day)[day]
        rows = Activity.objects.filter(tag="", day=day).aggregate(all=Count("pk"), teams=Count("pk", Q(team_id__gt=0)))
        noted = NotedDay(day=day, deeds=deeds, rows=rows["all"], rows_of_teams=rows["teams"])
        # Whoever notes the same day at the same moment waits here, and then writes it once more.
        NotedDay.objects.bulk_create(
            [noted], update_conflicts=True, unique_fields=["day"], update_fields=["deeds", "rows", "rows_of_teams"]
        )
        DailyTeam.objects.filter(day=day).delete()
        labels = ", ".join(_LABELS)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO spend_dailyteam ({labels}, {', '.join(SUMS)}) "  # noqa: S608
                f"SELECT {labels}, {', '.join(f'sum({name})' for name in SUMS)} FROM spend_activity "
                f"WHERE tag = '' AND day = %s AND team_id > 0 GROUP BY {labels} ORDER BY {labels}",
                [day],
            )
