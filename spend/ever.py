"""What each key, each person and each scope ever spent, without a look at every day of theirs.

Days that are over are summed up once, all days of an owner into one row. An entry that is posted to such a day
afterwards is known by its instants: it is left out when its day is summed up, whether it is there yet or not, counted
by whoever reads the sums, and added to them with the day on which it was posted. So sums are exact at any moment: the
days summed up, entries that were posted late since, and the days since.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Case, F, Max, QuerySet, Sum, When
from django.db.models.expressions import RawSQL

from spend.bulk import elements
from spend.closed_days import LATE
from spend.late import PostedLate
from spend.models import Activity, LedgerEntry, OwnerTotal, Rollup, ScopeTotal, SummedDay

COLUMNS = ("key_id", "user_id")
_LATE_ENTRIES = LedgerEntry.objects.filter(PostedLate("posted_at", "admitted_at"))
#: After so long the rest is left to the next time: on SQLite nobody else writes meanwhile, nor waits for ever.
_SECONDS = 10
#: Those that spent most are looked for among so many more than are wanted.
_MARGIN = 2000
_SUMS = ("amount_nano", "requests", "input_tokens", "output_tokens")
_ADDED = ", ".join(f"{name} = spend_ownertotal.{name} + excluded.{name}" for name in _SUMS)

_Rows = QuerySet[Any, Any]


def sum_up_days(*, now: datetime) -> int:
    """Sum up days that are over, the oldest first, until time is up; returns how many. Repeatable."""
    over, done, stop = (now.astimezone(UTC) - LATE).date(), 0, monotonic() + _SECONDS
    while not done or monotonic() < stop:
        through = _through()
        rows = Activity.objects.filter(tag="", day__gt=through, day__lt=over).order_by("day")
        day = rows.values_list("day", flat=True).first()
        if day is None or not _sum_up(day, through):
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


def of_scopes(scopes: Iterable[str]) -> Mapping[str, int]:
    """Nano-USD that each of these ever spent; those that are not there spent nothing."""
    wanted = list(scopes)
    among = set(wanted)
    while True:
        through, found = _through(), Counter[str]()
        known = ScopeTotal.objects.filter(scope__in=wanted).order_by().values_list("scope", "amount_nano")
        since = Rollup.objects.filter(scope__in=wanted, quarter__gte=_end(through)).order_by().values_list("scope")
        for scope, amount in known.union(since.annotate(total=Sum("amount_nano")), all=True):
            found[scope] += int(amount)
        for own, amount in _late_since(through).values_list("scopes", "amount_nano"):
            found.update(dict.fromkeys(among.intersection(own), amount))
        if through == _through():
            return found


def _through() -> date:
    """This day, and all before it, are summed up."""
    return SummedDay.objects.aggregate(last=Max("day"))["last"] or date.min


def _most(column: str, limit: int, through: date) -> list[tuple[int, int, int, int, int]]:
    known, some = OwnerTotal.objects.filter(column=column), {f"{column}__gt": 0}
    since = Activity.objects.filter(tag="", day__gt=through, **some)
    late = _late_since(through).filter(**some)
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


def _sum_up(day: date, through: date) -> bool:
    """Add a day to the sums, and what was posted late by its end. False if somebody else does so at the same moment."""
    try:
        with transaction.atomic():
            SummedDay.objects.create(day=day)
            for column in COLUMNS:
                _add(column, day, through)
            _add_scopes(day, through)
    except IntegrityError:
        return False
    return True


def _add(column: str, day: date, through: date) -> None:
    """One statement: an entry that is posted at the same moment is in both of what it reads, or in neither."""
    some = {f"{column}__gt": 0}
    whole, out, back = Activity.objects.filter(tag="", day=day, **some), _late_of(day), _late_until(day, through)
    parts, values = _sql(
        (_sums(whole, column), _late_sums(out.filter(**some), column, -1), _late_sums(back.filter(**some), column))
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO spend_ownertotal ("column", owner_id, {", ".join(_SUMS)}) '  # noqa: S608
            f"SELECT %s, {column}, sum(a), sum(b), sum(c), sum(d) FROM ({' UNION ALL '.join(parts)}) AS parts "
            f'GROUP BY {column} ON CONFLICT ("column", owner_id) DO UPDATE SET {_ADDED}',
            [column, *values],
        )


def _add_scopes(day: date, through: date) -> None:
    """The same for scopes, whose rollups are by the quarter of an hour."""
    whole = Rollup.objects.filter(quarter__gte=_end(day) - timedelta(days=1), quarter__lt=_end(day)).order_by()
    late = (rows.order_by().values_list("scopes", "amount_nano") for rows in (_late_of(day), _late_until(day, through)))
    (rolled, out, back), values = _sql((whole.values_list("scope", "amount_nano"), *late))
    each = elements("e.scopes")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO spend_scopetotal (scope, amount_nano) SELECT scope, sum(amount_nano) FROM ("  # noqa: S608
            f"{rolled} UNION ALL SELECT t.value, -e.amount_nano FROM ({out}) AS e, {each} "
            f"UNION ALL SELECT t.value, e.amount_nano FROM ({back}) AS e, {each}) AS parts GROUP BY scope "
            "ON CONFLICT (scope) DO UPDATE SET amount_nano = spend_scopetotal.amount_nano + excluded.amount_nano",
            values,
        )


def _late_of(day: date) -> QuerySet[LedgerEntry]:
    """Entries that came to a day too late to be in its sums. All of them were posted after its end."""
    end = _end(day)
    return _LATE_ENTRIES.filter(posted_at__gte=end, admitted_at__gte=end - timedelta(days=1), admitted_at__lt=end)


def _late_until(day: date, through: date) -> QuerySet[LedgerEntry]:
    """Entries that came late to the days through the one that was summed up last, by the end of the next."""
    return _late_since(through).filter(posted_at__lt=_end(day))


def _late_since(through: date) -> QuerySet[LedgerEntry]:
    """Entries that came late to the days summed up, and are not part of the sums yet."""
    return _LATE_ENTRIES.filter(posted_at__gte=_end(through), admitted_at__lt=_end(through)).order_by()


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


def _end(day: date) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(days=1)
