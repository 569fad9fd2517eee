"""/global/spend/... and /global/activity/...: sums of what the caller may see, for dashboards."""

from collections.abc import Iterable
from datetime import UTC, date
from typing import Any, ClassVar

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from spend import labels, totals
from spend.logs import key_pks
from spend.models import Activity, DailyTotal, Hold, Refusal
from spend.query import Days, days, last_days, names
from spend.shares import Shares
from teams.api_base import ApiError, ManagementView, whole_number
from teams.models import Platform
from teams.money import usd_from_nano
from teams.rows import usd

_SHOWN = extend_schema(request=None, responses=OpenApiTypes.OBJECT)
#: Parameters that choose among owners, and the columns of these.
_OWNERS = {
    "user_id": "user_id", "internal_user_id": "user_id", "team_id": "team_id", "customer_id": "customer_id",
    "end_user_id": "customer_id", "organization_id": "organization_id",
}  # fmt: skip


class SpendView(ManagementView):
    detail_errors = True

    def days(self, query: Any) -> Days:
        """As asked, else the last thirty."""
        return days(query, default=last_days(timezone.now()))

    def sums(self, query: Any) -> totals.Rows | QuerySet[DailyTotal]:
        """As `rows`, but not by owner: of everybody there are sums already."""
        return totals.every(self.days(query)) if self._is_whole(query) else self.rows(query)

    def shares(self, query: Any) -> Shares:
        """As `rows`, for reports that name only those who spent most."""
        whole = totals.every(self.days(query)) if self._is_whole(query) else None
        return Shares(self.rows(query), whole, self.days(query), failures=False)

    def _is_whole(self, query: Any) -> bool:
        return self.caller.reads_spend and not any(query.get(name) for name in ("api_key", *_OWNERS))

    def rows(self, query: Any, **how: Any) -> totals.Rows:
        rows = totals.seen(self.caller, self.days(query), **how)
        if query.get("api_key"):
            rows = rows.filter(key_id__in=key_pks(query["api_key"]))
        return totals.chosen(rows, query, **_OWNERS)


class GlobalSpend(SpendView):
    """GET /global/spend: what was spent in the last thirty days, and the budget of everything together."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        total = totals.usd_total(self.sums(request.query_params))
        platform = Platform.objects.visible_to(self.caller).first()
        return Response({"spend": total, "max_budget": usd(platform.max_budget_nano) if platform else None})


class GlobalSpendLogs(SpendView):
    """GET /global/spend/logs: per day, also of one key."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        query = request.query_params
        found = {day: nano for day, nano, _, _ in totals.per_day(self.sums(query))}
        key = {"api_key": query["api_key"]} if query.get("api_key") else {}
        if key and key["api_key"].startswith("sk-"):
            key = {"api_key": next(iter(labels.key_labels(key_pks(key["api_key"])).values())).token}
        return Response([{**key, "date": day, "spend": usd_from_nano(nano)} for day, nano in found.items()])


class GlobalSpendKeys(SpendView):
    @_SHOWN
    def get(self, request: Request) -> Response:
        query = request.query_params
        return Response(totals.key_rows(self.shares(query), whole_number(query, "limit", 10, top=1000)))


class GlobalSpendModels(SpendView):
    @_SHOWN
    def get(self, request: Request) -> Response:
        query = request.query_params
        found = totals.top(self.sums(query), "upstream_model", limit=whole_number(query, "limit", 10, top=1000))
        return Response([{"model": model, "total_spend": usd_from_nano(nano)} for model, nano, *_ in found])


class GlobalSpendProvider(SpendView):
    @_SHOWN
    def get(self, request: Request) -> Response:
        found = totals.top(self.sums(request.query_params), "provider")
        return Response([{"provider": provider, "spend": usd_from_nano(nano)} for provider, nano, *_ in found])


