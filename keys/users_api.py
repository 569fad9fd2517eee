"""Endpoints about people that show their keys, or make the first one."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Count, IntegerField, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import making
from keys.api import KeyGenerate, KeyView
from keys.extras import KEY_REFUSED
from keys.models import KeyQuerySet, VirtualKey
from keys.rows import key_row
from keys.serializers import NewKeySerializer
from teams import services as people
from teams.api_base import ApiError, Caller, SpendReader, once_more, unwired, whole_number
from teams.limit_serializers import INSIDE_METADATA
from teams.models import Membership, Organization, OrganizationMembership, Team, User, UserQuerySet
from teams.paging import Sorts, first, order_of, sorted_rows, telling
from teams.person_rows import person_rows
from teams.promises import refuse_promises
from teams.roster import roster_of
from teams.rows import Row, membership_row, team_row, user_row
from teams.serializers import PLATFORM, RESERVED_TEAM, UserSerializer, find_person, find_team
from teams.spend_field import OpeningView

_KEY_FIELDS = (
    "key", "key_alias", "duration", "expires", "models", "aliases", "tags", "key_type", "allowed_routes",
    "output_cap_policy", "team_id", "metadata", "config", "permissions", "allowed_cache_controls", "enforced_params",
    "budget_fallbacks", "enable_prompt_caching", "denied_passthrough_routes", "auto_rotate", "rotation_interval",
    "end_user_budget_id", *KEY_REFUSED,
)  # fmt: skip
_SORTS: Sorts = {
    "user_id": "public_id", "user_email": "email", "user_alias": "alias", "user_role": "role", "created_at": "pk",
    "updated_at": "updated_at", "max_budget": "max_budget_nano", "key_count": "key_count",
}  # fmt: skip
_MOST = 10_000
#: Filters of /user/list that name values exactly, several of them with commas between.
_EXACT = {"user_ids": "public_id", "sso_user_ids": "sso_id"}
#: Clients of LiteLLM expect text under `key`, also where there is none.
_NO_KEY: dict[str, Any] = {"key": "", **dict.fromkeys(("key_name", "key_alias", "token", "token_id", "expires"))}


class UserNew(KeyView, OpeningView):
    blank_is_absent = KeyGenerate.blank_is_absent | {"user_email", "user_alias", "user_role", "sso_user_id"}

    @property
    def body(self) -> dict[str, Any]:
        body = super().body
        named = body.get("team_id") == RESERVED_TEAM
        return {name: value for name, value in body.items() if name != "team_id"} if named else body

    @extend_schema(request=UserSerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        if self.body.get("password") is not None:
            raise ApiError(422, "password is not accepted here; send an invitation instead", param="password")
        refuse_promises(self.body)
        opening, actor = self.opening(self.body), self.caller.actor
        body = UserSerializer(data=self.body, context={"caller": self.caller})
        body.is_valid(raise_exception=True)
        self._refuse_foreign(body)
        user, organizations = body.user(), body.homes()
        if user.role.startswith(User.Role.PROXY_ADMIN) and not self.caller.is_admin:
            raise ApiError(403, "user_role: only a platform admin may make others admins", param="user_role")
        first_key = self._first_key(user) if body.validated_data["auto_create_key"] else None
        with transaction.atomic():
            people.create_user(user, actor=actor)
            self.open_with(user, opening)
            for membership in self._joined(user, organizations):
                people.join_organization(membership, actor=actor)
            for place in body.memberships(user):
                people.add_member(place, actor=actor)
            made = _NO_KEY if first_key is None else self._issued(first_key)
        [row] = person_rows([user], self.caller, self.spent, timezone.now())
        return Response({**row, "organizations": [one.public_id for one in organizations], **made})

    def _joined(self, user: User, organizations: list[Organization]) -> list[OrganizationMembership]:
        """In the home everybody is from the start."""
        return [
            OrganizationMembership(organization=one, user=user) for one in organizations if one != user.organization
        ]

    def _refuse_foreign(self, body: UserSerializer) -> None:
        """Organization admins make people inside what they lead; anything else looks foreign, be it there or not."""
        caller, names = self.caller, body.home_names()
        if caller.is_admin:
            return
        homes = Organization.objects.live().managed_by(caller)
        if not names or homes.filter(public_id__in=names).count() < len(names):
            raise ApiError(
                403,
                "You do not have a role within the selected organization that lets you make people. Name "
                "organizations that you administer",
                param="organizations",
            )
        for place in body.places():
            if not Team.objects.live().managed_by(caller).filter(public_id=place["team_id"]).exists():
                raise ApiError(403, f"teams: you do not lead team {place['team_id']}", param="teams")

    def _first_key(self, user: User) -> NewKeySerializer:
        """What the request says of the person's first key; the person's own budget governs it, or a team's its own."""
        sent = {name: self.body[name] for name in _KEY_FIELDS if name in self.body} | {"user_id": user.public_id}
        if isinstance(sent.get("metadata"), dict):
            # Limits in it are the person's, who is held to them by every key.
            sent["metadata"] = {name: sent["metadata"][name] for name in sent["metadata"].keys() - {*INSIDE_METADATA}}
        return making.judged(self.caller, sent, within={**self.body, "user_id": user.public_id})

    def _issued(self, first_key: NewKeySerializer) -> dict[str, Any]:
        key = VirtualKey()
        secret = making.issue(self.caller, first_key, key, now=timezone.now())
        return {
            "key": secret,
            "key_name": key.masked,
            "key_alias": key.alias,
            "token": key.token,
            "token_id": key.token,
            "expires": key.expires_at,
            "team_id": key.team.public_id if key.team else None,
        }


