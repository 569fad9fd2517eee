"""Reading what was spent: the amounts beside limits."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from keys.models import KeyQuerySet
from spend import totals
from spend.models import Activity, Crossing, LedgerEntry
from spend.query import Query, days
from spend.spent import Stretch, spent_by_window, spent_in, spent_now
from spend.wire import CounterRef, crossing_name
from teams.callers import Caller
from teams.models import Limits
from teams.rows import current_window


def window_spend(scopes: Iterable[Limits]) -> dict[str, int]:
    """Nano-USD posted in the current budget window of each scope (its lifetime if it has no duration)."""
    return spent_now(scopes, now=timezone.now())


def lifetime_spend(scopes: Iterable[Limits]) -> dict[str, int]:
    """Nano-USD posted ever to each scope."""
    return {stretch.scope: nano for stretch, nano in spent_in(Stretch(one.scope, None) for one in scopes).items()}


def every_window_spend(scopes: Iterable[Limits]) -> dict[tuple[str, str, str], int]:
    """Nano-USD posted in the current window of every budget of each scope, by scope, model and duration."""
    return spent_by_window(scopes, now=timezone.now())


def soft_crossings(scopes: Iterable[Limits]) -> dict[str, datetime]:
    """When each scope crossed the soft budget of its main budget's current window; the others are left out.

    A rolling window: when it was last noted, today or yesterday.
    """
    now = timezone.now()
    refs = [CounterRef(one.scope, "", current_window(one, now)) for one in scopes]
    counters = {
        crossing_name(ref.counter, rolling=bool(ref.window.slice_seconds), at=at): ref.scope
        for ref in refs
        for at in (now - timedelta(days=1), now)
    }
    rows = (
        Crossing.objects.filter(counter__in=counters, kind=Crossing.Kind.SOFT)
        .order_by("at")
        .values_list("counter", "at")
    )
    return {counters[counter]: at for counter, at in rows}


def seen_tags(caller: Caller, query: Query) -> dict[tuple[int, str], int] | None:
    """Nano-USD of calls with each tag, by its organization, on the days that a query names; None if it names none."""
    if not (query.get("start_date") or query.get("end_date")):
        return None
    rows = totals.seen(caller, days(query), tagged=True).values_list("organization_id", "tag")
    return {(pk, tag): nano for pk, tag, nano in rows.annotate(nano=Sum("amount_nano"))}


def with_last_call(keys: KeyQuerySet) -> KeyQuerySet:
    """Adds `last_active`: when each key's newest call in the ledger was admitted."""
    calls = LedgerEntry.objects.filter(key=OuterRef("pk")).order_by("-admitted_at").values("admitted_at")
    return keys.annotate(last_active=Subquery(calls[:1]))


def with_total(keys: KeyQuerySet) -> KeyQuerySet:
    """Adds `total_spend`: nano-USD that each key has ever spent."""
    days = Activity.objects.filter(key_id=OuterRef("pk"), tag="").order_by()
    sums = days.values("key_id").annotate(total=Sum("amount_nano"))
    return keys.annotate(total_spend=Coalesce(Subquery(sums.values("total")), 0))
