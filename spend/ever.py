"""What each key and each person ever spent, without a look at every day of theirs.

Days that are over are summed up once, all days of an owner into one row. An entry that is posted to such a day
afterwards is known by its instants, for good: it is left out when its day is summed up, whether it is there yet or not,
and counted when sums are read. So these are exact at any moment: the days summed up, late entries, and the days since.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Case, F, Max, QuerySet, Sum, When
from django.db.models.expressions import RawSQL

from spend.closed_days import AT_ONCE, LATE
from spend.late import PostedLate
from spend.models import Activity, LedgerEntry, OwnerTotal, SummedDay

COLUMNS = ("key_id", "user_id")
_LATE = PostedLate("posted_at", "admitted_at")
#: Those that spent most are looked for among so many more than wanted.
_MARGIN = 1000
_SUMS = ("amount_nano", "requests", "input_tokens", "output_tokens")
_ADDED = ", ".join(f"{name} = spend_ownertotal.{name} + excluded.{name}" for name in _SUMS)

_Rows = QuerySet[Any, Any]


def sum_up_days(*, now: datetime) -> int:
    """Sum up the days that are over, the oldest first, at most a hundred; returns how many. Repeatable."""
    over, done = (now.astimezone(UTC) - LATE).date(), 0
    while done < AT_ONCE:
        rows = Activity.objects.filter(tag="", day__gt=_through(), day__lt=over).order_by("day")
        day = rows.values_list("day", flat=True).first()
        if day is None or not _sum_up(day):
            break
        done += 1
    return done


def most(column: str, limit: int) -> list[tuple[int, int, int, int, int]]:
    """(owner, nano-USD, calls, input tokens, output tokens) of those of all that spent most, the dearest first.

    Looked for among those that lead on the days summed up, and those of the dearest rows since.
    """
    while True:
        through = _through()
        found = _most(column, limit, through)
        # Each is as of one moment. If one more day was summed up by then, it is there twice.
        if through == _through():
            return found


def _through() -> date:
    """This day, and all before it, are summed up."""
    return SummedDay.objects.aggregate(last=Max("day"))["last"] or date.min


def _most(column: str, limit: int, through: date) -> list[tuple[int, int, int, int, int]]:
    known, some = OwnerTotal.objects.filter(column=column), {f"{column}__gt": 0}
    since = Activity.objects.filter(tag="", day__gt=through, **some)
    late = LedgerEntry.objects.filter(_LATE, admitted_at__lt=_start(through + timedelta(days=1)), **some)
    leading: tuple[_Rows, ...] = (known.values_list("owner_id"), since.values_list(column), late.values_list(column))
    names, owners = _sql(rows.order_by("-amount_nano")[: limit + _MARGIN] for rows in leading)
    named = RawSQL("SELECT pk FROM named", ())
    of_named = {f"{column}__in": named}
    parts, values = _sql((
        _sums(since.filter(**of_named), column),
        _late_sums(late.filter(**of_named), column),
        known.filter(owner_id__in=named).order_by().values_list("owner_id", *_SUMS),
    ))  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH named(pk) AS ({' UNION '.join(f'SELECT * FROM ({sql}) AS dearest' for sql in names)}) "  # noqa: S608
            f"SELECT {column}, sum(a), sum(b), sum(c), sum(d) FROM ({' UNION ALL '.join(parts)}) AS parts "
            f"GROUP BY {column} ORDER BY 2 DESC, 1 LIMIT %s",
            [*owners, *values, limit],
        )
        return [(owner, int(a), int(b), int(c), int(d)) for owner, a, b, c, d in cursor.fetchall()]


def _sum_up(day: date) -> bool:
    """False if somebody else does so at the same moment."""
    try:
        with transaction.atomic():
            SummedDay.objects.create(day=day)
            for column in COLUMNS:
                _add(column, day)
    except IntegrityError:
        return False
    return True


def _add(column: str, day: date) -> None:
    """One statement: an entry that is posted at the same moment is in both of what it reads, or in neither."""
    start, some = _start(day), {f"{column}__gt": 0}
    late = LedgerEntry.objects.filter(_LATE, admitted_at__gte=start, admitted_at__lt=start + timedelta(days=1), **some)
    whole = Activity.objects.filter(tag="", day=day, **some)
    parts, values = _sql((_sums(whole, column), _late_sums(late, column, -1)))
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO spend_ownertotal ("column", owner_id, {", ".join(_SUMS)}) '  # noqa: S608
            f"SELECT %s, {column}, sum(a), sum(b), sum(c), sum(d) FROM ({' UNION ALL '.join(parts)}) AS parts "
            f'GROUP BY {column} ON CONFLICT ("column", owner_id) DO UPDATE SET {_ADDED}',
            [column, *values],
        )


def _sums(rows: _Rows, column: str) -> _Rows:
    """By owner; those who only failed are none."""
    by_owner = rows.filter(requests__gt=0).order_by().values_list(column)
    summed: _Rows = by_owner.annotate(
        a=Sum("amount_nano"), b=Sum("requests"), c=Sum("input_tokens"), d=Sum("output_tokens")
    )
    return summed


def _late_sums(rows: _Rows, column: str, sign: int = 1) -> _Rows:
    """The same of entries; they count, or with -1 are left out."""
    summed: _Rows = rows.order_by().values_list(column).annotate(
        a=Sum(F("amount_nano") * sign),
        b=Sum(Case(When(kind=LedgerEntry.Kind.CHARGE, then=sign), default=0)),
        c=Sum(F("input_tokens") * sign),
        d=Sum(F("output_tokens") * sign),
    )  # fmt: skip
    return summed


def _sql(parts: Iterable[_Rows]) -> tuple[list[str], list[Any]]:
    """SQL for each of them, and the parameters of all."""
    found = [rows.query.sql_with_params() for rows in parts]
    return [sql for sql, _ in found], [value for _, values in found for value in values]


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
