"""Reports by owner: /global/spend/report, /spend/{keys,users,tags}, /{key,user,team,organization}/spend/report."""

from datetime import date
from typing import Any, ClassVar

from django.db.models import Sum
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from spend import labels, totals
from spend.global_api import SpendView, only, team_name
from spend.query import day, days
from teams.api_base import ApiError, required_text, whole_number
from teams.money import usd_from_nano

_SHOWN = extend_schema(request=None, responses=OpenApiTypes.OBJECT)
_GROUPS = ("team", "customer", "api_key")


class SpendReport(SpendView):
    """GET /global/spend/report: per day and team or customer, or per key; or of the owner that a parameter names."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        query = request.query_params
        days(query)
        by, rows = query.get("group_by") or "team", self.rows(query)
        if by not in _GROUPS:
            raise ApiError(400, f"group_by: write one of {', '.join(_GROUPS)}", param="group_by")
        if by == "api_key" or query.get("api_key") or query.get("internal_user_id"):
            return Response(owner_rows(rows, "key_id", "api_key"))
        if by == "customer" or query.get("customer_id"):
            return Response(_per_day(only(rows, "customer_id"), "customer_id", "customers", "customer"))
        return Response(_per_day(rows, "team_id", "teams", "team_name"))


class OwnSpendReport(SpendView):
    """GET /{key,user,team,organization}/spend/report: what each of them spent on which models."""

    column: ClassVar[str] = "key_id"
    label: ClassVar[str] = "api_key"

    @_SHOWN
    def get(self, request: Request) -> Response:
        rows = self.rows(request.query_params)
        return Response(
            owner_rows(rows if self.column == "key_id" else only(rows, self.column), self.column, self.label)
        )


class SpendKeys(SpendView):
    """GET /spend/keys: keys by what they spent, ever or in the days named."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        rows, limit = _in_days(self, request), whole_number(request.query_params, "limit", 1000, top=10_000)
        found = totals.top(only(rows, "key_id"), "key_id", limit=limit)
        keys = labels.key_labels({pk for pk, *_ in found})
        return Response(
            [
                {
                    "token": keys[pk].token, "key_name": keys[pk].masked, "key_alias": keys[pk].alias,
                    "team_id": keys[pk].team_id, "spend": usd_from_nano(nano), "total_tokens": read + written,
                    "api_requests": calls,
                }
                for pk, nano, calls, read, written in found
            ]
        )  # fmt: skip


class SpendUsers(SpendView):
    """GET /spend/users: people by what they spent, or the one that `user_id` names."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        rows, limit = _in_days(self, request), whole_number(request.query_params, "limit", 1000, top=10_000)
        found = totals.top(only(rows, "user_id"), "user_id", limit=limit)
        users = labels.user_labels({pk for pk, *_ in found})
        return Response(
            [
                {
                    "user_id": users[pk].name, "user_email": users[pk].email, "user_alias": users[pk].alias,
                    "spend": usd_from_nano(nano), "total_tokens": read + written, "api_requests": calls,
                }
                for pk, nano, calls, read, written in found
            ]
        )  # fmt: skip


class SpendTags(SpendView):
    """GET /spend/tags: tags by what calls that have them spent."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        found = totals.top(_in_days(self, request, tagged=True), "tag")
        return Response(
            [
                {"individual_request_tag": tag, "log_count": calls, "total_spend": usd_from_nano(nano)}
                for tag, nano, calls, *_ in found
            ]
        )


class TeamSpendByUser(SpendView):
    """GET /team/spend/by_user?team_id=...: what each person spent with the team's keys."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        query = request.query_params
        team = required_text(query, "team_id")
        found = totals.top(self.rows(query), "user_id")
        users = labels.user_labels({pk for pk, *_ in found})
        rows = [
            {
                "user_id": users[pk].name or None, "user_email": users[pk].email, "user_alias": users[pk].alias,
                "total_spend": usd_from_nano(nano), "api_requests": calls, "prompt_tokens": read,
                "completion_tokens": written, "total_tokens": read + written,
            }
            for pk, nano, calls, read, written in found
        ]  # fmt: skip
        total = usd_from_nano(sum(nano for _, nano, *_ in found))
        return Response({"team_id": team, "total_spend": total, "results": rows})


class TagSummary(SpendView):
    """GET /tag/summary: what each tag's calls spent and used."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        found = totals.top(_in_days(self, request, tagged=True), "tag")
        rows = [
            {
                "tag": tag, "total_spend": usd_from_nano(nano), "total_requests": calls, "successful_requests": calls,
                "prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written,
            }
            for tag, nano, calls, read, written in found
        ]  # fmt: skip
        return Response({"results": rows})


class TagDistinct(SpendView):
    """GET /tag/distinct: the tags that calls had."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        tags = totals.seen(self.caller, tagged=True).values_list("tag", flat=True).distinct().order_by("tag")
        return Response({"results": [{"tag": tag} for tag in tags]})


def owner_rows(rows: totals.Rows, column: str, label: str) -> list[dict[str, Any]]:
    found = totals.models_of(rows, column)
    pks = {row["owner"] for row in found}
    if column == "key_id":
        named = {pk: key.token for pk, key in labels.key_labels(pks).items()}
    else:
        named = {pk: owner.name for pk, owner in labels.OWNERS[column](pks).items()}
    return [{label: named[row.pop("owner")], **row} for row in found]


def _in_days(view: SpendView, request: Request, **how: Any) -> totals.Rows:
    """Of the days that are named; of all days if none is."""
    query = request.query_params
    if day(query, "start_date") or day(query, "end_date"):
        return view.rows(query, **how)
    rows = totals.seen(view.caller, **how)
    return totals.chosen(rows, query, user_id="user_id", team_id="team_id", organization_id="organization_id")


def _per_day(rows: totals.Rows, column: str, plural: str, label: str) -> list[dict[str, Any]]:
    """Per day the owners of one kind, each with what its keys spent on which models."""
    few = totals.with_few_keys(rows)
    found = few.values_list("day", column, "shown_key", "upstream_model").annotate(
        nano=Sum("amount_nano"), tokens=totals.TOKENS
    )
    parts = list(found.order_by("day", column))
    keys = labels.key_labels({key for _, _, key, *_ in parts})
    owners = labels.OWNERS[column]({owner for _, owner, *_ in parts})
    days_: dict[date, dict[str, dict[str, Any]]] = {}
    for at, owner, key, model, nano, tokens in parts:
        name = team_name(owners[owner]) if column == "team_id" else owners[owner].name
        one = days_.setdefault(at, {}).setdefault(name, {"nano": 0, "metadata": []})
        one["nano"] += nano
        spent = {"spend": usd_from_nano(nano), "total_tokens": tokens, "api_key": keys[key].token}
        one["metadata"].append({"model": model, **spent})
    return [
        {
            "group_by_day": at,
            plural: [
                {label: name, "total_spend": usd_from_nano(one["nano"]), "metadata": one["metadata"]}
                for name, one in each.items()
            ],
        }
        for at, each in days_.items()
    ]
