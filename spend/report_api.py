"""Reports by owner: /global/spend/report, /spend/{keys,users,tags}, /{key,user,team,organization}/spend/report."""

from datetime import date
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from spend import ever, labels, totals
from spend.global_api import SpendView, team_name
from spend.labels import Label
from spend.query import day, days, names
from spend.shares import Shares
from teams.api_base import ApiError, required_text, whole_number
from teams.finding import reported_teams
from teams.money import usd_from_nano

_SHOWN = extend_schema(request=None, responses=OpenApiTypes.OBJECT)
_GROUPS = ("team", "customer", "api_key")
#: What chooses among owners where no days are named.
_CHOSEN = {name: name for name in ("user_id", "team_id", "organization_id")}


class SpendReport(SpendView):
    """GET /global/spend/report: per day and team or customer, or per key; or of the owner that a parameter names."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        query = request.query_params
        span, by = days(query), query.get("group_by") or "team"
        if by not in _GROUPS:
            raise ApiError(400, f"group_by: write one of {', '.join(_GROUPS)}", param="group_by")
        shares, most = self.shares(query), totals.most_named(span)
        if by == "api_key" or query.get("api_key") or query.get("internal_user_id"):
            return Response(owner_rows(shares, "key_id", "api_key"))
        if by == "customer" or query.get("customer_id"):
            parts, names = _parts(shares.only("customer_id"), "customer_id", most)
            return Response(_per_day([(*part, names[part[1]].name) for part in parts], "customers", "customer"))
        parts, names = _parts(shares.only("team_id"), "team_id", most)
        named = [(*part, team_name(names[part[1]]) if part[1] else "") for part in parts]
        of_none, _ = _parts(shares.of_no_team(), "", most)
        return Response(_per_day([*named, *((*part, team_name(Label())) for part in of_none)], "teams", "team_name"))


class OwnSpendReport(SpendView):
    """GET /{key,user,team,organization}/spend/report: what each of them spent on which models."""

    column: ClassVar[str] = "key_id"
    label: ClassVar[str] = "api_key"

    @_SHOWN
    def get(self, request: Request) -> Response:
        shares = self.shares(request.query_params)
        only = shares.only("team_id") if self.column == "team_id" else shares
        return Response(owner_rows(only, self.column, self.label))


class SpendKeys(SpendView):
    """GET /spend/keys: keys by what they spent, ever or in the days named."""

    @_SHOWN
    def get(self, request: Request) -> Response:
        found = _leading(self, request, "key_id")
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
        found = totals.by_public_id(_in_days(self, request), "user_id", _leading(self, request, "user_id"))
        return Response(
            [
                {
                    "user_id": user.name, "user_email": user.email, "user_alias": user.alias,
                    "spend": usd_from_nano(nano), "total_tokens": read + written, "api_requests": calls,
                }
                for user, nano, calls, read, written in found
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
        pks = reported_teams(names(query, "team_id"), self.caller)
        spent = self.rows({**query.dict(), "team_id": ""}).filter(team_id__in=pks)
        found = totals.by_public_id(spent, "user_id", totals.top(spent, "user_id"))
        rows = [
            {
                "user_id": user.name or None, "user_email": user.email, "user_alias": user.alias,
                "total_spend": usd_from_nano(nano), "api_requests": calls, "prompt_tokens": read,
                "completion_tokens": written, "total_tokens": read + written,
            }
            for user, nano, calls, read, written in found
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


def owner_rows(shares: Shares, column: str, label: str) -> list[dict[str, Any]]:
    def named(pks: set[int]) -> dict[int, str]:
        if column == "key_id":
            return {pk: key.token for pk, key in labels.key_labels(pks).items()}
        return {pk: owner.name for pk, owner in labels.OWNERS[column](pks).items()}

    return [{label: row.pop("owner"), **row} for row in totals.models_of(shares, column, named)]


def _in_days(view: SpendView, request: Request, **how: Any) -> totals.Rows:
    """Of the days that are named; of all days if none is."""
    query = request.query_params
    if day(query, "start_date") or day(query, "end_date"):
        return view.rows(query, **how)
    rows = totals.seen(view.caller, **how)
    return totals.chosen(rows, query, **_CHOSEN)


def _leading(view: SpendView, request: Request, column: str) -> list[tuple[int, int, int, int, int]]:
    """Who spent most in the days that are named; ever if none is."""
    query = request.query_params
    limit = whole_number(query, "limit", 1000, top=10_000)
    if day(query, "start_date") or day(query, "end_date"):
        return totals.leading(view.shares(query), column, limit)
    if view.caller.reads_spend and not any(query.get(name) for name in _CHOSEN):
        return ever.most(column, limit)
    return totals.leading(Shares(_in_days(view, request)), column, limit)


#: Day, owner, key, model, nano-USD, tokens.
_Part = tuple[date, int, str, str, int, int]


def _parts(shares: Shares, column: str, most: int) -> tuple[list[_Part], dict[int, Label]]:
    """What the keys and owners that spent most spent on which models, and how the owners are called."""
    named = {name: shares.leaders(name, most) for name in ("key_id", column) if name}
    keys = {pk: key.token for pk, key in labels.key_labels(named["key_id"]).items()}
    found: list[_Part] = []
    for at, model, key, *rest in shares.sums(("day", "upstream_model"), named):
        owner, (nano, _, read, written, *_) = (rest[0], rest[1:]) if column else (0, rest)
        found.append((at, owner, keys[key], model, nano, read + written))
    return found, labels.OWNERS[column](named[column]) if column else {}


def _per_day(parts: list[tuple[Any, ...]], plural: str, label: str) -> list[dict[str, Any]]:
    """Per day the owners of one kind, by the names at the end of the parts, each with what its keys spent."""
    days_: dict[date, dict[str, dict[str, Any]]] = {}
    for at, _, key, model, nano, tokens, name in sorted(parts):
        one = days_.setdefault(at, {}).setdefault(name, {"nano": 0, "metadata": []})
        one["nano"] += nano
        one["metadata"].append({"model": model, "spend": usd_from_nano(nano), "total_tokens": tokens, "api_key": key})
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
