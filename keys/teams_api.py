"""Endpoints that show teams with the keys in them."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, Prefetch, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys.api import KeyView
from keys.models import VirtualKey
from keys.rows import key_row
from teams.api_base import ApiError, SpendReader, required_text, unwired, whole_number
from teams.finding import shown_team
from teams.models import Membership, Team, TeamQuerySet, User
from teams.paging import Sorts, first, order_of, sorted_rows, telling
from teams.roster import roster_of
from teams.rows import Row, membership_row, team_row

_SORTS: Sorts = {
    "team_alias": "name", "team_id": "public_id", "created_at": "pk", "updated_at": "updated_at",
    "max_budget": "max_budget_nano", "tpm_limit": "tpm_limit", "rpm_limit": "rpm_limit",
    "members_count": "members_count", "keys_count": "keys_count",
}  # fmt: skip
_MOST = 10_000
_NOT_YOURS = "Only admin users can query all teams/other teams. Your user role={role}"


class TeamsView(KeyView):
    """An endpoint that shows teams; `ever` tells what their members spent in all."""

    detail_errors = True
    ever: SpendReader = staticmethod(unwired)

    def memberships(
        self, members: list[Membership], spent: Mapping[str, int], now: datetime
    ) -> Mapping[int, list[Row]]:
        ever, rows = self.ever(members), defaultdict(list)
        for member in members:
            rows[member.team_id].append(membership_row(member, spent, now, ever))
        return rows

    def teams(self) -> TeamQuerySet:
        """What the caller may list: all or another person's teams only as an admin, see the contract's 401."""
        caller, wanted = self.caller, self.request.query_params.get("user_id")
        if not caller.reads_all and not caller.organizations and (not wanted or wanted != caller.user_id):
            raise ApiError(401, _NOT_YOURS.format(role=caller.role or "unknown"), param="user_id")
        deleted = self.request.query_params.get("status") == "deleted"
        teams = Team.objects.filter(deleted_at__isnull=not deleted).visible_to(caller)
        return teams.filter(memberships__user__public_id=wanted) if wanted and not deleted else teams


class TeamInfo(TeamsView):
    detail_errors = False

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        team = shown_team(required_text(request.query_params, "team_id"), self.caller)
        now, shown = timezone.now(), VirtualKey.objects.live().visible_to(self.caller)
        keys, more_keys = first(shown.with_names().filter(team=team))
        members, more_members = _members([team])
        spent = self.spent([team, *keys, *members])
        answer = {
            "team_id": team.public_id,
            "team_info": team_row(team, spent, now),
            "keys": [key_row(key, spent, now) for key in keys],
            "team_memberships": self.memberships(members, spent, now).get(team.pk, []),
        }
        return telling(Response(answer), keys=more_keys, team_memberships=more_members)


class TeamList(TeamsView):
    """Teams with their members and keys, all at once."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        teams, now, query = self.teams(), timezone.now(), request.query_params
        if query.get("organization_id"):
            teams = teams.filter(organization__public_id=query["organization_id"])
        rows, more_teams = first(teams.with_owners())
        seen = VirtualKey.objects.live().visible_to(self.caller)
        keys, more_keys = first(seen.with_names().filter(team__in=rows))
        members, more_members = _members(rows)
        spent, of_team = self.spent([*rows, *keys, *members]), defaultdict(list)
        for key in keys:
            of_team[key.team_id].append(key_row(key, spent, now))
        joined, roster = self.memberships(members, spent, now), roster_of(rows)
        found = [
            team_row(team, spent, now, roster)
            | {"team_memberships": joined.get(team.pk, []), "keys": of_team.get(team.pk, [])}
            for team in rows
        ]
        return telling(Response(found), teams=more_teams, keys=more_keys, team_memberships=more_members)


class TeamListPaged(TeamsView):
    """Teams page by page."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query, now = request.query_params, timezone.now()
        page, size = whole_number(query, "page", 1, top=10**9), whole_number(query, "page_size", 10, top=100)
        if query.get("status") not in (None, "", "deleted"):
            raise ApiError(400, "status: write deleted, or nothing for those that exist", param="status")
        teams = _filtered(self.teams(), query)
        total, chosen = teams.count(), slice((page - 1) * size, page * size)
        if query.get("sort_by") == "spend":
            rows = self._by_spend(teams, total, order_of(query), chosen)
        else:
            rows = list(sorted_rows(_counted(teams), query, _SORTS, default="created_at").with_owners()[chosen])
        spent, roster = self.spent(rows), roster_of(rows)
        counts = [{"members_count": team.members_count, "keys_count": team.keys_count} for team in rows]
        return Response(
            {
                "teams": [team_row(team, spent, now, roster) | count for team, count in zip(rows, counts, strict=True)],
                "total": total,
                "page": page,
                "page_size": size,
                "total_pages": -(-total // size),
            }
        )

    def _by_spend(self, teams: TeamQuerySet, total: int, order: str, page: slice) -> list[Any]:
        """What was spent is no column, but worked out per team; of so many at most. ApiError 400."""
        if total > _MOST:
            raise ApiError(
                400, f"sort_by: at most {_MOST} teams can be ordered by spend; narrow the list", param="sort_by"
            )
        rows = list(teams.select_related("organization", "shared_budget").order_by())
        spent = self.spent(rows)
        rows.sort(key=lambda team: (spent[team.scope], team.pk), reverse=order == "desc")
        pks = [team.pk for team in rows[page]]
        found: dict[int, Any] = {team.pk: team for team in _counted(Team.objects.filter(pk__in=pks)).with_owners()}
        return [found[pk] for pk in pks]


def _filtered(teams: TeamQuerySet, query: Mapping[str, str]) -> TeamQuerySet:
    if query.get("search"):
        teams = teams.filter(Q(name__icontains=query["search"]) | Q(public_id=query["search"]))
    if query.get("team_alias"):
        teams = teams.filter(name__icontains=query["team_alias"])
    for name, column in (("team_id", "public_id"), ("organization_id", "organization__public_id")):
        if query.get(name):
            teams = teams.filter(**{column: query[name]})
    return teams


def _counted(teams: TeamQuerySet) -> TeamQuerySet:
    """With `members_count` and `keys_count`, counted by subqueries so that the two do not multiply."""
    members = Membership.objects.filter(team=OuterRef("pk")).order_by().values("team").annotate(n=Count("pk"))
    keys = VirtualKey.objects.live().filter(team=OuterRef("pk")).order_by().values("team").annotate(n=Count("pk"))
    return teams.annotate(
        members_count=Coalesce(Subquery(members.values("n"), output_field=IntegerField()), 0),
        keys_count=Coalesce(Subquery(keys.values("n"), output_field=IntegerField()), 0),
    )


def _members(teams: list[Team]) -> tuple[list[Membership], bool]:
    """Some people in these teams, and whether there are more."""
    named = Prefetch("user", User.objects.only("public_id"))
    rows = Membership.objects.filter(team__in=teams).prefetch_related(named, "shared_budget").order_by("pk")
    members, more = first(rows)
    known = {team.pk: team for team in teams}
    for member in members:
        member.team = known[member.team_id]
    return members, more
