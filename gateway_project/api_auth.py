"""Who is calling the management API: the master key, or a virtual key with the rights of its owner."""

import hmac
from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from keys import secrets
from keys.grants import Grant
from keys.loading import is_service_account, load_grants
from proxy.runtime.identify import presented_key
from teams.actors import MASTER, Actor
from teams.api_types import ApiError
from teams.callers import Caller
from teams.models import User
from teams.reach import MASTER_ROLE, caller_of
from teams.scopes import ScopeKind, scope_kind


class KeyAuthentication(BaseAuthentication):
    """The key in the first header that carries one. A broken dependency is never mistaken for a bad key."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        key = presented_key(request.headers)
        if not key:
            raise ApiError(401, "Authentication Error, No api key passed in.")
        if hmac.compare_digest(key.encode(), settings.MASTER_KEY.encode()):
            return Caller(_master_actor(request), MASTER_ROLE), None
        return _virtual_caller(key, timezone.now()), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _master_actor(request: Request) -> Actor:
    """`litellm-changed-by` names the human on whose behalf the holder of the master key writes."""
    name = request.headers.get("litellm-changed-by", "").strip()
    if not name:
        return MASTER
    if len(name) > 255 or not name.isprintable():
        raise ApiError(400, "litellm-changed-by: at most 255 printable characters", param="litellm-changed-by")
    return Actor(name)


def _virtual_caller(key: str, now: datetime) -> Caller:
    if not key.startswith("sk-"):
        raise ApiError(401, "Authentication Error, LiteLLM Virtual Key expected. It is expected to start with 'sk-'.")
    grant = _grant(key)
    if grant is None:
        raise ApiError(
            401, "Authentication Error, Invalid proxy server token passed.",
            kind="token_not_found_in_db", param="key",
        )  # fmt: skip
    _refuse_unusable(grant, now)
    return _caller(grant)


def _caller(grant: Grant) -> Caller:
    """The owner's rights, with which key they are used; a key of nobody has its team's, if it is a service account."""
    owners = grant.owners
    actor = Actor(f"key:{grant.public_id}", owners.user_id)
    user = User.objects.filter(pk=owners.user_id).first() if owners.user_id else None
    if user is not None and not user.is_active:
        raise ApiError(401, "Authentication Error, the owner of this key was deactivated.")
    known = caller_of(user, actor=actor) if user is not None else Caller(actor)
    if user is None and owners.team_id and is_service_account(owners.key_id):
        known = replace(
            known, teams=frozenset({owners.team_id}), granted={"/key/generate": frozenset({owners.team_id})}
        )
    return replace(
        known,
        key_pk=owners.key_id,
        token=grant.token,
        key_team=owners.team_id,
        key_organization=owners.organization_id,
        allowed_routes=grant.allowed_routes,
    )


def _grant(key: str) -> Grant | None:
    if not secrets.is_well_formed(key):
        return None
    token = secrets.token_of(key)
    return load_grants([token]).get(token)


def _refuse_unusable(grant: Grant, now: datetime) -> None:
    """Budgets are not looked at: a key that has spent everything may still ask what it has."""
    if grant.key.blocked:
        raise ApiError(401, "Authentication Error, Key is blocked. Update via `/key/unblock` if you are an admin.")
    if any(at is not None and at <= now for at in (grant.expires_at, grant.retires_at)):
        raise ApiError(401, "Authentication Error, Expired Key. The key's time has passed.", kind="expired_key")
    for policy in grant.chain:
        if policy.blocked:
            level = "Team" if scope_kind(policy.scope) is ScopeKind.TEAM else scope_kind(policy.scope).name.title()
            raise ApiError(401, f"Authentication Error, {level} is blocked.")