class UserInfo(KeyView):
    """A person with keys and teams: for the person, and for admins. Without an id admins see everybody's.

    The name under which LiteLLM's clients ask for the whole platform's spend answers with that.
    """

    ever: SpendReader = staticmethod(unwired)

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        asked, caller = request.query_params.get("user_id"), self.caller
        keys = VirtualKey.objects.live().visible_to(caller)
        named = asked or (None if caller.reads_all else caller.user_id)
        if not named:
            shown = Team.objects.live() if caller.reads_all else Team.objects.none()
            teams, more_teams = first(shown.with_owners())
            owned, more_keys = self._owned(keys, teams)
            answer = {"user_id": None, "user_info": None, **owned}
            return telling(Response(answer), keys=more_keys, teams=more_teams)
        if named == PLATFORM and caller.reads_all:
            return Response({"user_id": named, "user_info": self._platform(), "keys": [], "teams": []})
        user = self._found(named)
        theirs = Team.objects.live().filter(memberships__user=user)
        teams = list(Team.objects.live().visible_to(caller).filter(pk__in=theirs).with_owners())
        [info] = person_rows([user], self.caller, self.spent, timezone.now())
        (owned, more_keys), places = self._owned(keys.filter(user=user), teams), self._places(user)
        owned["teams"] = [row | {"team_memberships": places[row["team_id"]]} for row in owned["teams"]]
        return telling(Response({"user_id": named, "user_info": info, **owned}), keys=more_keys)

    def _places(self, user: User) -> dict[str, list[Row]]:
        """The person's own place in each team, by the team's id."""
        rows = Membership.objects.filter(user=user).select_related("user", "team__organization", "shared_budget")
        members, now = list(rows), timezone.now()
        spent, ever = self.spent(members), self.ever(members)
        return {member.team.public_id: [membership_row(member, spent, now, ever)] for member in members}

    def _platform(self) -> Row:
        nobody = User(public_id=PLATFORM, alias="all organizations", role="")
        total = sum(self.ever(Organization.objects.all()).values())
        return user_row(nobody, [], {nobody.scope: total}, timezone.now())

    def _found(self, named: str) -> User:
        user, caller = find_person(named), self.caller
        if user is None and caller.reads_all:
            raise ApiError(404, f"User {named} not found", param="user_id")
        own = user is not None and user.pk == caller.user_pk
        managed = user is not None and User.objects.managed_by(caller).filter(pk=user.pk).exists()
        if user is None or not (own or managed or caller.reads_all):
            raise ApiError(403, f"user_id: you are not allowed to look at user {named}", param="user_id")
        return user

    def _owned(self, keys: KeyQuerySet, teams: list[Team]) -> tuple[dict[str, Any], bool]:
        """Also whether there are more keys."""
        (shown, more), now = first(keys.with_names()), timezone.now()
        spent, roster = self.spent([*shown, *teams]), roster_of(teams)
        return {
            "keys": [key_row(key, spent, now) for key in shown],
            "teams": [team_row(team, spent, now, roster) for team in teams],
        }, more


