"""Endpoints about many keys at once: each key is changed for itself, and what was refused is listed."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from keys.api import ChangingKeyView, KeyView, named_key
from keys.models import RetiredSecret, VirtualKey
from keys.rights import described_key, managed_key, not_granted
from keys.rows import key_row, status_of
from keys.serializers import token_from
from teams.api_base import MOST_NAMES, ApiError, listed, required_names, required_text
from teams.api_types import MISSING, Misshapen, reason_of
from teams.models import Team

_BULK_UPDATE = "/key/bulk_update"


class KeyBulkUpdate(ChangingKeyView):
    """POST /key/bulk_update: up to 500 merge patches."""

    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        return Response(self.changed(_patches(self.body)))

    def changed(self, patches: list[dict[str, Any]], team: Team | None = None) -> dict[str, Any]:
        """Change every key for itself; what is refused leaves that key alone as it was."""
        done: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for patch in patches:
            named = patch.get("key") or patch.get("key_alias")
            try:
                done.append({"key": named, "key_info": self._change(patch, team)})
            except (APIException, ModelValidationError, IntegrityError) as refusal:
                failed.append({"key": named, "key_info": self._unchanged(patch), "failed_reason": reason_of(refusal)})
        return {"total_requested": len(patches), "successful_updates": done, "failed_updates": failed}

    def _unchanged(self, patch: dict[str, Any]) -> dict[str, Any] | None:
        """The key as it is, if it is there and the caller may read about it."""
        try:
            return self.row(described_key(self.caller, named_key(patch)), timezone.now())
        except (APIException, Misshapen):
            return None

    @transaction.atomic
    def _change(self, patch: dict[str, Any], team: Team | None) -> dict[str, Any]:
        now = timezone.now()
        key = managed_key(self.caller, named_key(patch), _BULK_UPDATE, locked=True)
        if team is not None and key.team_id != team.pk:
            raise ApiError(400, f"key: is no key of team {team.public_id}", param="key")
        return self.row(self.patched(key, patch, now), now)


class TeamKeyBulkUpdate(KeyBulkUpdate):
    """POST /team/key/bulk_update: as above, or one patch for some or all keys of a team.

    Members whom the team grants /key/bulk_update may change of its keys what /key/update would let them.
    """

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        team_id = required_text(self.body, "team_id")
        team = Team.objects.visible_to(self.caller).select_related("organization").filter(public_id=team_id).first()
        if team is None:
            raise ApiError(404, f"team_id: Team not found, passed team id: {team_id}", param="team_id")
        if not Team.objects.managed_by(self.caller, _BULK_UPDATE).filter(pk=team.pk).exists():
            raise not_granted(_BULK_UPDATE, team)
        return Response(self.changed(self._patches(team), team))

    def _patches(self, team: Team) -> list[dict[str, Any]]:
        if "keys" in self.body:
            return _patches(self.body)
        fields = self.body.get("update_fields")
        if not isinstance(fields, dict):
            raise Misshapen("keys", "write a list of keys, or update_fields and key_ids")
        if self.body.get("all_keys_in_team") is True:
            tokens = list(VirtualKey.objects.live().filter(team=team).values_list("token", flat=True)[: MOST_NAMES + 1])
            if len(tokens) > MOST_NAMES:
                raise ApiError(400, f"all_keys_in_team: the team has more than {MOST_NAMES} keys; write key_ids")
        else:
            tokens = required_names(self.body, "key_ids")
        return [{**fields, "key": token} for token in tokens]


class KeyInfoMany(KeyView):
    """POST /v2/key/info: what the caller may read of the named keys."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        tokens = [token_from(name) for name in self._names("keys")]
        aliases = self._names("key_aliases")
        if not tokens and not aliases:
            raise Misshapen("keys", "name keys or key_aliases", code=MISSING)
        retired = RetiredSecret.objects.filter(token__in=tokens).values("key_id")
        seen = VirtualKey.objects.described_to(self.caller).live().sharing_owners()
        keys = list(seen.filter(token__in=tokens) | seen.filter(pk__in=retired) | seen.filter(alias__in=aliases))
        spent, now = self.spent(keys), timezone.now()
        rows = {key: key_row(key, spent, now) | {"status": status_of(key, now)} for key in keys}
        places = {name: place for place, name in enumerate([*tokens, *aliases])}
        ordered = sorted(rows, key=lambda key: places.get(key.token, places.get(key.alias or "", 0)))
        return Response({"key": self.body.get("keys"), "info": [rows[key] for key in ordered]})

    def _names(self, field: str) -> list[str]:
        return required_names(self.body, field) if self.body.get(field) else []


class KeyHealth(KeyView):
    """POST /key/health: whether what the key's metadata names for logging can be delivered to."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        key = VirtualKey.objects.filter(pk=self.caller.key_pk).first() if self.caller.key_pk else None
        logging = key.metadata.get("logging") if key else None
        if not isinstance(logging, list) or not logging:
            return Response({"key": "healthy", "logging_callbacks": None})
        callbacks = [str(one.get("callback_name", "")) for one in logging if isinstance(one, dict)]
        details = "calls are not delivered to logging callbacks of keys; read them with /spend/logs"
        return Response(
            {
                "key": "unhealthy",
                "logging_callbacks": {"callbacks": callbacks, "status": "unhealthy", "details": details},
            }
        )


def _patches(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    remedy = 'write a list such as [{"key": "...", "max_budget": 5}]'
    patches = listed(body, "keys", remedy)
    if not all(isinstance(patch, dict) for patch in patches):
        raise Misshapen("keys", remedy)
    if not patches:
        raise ApiError(400, f"keys: {remedy}", param="keys")
    if len(patches) > MOST_NAMES:
        raise ApiError(400, f"keys: at most {MOST_NAMES} at a time", param="keys")
    return patches