class GlobalSpendTeams(SpendView):
    """GET /global/spend/teams: per day and team, and in all."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        shares = self.shares(request.query_params)
        of_teams = shares.only("team_id")
        pks = of_teams.leaders("team_id", totals.most_named(self.days(request.query_params)))
        teams = {pk: team_name(team) for pk, team in labels.team_labels(pks).items() if pk} | {0: ""}
        found = [(day, teams[pk], nano) for day, pk, nano, *_ in of_teams.sums(("day",), {"team_id": pks})]
        found += [(day, team_name(labels.Label()), nano) for day, nano, *_ in shares.of_no_team().sums(("day",), {})]
        shown: dict[date, dict[str, int]] = {}
        every: dict[str, int] = {}
        for day, name, nano in sorted(found):
            per_day = shown.setdefault(day, {})
            per_day[name] = per_day.get(name, 0) + nano
            every[name] = every.get(name, 0) + nano
        return Response(
            {
                "daily_spend": [{"date": day} | _usd(parts) for day, parts in shown.items()],
                "teams": list(every),
                "total_spend_per_team": [
                    {"team_id": name, "total_spend": usd_from_nano(nano)}
                    for name, nano in sorted(every.items(), key=lambda item: -item[1])
                ],
            }
        )


class GlobalSpendTags(SpendView):
    @_SHOWN
    def get(self, request: Request) -> Response:
        rows, wanted = self.rows(request.query_params, tagged=True), names(request.query_params, "tags")
        found = totals.top(rows.filter(tag__in=wanted) if wanted and "all-tags" not in wanted else rows, "tag")
        return Response(
            {
                "spend_per_tag": [
                    {"name": tag, "spend": usd_from_nano(nano), "log_count": calls} for tag, nano, calls, *_ in found
                ]
            }
        )


class GlobalTagNames(SpendView):
    @_SHOWN
    def get(self, request: Request) -> Response:
        tags = totals.seen(self.caller, tagged=True).values_list("tag", flat=True).distinct().order_by("tag")
        return Response({"tag_names": list(tags)})


class GlobalEndUserNames(SpendView):
    """GET /global/all_end_users: everybody that calls were made for."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        seen = totals.seen(self.caller).filter(customer_id__gt=0).values_list("customer_id", flat=True).distinct()
        named = labels.customer_labels(seen)
        return Response({"end_users": sorted({named[pk].name for pk in seen if pk in named})})


class GlobalSpendEndUsers(SpendView):
    """POST /global/spend/end_users {api_key?, startTime?, endTime?}: customers by what they spent."""

    body_optional = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        body = {name: value for name, value in self.body.items() if isinstance(value, str)}
        body |= {"start_date": body.get("startTime", ""), "end_date": body.get("endTime", "")}
        body["api_key"] = body.get("selectedKey") or body.get("api_key") or ""
        rows = self.rows(body).filter(customer_id__gt=0)
        found = totals.by_public_id(rows, "customer_id", totals.top(rows, "customer_id", limit=100))
        return Response(
            [
                {"end_user": customer.name, "total_count": calls, "total_spend": usd_from_nano(nano)}
                for customer, nano, calls, *_ in found
            ]
        )


