"""Endpoints about the owners of keys: they show a team's or a person's keys, or make the first one."""

from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import services
from keys.api import KeyView
from keys.models import KeyQuerySet, VirtualKey
from keys.rows import key_row
from keys.serializers import NewKeySerializer
from teams import services as people
from teams.api_base import ApiError
from teams.models import Team, User
from teams.rows import limits_row, team_ids, user_row
from teams.serializers import UserSerializer, find_person

#: /user/info of an admin lists everything; beyond this many, /key/list pages.
_MOST = 1000
_KEY_FIELDS = (
    "key", "key_alias", "duration", "expires", "models", "aliases", "tags", "key_type", "allowed_routes",
    "output_cap_policy",
)  # fmt: skip


class UserNew(KeyView):
    @extend_schema(request=UserSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        if self.body.get("password") is not None:
            raise ApiError(422, "password is not accepted here; send an invitation instead", param="password")
        body, actor = UserSerializer(data=self.body), self.caller.actor
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            user = people.create_user(body.user(), actor=actor)
            for membership in body.memberships(user):
                people.add_member(membership, actor=actor)
            made = self._first_key(user) if body.validated_data["auto_create_key"] else _NO_KEY
        now = timezone.now()
        return Response({**user_row(user, team_ids(user), self.spent([user]), now), **made})

    def _first_key(self, user: User) -> dict[str, Any]:
        """The person's first key; the person's own budget governs it."""
        sent = {name: self.body[name] for name in _KEY_FIELDS if name in self.body}
        body, now, actor = NewKeySerializer(data=sent), timezone.now(), self.caller.actor
        body.is_valid(raise_exception=True)
        key = VirtualKey(user=user)
        body.fill(key, actor=actor, now=now)
        secret = services.issue_key(key, actor=actor, custom=body.validated_data.get("key"))
        return {
            "key": secret,
            "key_name": key.masked,
            "key_alias": key.alias,
            "token": key.token,
            "token_id": key.token,
            "expires": key.expires_at,
        }


_NO_KEY: dict[str, Any] = dict.fromkeys(("key", "key_name", "key_alias", "token", "token_id", "expires"))


class UserInfo(KeyView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        user_id = request.query_params.get("user_id")
        if not user_id:
            keys, teams = (
                VirtualKey.objects.live(),
                list(Team.objects.live().select_related("organization", "shared_budget")[:_MOST]),
            )
            return Response({"user_id": None, "user_info": None, **self._owned(keys, teams)})
        user = find_person(user_id)
        if user is None:
            raise ApiError(404, f"User {user_id} not found", param="user_id")
        info = user_row(user, team_ids(user), self.spent([user]), timezone.now())
        teams = list(user.teams.select_related("organization", "shared_budget"))
        return Response(
            {"user_id": user_id, "user_info": info, **self._owned(VirtualKey.objects.live().filter(user=user), teams)}
        )

    def _owned(self, keys: KeyQuerySet, teams: list[Team]) -> dict[str, Any]:
        shown, now = list(keys.with_owners()[:_MOST]), timezone.now()
        spent = self.spent([*shown, *teams])
        return {
            "keys": [key_row(key, spent, now) for key in shown],
            "teams": [
                {
                    "team_id": team.public_id,
                    "team_alias": team.name or None,
                    "organization_id": team.organization.public_id,
                    **limits_row(team, spent[team.scope], now),
                }
                for team in teams
            ],
        }
