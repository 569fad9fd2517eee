"""Management endpoints of virtual keys. Each makes one call to a service."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import making, rights, rotation, services
from keys.models import KeyQuerySet, VirtualKey
from keys.rows import info_row, issued_row, key_row
from keys.serializers import KeySerializer, NewKeySerializer, RegenerateSerializer, find_key, locked_keys, token_from
from teams.api_base import (
    ApiError,
    Caller,
    CrossingReader,
    ManagementView,
    ScopeView,
    WindowReader,
    once_more,
    required_names,
    required_text,
    unwired,
)
from teams.models import new_public_id
from teams.spend_field import OpeningView, SpendView


class KeyView(ScopeView):
    """An endpoint that shows keys."""

    def row(self, key: VirtualKey, now: datetime) -> dict[str, Any]:
        return key_row(key, self.spent([key]), now)


class KeyGenerate(KeyView, OpeningView):
    blank_is_absent = frozenset(
        {
            "key", "user_id", "team_id", "project_id", "organization_id", "budget_id", "duration", "expires",
            "budget_duration", "rotation_interval",
        }
    )  # fmt: skip

    @extend_schema(request=NewKeySerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        return self.issued(rights.with_owner(self.caller, self.body), VirtualKey(), rights.MAKE)

    def issued(self, sent: dict[str, Any], key: VirtualKey, route: str) -> Response:
        opening, form, now = self.opening(sent), making.judged(self.caller, sent), timezone.now()
        with transaction.atomic():
            secret = making.issue(self.caller, form, key, now=now, route=route)
            self.open_with(key, opening)
        return Response(issued_row(key, secret, self.spent([key]), now, duration=form.validated_data.get("duration")))


class ServiceAccountGenerate(KeyGenerate):
    """POST /key/service-account/generate: a key of a team that belongs to no person, but to a named program."""

    @extend_schema(request=NewKeySerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        if not self.body.get("team_id"):
            raise ApiError(400, "team_id: name the team that the service account belongs to", param="team_id")
        metadata = self.body.get("metadata") or {}
        metadata = metadata if isinstance(metadata, dict) else {}
        name = metadata.get("service_account_id") or self.body.get("key_alias") or new_public_id()
        if not isinstance(name, str) or len(name) > 255 or not name.isprintable():
            told = "service_account_id: write at most 255 characters in one line"
            raise ApiError(400, told, param="metadata")
        sent = {**self.body, "user_id": None, "metadata": {**metadata, "service_account_id": name}}
        return self.issued(sent, VirtualKey(service_account=name), "/key/service-account/generate")


class KeyInfo(KeyView):
    """A key may always ask about itself, also when it has spent everything."""

    used: WindowReader = staticmethod(unwired)
    active: Callable[[KeyQuerySet], KeyQuerySet] = staticmethod(unwired)
    crossed: CrossingReader = staticmethod(unwired)

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        asked, now = request.query_params.get("key"), timezone.now()
        if not asked and not self.caller.token:
            raise ApiError(404, "key: name a key; the master key is not in the database", param="key")
        key = rights.described_key(self.caller, asked or self.caller.token)
        key = self.active(VirtualKey.objects.with_owners().filter(pk=key.pk)).get()
        info = info_row(key, self.spent([key]), self.used([key]), now)
        info["soft_budget_crossed_at"] = self.crossed([key]).get(key.scope)
        return Response({"key": asked or key.token, "info": info})


class ChangingKeyView(KeyView, SpendView):
    """An endpoint that changes keys."""

    form: type[KeySerializer] = KeySerializer

    def patched(self, key: VirtualKey, body: dict[str, Any], now: datetime) -> VirtualKey:
        """Save what a merge patch changes of a key. To be called within the transaction that locked it."""
        sent = body if self.caller.is_admin else self.without_same_spend(key, body)
        key = changed_key(key, self.form, self.caller, sent, now=now)
        key = services.update_key(key, actor=self.caller.actor, now=now)
        self.waits_for_workers |= rights.assign_groups(self.caller, key, body)
        if self.caller.is_admin:
            self.set_spend(key, body, now)
        return key


class KeyUpdate(ChangingKeyView):
    """A merge patch: an omitted field keeps its value, null clears it."""

    #: Providers of infrastructure modules send these of every key.
    blank_is_absent = frozenset({"team_id", "organization_id", "duration"})

    @extend_schema(request=KeySerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        named, now = named_key(self.body), timezone.now()
        with transaction.atomic():
            key = self.patched(rights.managed_key(self.caller, named, "/key/update", locked=True), self.body, now)
        return Response(self.row(key, now) | {"key": named})


class KeyDelete(ManagementView):
    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        with transaction.atomic():
            found = self._named()
            if not found:
                raise ApiError(404, "No keys found", param="keys")
            rights.refuse_unmanaged(self.caller, [key for _, key in found], "/key/delete")
            for _, key in found:
                services.delete_key(key, actor=self.caller.actor)
        return Response({"deleted_keys": [sent for sent, _ in found]})

    def _named(self) -> Sequence[tuple[str, VirtualKey]]:
        """Each key that exists, locked, beside the text that named it.

        By both lists, as clients send both; one that is null or empty beside the other names nothing.
        """
        given = [field for field in ("keys", "key_aliases") if self.body.get(field)]
        named = {field: required_names(self.body, field) for field in given or ["keys"]}
        tokens = [(sent, token_from(sent)) for sent in named.get("keys", [])]
        aliases = dict.fromkeys(named.get("key_aliases", []))
        keys = locked_keys({token for _, token in tokens}, aliases)
        by_token, by_alias = {key.token: key for key in keys}, {key.alias: key for key in keys}
        return [
            *((sent, by_token[token]) for sent, token in tokens if token in by_token),
            *((alias, by_alias[alias]) for alias in aliases if alias in by_alias),
        ]


class KeyBlocking(KeyView):
    """POST /key/block and /key/unblock."""

    blocked = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        route = "/key/block" if self.blocked else "/key/unblock"
        named, change = required_text(self.body, "key"), services.block_key if self.blocked else services.unblock_key
        with transaction.atomic():
            key = rights.led_key(self.caller, named, route, locked=True)
            change(key, actor=self.caller.actor)
        return Response(self.row(VirtualKey.objects.with_owners().get(pk=key.pk), timezone.now()))


class KeyRegenerate(ChangingKeyView):
    """A new secret for the same key: its budget and its history go on."""

    body_optional = True
    form = RegenerateSerializer

    @extend_schema(request=RegenerateSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, key: str = "") -> Response:
        if self.body.get("new_master_key"):
            raise ApiError(400, "new_master_key: the master key is set by LATCHKEY_MASTER_KEY", param="new_master_key")
        named, now, actor = key or named_key(self.body), timezone.now(), self.caller.actor
        with transaction.atomic():
            row = rights.managed_key(self.caller, named, "/key/regenerate", locked=True)
            rights.judge_new_secret(self.caller, row, now=now)
            body = RegenerateSerializer(row, data=self.body, partial=True, context={"caller": self.caller})
            body.is_valid(raise_exception=True)
            values = body.validated_data
            if self._changes(row):
                rights.refuse_unmanaged(self.caller, [row], "/key/update")
                row = self.patched(row, self.body, now)
            grace = {"grace": values["grace_period"]} if "grace_period" in values else {}
            try:
                secret = services.regenerate_key(row, actor=actor, custom=values.get("new_key"), now=now, **grace)
            except ModelValidationError as error:
                told = "; ".join(error.messages)
                raise ApiError(400, f"new_key: {told}", param="new_key") from error
        return Response(issued_row(row, secret, self.spent([row]), now, duration=values.get("duration")))

    def _changes(self, key: VirtualKey) -> bool:
        """Whether the body says more than which key is to be renewed, and how."""
        naming = {"key_alias"} if self.body.get("key_alias") == key.alias else set()
        return bool(self.body.keys() - {"key", "new_key", "grace_period", "new_master_key"} - naming)


class KeyPickUp(KeyView):
    """POST /key/{key}/pick_up: the new secret of a key that was rotated by itself, once."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, key: str) -> Response:
        now = timezone.now()
        with transaction.atomic():
            # Who picks it up knows the secret that was replaced, or its hash, and no other.
            row = find_key(key, locked=True, replaced=True)
            if row.pk != self.caller.key_pk:
                rights.refuse_unmanaged(self.caller, [row], "/key/regenerate")
            if self.caller.is_replaced and self.caller.token != row.retired_secrets.newest_token():
                raise ApiError(403, "key: a secret picks up only the one that took its place", param="key")
            rights.judge_new_secret(self.caller, row, now=now)
            secret = rotation.pick_up(row, actor=self.caller.actor)
        return Response(issued_row(row, secret, self.spent([row]), now))


def changed_key(
    key: VirtualKey, form: type[KeySerializer], caller: Caller, sent: Mapping[str, Any], *, now: datetime
) -> VirtualKey:
    """The locked key with the body's changes in it, unsaved, if the caller may make them."""
    stored = VirtualKey.objects.with_owners().get(pk=key.pk)
    rights.judge_fields(caller, sent, stored)
    body = form(key, data=sent, partial=True, context={"caller": caller})
    body.is_valid(raise_exception=True)
    body.fill(key, actor=caller.actor, now=now)
    rights.judge_change(caller, key, stored, now=now)
    making.refuse_above(key, rights.changed_columns(key, stored), now=now)
    return key


def named_key(body: dict[str, Any]) -> str:
    """The key that an update means: `key`, or a unique `key_alias` if there is no key."""
    if body.get("key") is not None or not isinstance(body.get("key_alias"), str):
        return required_text(body, "key")
    key = VirtualKey.objects.live().filter(alias=body["key_alias"]).first()
    if key is None:
        raise ApiError(404, "Key not found in database", param="key_alias")
    return key.token