class GlobalActivity(SpendView):
    """GET /global/activity: calls and tokens per day."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        return Response(_activity([row[:1] + row[2:] for row in totals.per_day(self.sums(request.query_params))]))


class GlobalActivityModels(SpendView):
    @_SHOWN
    def get(self, request: Request) -> Response:
        by_model: dict[str, list[tuple[Any, ...]]] = {}
        for day, model, _, calls, tokens in totals.per_day(self.sums(request.query_params), "upstream_model"):
            by_model.setdefault(model, []).append((day, calls, tokens))
        found = [{"model": model} | _activity(rows) for model, rows in by_model.items()]
        return Response(sorted(found, key=lambda one: -one["sum_api_requests"]))


class GlobalActivityExceptions(SpendView):
    """GET /global/activity/exceptions: attempts that failed and calls that were refused, per day; with `by_deployment`
    the former alone, per deployment. How many a provider's rate limit failed is not known.
    """

    by_deployment: ClassVar[bool] = False

    @_SHOWN
    def get(self, request: Request) -> Response:
        query = request.query_params
        span, of_model = self.days(query), Q(model=query["model_group"]) if query.get("model_group") else Q()
        between = of_model & Q(admitted_at__gte=span.start, admitted_at__lt=span.end)
        if self.by_deployment:
            return Response(self._deployments(between))
        failures, limited = dict(self._failed(of_model & Q(day__gte=span.first, day__lte=span.last))), dict[date, int]()
        refused = Refusal.objects.visible_to(self.caller).filter(between)
        dated = refused.annotate(on=TruncDate("admitted_at", tzinfo=UTC)).order_by().values_list("kind", "on")
        for kind, day, count in dated.annotate(n=Count("pk")):
            failures[day] = failures.get(day, 0) + count
            limited[day] = limited.get(day, 0) + (count if kind == "rate_limit_error" else 0)
        return Response(_exceptions(dict(sorted(failures.items())), limited))

    def _failed(self, wanted: Q) -> QuerySet[Any, tuple[date, int]]:
        """(day, attempts that failed), of days with any."""
        rows: QuerySet[Any] = DailyTotal.objects.order_by()
        if not self.caller.reads_spend:
            rows = Activity.objects.visible_to(self.caller).filter(tag="").order_by()
        rows = rows.filter(wanted, failed_requests__gt=0)
        per_day: QuerySet[Any, tuple[date, int]] = rows.values_list("day").annotate(n=Sum("failed_requests"))
        return per_day

    def _deployments(self, wanted: Q) -> list[dict[str, Any]]:
        """Only the holds themselves know the deployment."""
        failed = Hold.objects.visible_to(self.caller).failed().filter(wanted)
        dated = failed.annotate(on=TruncDate("admitted_at", tzinfo=UTC)).order_by("on", "deployment")
        by: dict[str, dict[date, int]] = {}
        for deployment, day, count in dated.values_list("deployment", "on").annotate(n=Count("pk")):
            by.setdefault(deployment, {})[day] = count
        return [{"api_base": "", "model_id": name} | _exceptions(days) for name, days in by.items()]


class GlobalCacheHits(SpendView):
    """GET /global/activity/cache_hits. Every answer comes from a provider: none is ever served from a cache."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        shares = self.shares(request.query_params)
        named = {"key_id": shares.leaders("key_id", totals.MOST)}
        found = sorted(shares.sums(("call_type", "upstream_model"), named), key=lambda row: -row[3])
        keys = labels.key_labels(named["key_id"])
        return Response(
            [
                {
                    "api_key": keys[key].token, "call_type": call_type, "model": model, "cache_hit_true_rows": 0,
                    "cached_completion_tokens": 0, "generated_completion_tokens": written, "total_rows": calls,
                }
                for call_type, model, key, _, calls, _, written, *_ in found
            ]
        )  # fmt: skip


class GlobalSpendReset(ManagementView):
    """POST /global/spend/reset: refused. The ledger is append-only."""

    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        raise ApiError(
            400,
            "spend is never reset: the ledger is append-only, and budgets start anew by themselves with each window "
            "(budget_duration). Raise a budget with /key/update or /team/update instead",
        )


class GlobalSpendRefresh(ManagementView):
    """POST /global/spend/refresh: refused. Sums are written together with what they sum up."""

    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        raise ApiError(400, "there is nothing to refresh: reports are kept up to date with every call")


def team_name(team: labels.Label) -> str:
    return team.alias or team.name or "Unassigned Team"


def _usd(amounts: dict[str, int]) -> dict[str, Any]:
    return {name: usd_from_nano(nano) for name, nano in amounts.items()}


def _activity(rows: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    """From (day, calls, tokens)."""
    found = list(rows)
    return {
        "daily_data": [
            {"date": f"{day:%b %d}", "api_requests": calls, "total_tokens": tokens} for day, calls, tokens in found
        ],
        "sum_api_requests": sum(calls for _, calls, _ in found),
        "sum_total_tokens": sum(tokens for _, _, tokens in found),
    }


def _exceptions(days: dict[date, int], limited: dict[date, int] | None = None) -> dict[str, Any]:
    known = limited if limited is None else {day: limited.get(day, 0) for day in days}
    return {
        "daily_data": [
            {"date": f"{day:%b %d}", "num_exceptions": count, "num_rate_limit_exceptions": known and known[day]}
            for day, count in days.items()
        ],
        "sum_num_exceptions": sum(days.values()),
        "sum_num_rate_limit_exceptions": None if known is None else sum(known.values()),
    }
