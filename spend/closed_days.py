"""What is done once about a UTC day that is over: who spent most is noted, and its sums are held against what they sum
up. During an upgrade, a worker of the version before posts without the newest of them."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Sum

from spend.activity import ADDED_TOTALS, LABELS, SUMS, TOTAL_LABELS
from spend.bulk import as_text, elements
from spend.models import Activity, DailyLeader, DailyTotal

#: The columns by which reports name owners of whom there may be very many.
COLUMNS = ("key_id", "user_id", "team_id")
#: How many of each are noted, and how many days are closed at once.
NOTED, _AT_ONCE = 1000, 100
#: Calls of yesterday may still be posted for so long.
LATE = timedelta(hours=2)


def close_days(*, now: datetime) -> int:
    """Close the days that are over, the newest first, at most a hundred; returns how many. Repeatable."""
    noted = DailyLeader.objects.filter(column=COLUMNS[0]).values("day").distinct()
    over = DailyTotal.objects.filter(day__lt=(now.astimezone(UTC) - LATE).date()).exclude(day__in=noted)
    days = list(over.order_by("-day").values_list("day", flat=True).distinct()[:_AT_ONCE])
    return sum(_close(day) for day in days)


def _close(day: date) -> bool:
    """False if somebody else does so at the same moment: only one can note the day's leaders."""
    try:
        with transaction.atomic():
            for column in COLUMNS:
                DailyLeader.objects.bulk_create(_leaders(day, column))
            mend_failures(day)
            mend_totals(day)
    except IntegrityError:
        return False
    return True


def _leaders(day: date, column: str) -> list[DailyLeader]:
    rows = Activity.objects.filter(day=day, tag="", **{f"{column}__gt": 0}).order_by().values_list(column)
    found = rows.annotate(total=Sum("amount_nano")).order_by("-total", column)[:NOTED]
    return [DailyLeader(day=day, column=column, owner_id=pk, amount_nano=total) for pk, total in found]


def mend_totals(day: date) -> None:
    """Add to a day's totals what they lack.

    One statement: postings at the same moment are in both of what it compares, or in neither.
    """
    labels, sums = ", ".join(TOTAL_LABELS), ", ".join(SUMS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO spend_dailytotal ({labels}, {sums}) "  # noqa: S608
            f"SELECT {labels}, {', '.join(f'sum({name})' for name in SUMS)} FROM ("
            f"SELECT {labels.replace('of_team', 'team_id > 0 AS of_team')}, {sums} FROM spend_activity "
            f"WHERE tag = '' AND day = %s UNION ALL "
            f"SELECT {labels}, {', '.join(f'-{name}' for name in SUMS)} FROM spend_dailytotal WHERE day = %s"
            f") AS missing GROUP BY {labels} HAVING {' OR '.join(f'sum({name}) <> 0' for name in SUMS)} "
            f"ON CONFLICT ({labels}) DO UPDATE SET {ADDED_TOTALS}",
            [day, day],
        )


def mend_failures(day: date) -> None:
    """Add to a day's activity the attempts that failed and are not counted there. One statement, as above."""
    labels, start = ", ".join(LABELS), datetime.combine(day, time(), UTC)
    failed = (_failures("''", "spend_hold h"), _failures("t.value", f"spend_hold h, {elements('h.tags')}"))
    of_day: list[Any] = [day, as_text(start), as_text(start + timedelta(days=1))]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO spend_activity ({labels}, {', '.join(SUMS)}) "  # noqa: S608
            f"SELECT {labels}, {'0, ' * (len(SUMS) - 1)}sum(failed) FROM ("
            f"{' UNION ALL '.join(failed)} UNION ALL "
            f"SELECT {labels}, -failed_requests FROM spend_activity WHERE day = %s AND failed_requests <> 0"
            f") AS missing GROUP BY {labels} HAVING sum(failed) <> 0 ON CONFLICT ({labels}) DO UPDATE "
            "SET failed_requests = spend_activity.failed_requests + excluded.failed_requests",
            [*of_day, *of_day, day],
        )


def _failures(tag: str, source: str) -> str:
    """SQL for the labels of attempts that failed on a day, which is to be given with its first and last instant."""
    day = "CAST(%s AS date)" if connection.vendor == "postgresql" else "%s"
    owners = ", ".join(f"coalesce(h.{name}, 0) AS {name}" for name in LABELS[-4:])
    return (
        f"SELECT h.key_id, {day} AS day, h.model, h.upstream_model, h.provider, h.call_type, {tag} AS tag, {owners}, "  # noqa: S608
        f"1 AS failed FROM {source} WHERE h.state = 'void' AND h.key_id IS NOT NULL "
        "AND h.admitted_at >= %s AND h.admitted_at < %s"
    )