class UserList(KeyView):
    """People page by page, with how many keys each has."""

    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query, now = request.query_params, timezone.now()
        page, size = whole_number(query, "page", 1, top=10**9), whole_number(query, "page_size", 25, top=100)
        people = _within(_filtered(User.objects.live().visible_to(self.caller), query), query, self.caller)
        total, chosen = people.count(), slice((page - 1) * size, page * size)
        people = _counted(people).select_related("organization", "shared_budget")
        if query.get("sort_by") == "spend":
            rows = self._by_spend(people, total, order_of(query))[chosen]
        else:
            rows = list(sorted_rows(people, query, _SORTS, default="created_at")[chosen])
        shown = person_rows(rows, self.caller, self.spent, now)
        return Response(
            {
                "users": [one | {"key_count": row.key_count} for one, row in zip(shown, rows, strict=True)],
                "total": total,
                "page": page,
                "page_size": size,
                "total_pages": -(-total // size),
            }
        )

    def _by_spend(self, people: UserQuerySet, total: int, order: str) -> list[Any]:
        """What was spent is no column, but worked out per person; of so many at most."""
        if total > _MOST:
            raise ApiError(
                400, f"sort_by: at most {_MOST} people can be ordered by spend; narrow the list", param="sort_by"
            )
        rows: list[Any] = list(people.order_by())
        spent = self.spent(rows)
        return sorted(rows, key=lambda row: (spent[row.scope], row.pk), reverse=order == "desc")


def _filtered(people: UserQuerySet, query: Mapping[str, str]) -> UserQuerySet:
    if query.get("role"):
        if query["role"] not in User.Role.values:
            raise ApiError(400, f"role: write one of {', '.join(User.Role.values)}", param="role")
        people = people.filter(role=query["role"])
    for name, column in _EXACT.items():
        if query.get(name):
            people = people.filter(**{f"{column}__in": _parts(query[name])})
    if query.get("user_email"):
        people = people.filter(email__icontains=query["user_email"])
    if query.get("search"):
        word = query["search"]
        people = people.filter(Q(email__icontains=word) | Q(alias__icontains=word) | Q(public_id__icontains=word))
    if query.get("team"):
        team = find_team(query["team"], status=404, param="team")
        people = people.filter(pk__in=Membership.objects.filter(team=team).values("user"))
    return people


def _within(people: UserQuerySet, query: Mapping[str, str], caller: Caller) -> UserQuerySet:
    """Who is at home in one of `organization_ids`, or a member of it as far as the caller may know."""
    if not query.get("organization_ids"):
        return people
    wanted = Organization.objects.filter(public_id__in=_parts(query["organization_ids"]))
    joined = OrganizationMembership.objects.filter(organization__in=wanted.visible_to(caller))
    return people.filter(Q(organization__in=wanted) | Q(pk__in=joined.values("user")))


def _parts(names: str) -> list[str]:
    return [part.strip() for part in names.split(",")]


def _counted(people: UserQuerySet) -> UserQuerySet:
    keys = VirtualKey.objects.live().filter(user=OuterRef("pk")).order_by().values("user").annotate(n=Count("pk"))
    return people.annotate(key_count=Coalesce(Subquery(keys.values("n"), output_field=IntegerField()), 0))
