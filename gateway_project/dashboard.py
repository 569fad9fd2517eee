"""What the admin's front page shows, from the rollups: its cost does not grow with the ledger's rows.

"Today" and "this month" are those of the default organization's reporting zone.
"""

import heapq
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from keys.models import VirtualKey
from proxy.models import Deployment
from spend.models import Activity, Hold, Rollup
from teams.models import AuditEvent, Organization, Team
from teams.money import format_usd, short_usd
from teams.reach import caller_of
from teams.scopes import ScopeKind, scope_name, scope_pk
from teams.services import default_organization
from teams.windows import midnight

_DAYS, _TOP = 30, 6
_ALMOST_A_DAY = timedelta(days=1) - timedelta(microseconds=1)


def context(request: HttpRequest, known: dict[str, Any]) -> dict[str, Any]:
    """Everything the front page adds to the admin's own context."""
    zone = ZoneInfo(default_organization().timezone)
    now = timezone.now().astimezone(zone)
    day, month = midnight(now.date(), zone), midnight(now.date().replace(day=1), zone)
    scopes = [scope_name(ScopeKind.ORGANIZATION, pk) for pk in Organization.objects.values_list("pk", flat=True)]
    everything = Rollup.objects.filter(scope__in=scopes)
    return known | {
        "zone": zone.key,
        "month_name": f"{now:%B}",
        "tiles": _tiles(everything, day, month),
        "days": _days(everything, now.date(), zone),
        "top_models": _shares(_top(everything.filter(quarter__gte=month), "model")),
        "top_keys": _named_keys(_top_keys(month)),
        "events": list(AuditEvent.objects.visible_to(caller_of(request.user))[:8]),  # type: ignore[arg-type]
        "first_steps": _first_steps(),
    }


def _tiles(everything: Any, day: datetime, month: datetime) -> list[dict[str, Any]]:
    sums = everything.filter(quarter__gte=month).aggregate(
        month=Sum("amount_nano"),
        calls=Sum("requests"),
        today=Sum("amount_nano", filter=Q(quarter__gte=day)),
        calls_today=Sum("requests", filter=Q(quarter__gte=day)),
    )
    held = Hold.objects.filter(state=Hold.State.PENDING).aggregate(count=Count("pk"), total=Sum("amount_nano"))
    living = Q(blocked=False) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
    keys = VirtualKey.objects.live().aggregate(active=Count("pk", filter=living), every=Count("pk"))
    return [
        _money("Spent today", sums["today"], f"{sums['calls_today'] or 0:,} calls", "today"),
        _money("Spent this month", sums["month"], f"{sums['calls'] or 0:,} calls", "calendar_month"),
        _money("Held now", held["total"], f"{held['count']:,} calls in flight", "hourglass_top")
        | {"link": f"{reverse('admin:spend_hold_changelist')}?state__exact=pending"},
        {
            "title": "Active keys",
            "value": f"{keys['active']:,}",
            "note": f"of {keys['every']:,} issued",
            "icon": "key",
            "link": f"{reverse('admin:keys_virtualkey_changelist')}?status=active",
        },
    ]


def _money(title: str, nano: int | None, note: str, icon: str) -> dict[str, Any]:
    return {"title": title, "value": short_usd(nano or 0), "exact": format_usd(nano or 0), "note": note, "icon": icon}


def _days(everything: Any, last: date, zone: ZoneInfo) -> list[dict[str, Any]]:
    """One bar per local day, the highest of them at 100 percent."""
    first = last - timedelta(days=_DAYS - 1)
    rows = everything.filter(quarter__gte=midnight(first, zone)).annotate(day=TruncDate("quarter", tzinfo=zone))
    sums = dict(rows.order_by().values("day").annotate(total=Sum("amount_nano")).values_list("day", "total"))
    most = max(sums.values(), default=0)
    days = (first + timedelta(days=i) for i in range(_DAYS))
    return [
        {"day": day, "amount": format_usd(sums.get(day, 0)), "height": _percent(sums.get(day, 0), most)} for day in days
    ]


def _top(rows: Any, field: str) -> list[dict[str, Any]]:
    sums = rows.order_by().values(field).annotate(total=Sum("amount_nano"), calls=Sum("requests"))
    return [
        {"name": row[field], "total": row["total"], "calls": row["calls"]} for row in sums.order_by("-total")[:_TOP]
    ]


def _top_keys(month: datetime) -> list[dict[str, Any]]:
    """Days are summed already, those of UTC; what of the month lies before the first of them is read from rollups."""
    first = datetime.combine((month.astimezone(UTC) + _ALMOST_A_DAY).date(), time(), UTC)
    days = Activity.objects.filter(tag="", day__gte=first.date(), requests__gt=0).order_by().values_list("key_id")
    totals = {pk: sums for pk, *sums in days.annotate(nano=Sum("amount_nano"), calls=Sum("requests"))}
    if first > month:
        hours = Rollup.objects.filter(scope__startswith=f"{ScopeKind.KEY}:", quarter__gte=month, quarter__lt=first)
        sums = hours.order_by().values_list("scope").annotate(nano=Sum("amount_nano"), calls=Sum("requests"))
        for scope, nano, calls in sums:
            known = totals.setdefault(scope_pk(scope), [0, 0])
            known[0], known[1] = known[0] + nano, known[1] + calls
    top = heapq.nlargest(_TOP, totals.items(), key=lambda item: item[1])
    return [{"name": scope_name(ScopeKind.KEY, pk), "total": nano, "calls": calls} for pk, (nano, calls) in top]


def _shares(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    most = max((row["total"] for row in rows), default=0)
    return [
        row
        | {"amount": short_usd(row["total"]), "exact": format_usd(row["total"]), "width": _percent(row["total"], most)}
        for row in rows
    ]


def _named_keys(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = VirtualKey.objects.in_bulk([scope_pk(row["name"]) for row in rows])
    named = []
    for row in _shares(rows):
        key = keys.get(scope_pk(row["name"]))
        if key is not None:
            link = reverse("admin:keys_virtualkey_change", args=[key.pk])
            row |= {"name": str(key), "link": link}
        named.append(row)
    return named


def _first_steps() -> list[dict[str, str]]:
    """What is still missing before the first call can be made; empty once all of it is there."""
    steps = (
        (Deployment, "Add a model", "and the provider's API key it needs", "proxy_deployment"),
        (Team, "Create a team", "so that people share a budget", "teams_team"),
        (VirtualKey, "Issue a key", "with a budget, and point an SDK here", "keys_virtualkey"),
    )
    return [
        {"title": title, "text": text, "link": reverse(f"admin:{name}_add")}
        for model, title, text, name in steps
        if not model._default_manager.exists()
    ]


def _percent(part: int, whole: int) -> int:
    return max(0, min(100, part * 100 // whole)) if whole > 0 else 0
