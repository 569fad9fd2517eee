"""Who is calling the management API: the master key, or a virtual key asking about itself."""

import hmac
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from keys import secrets
from keys.grants import Grant
from keys.loading import load_grants
from proxy.runtime.identify import presented_key
from teams.actors import MASTER, Actor
from teams.api_types import ApiError, Caller
from teams.scopes import ScopeKind, scope_kind

if TYPE_CHECKING:
    from rest_framework.views import APIView

#: Entries of `allowed_routes` that let a key ask about itself.
_SELF_ROUTES = frozenset({"/key/info", "info_routes", "management_routes"})


class KeyAuthentication(BaseAuthentication):
    """The key in the first header that carries one. A broken dependency is never mistaken for a bad key."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        key = presented_key(request.headers)
        if not key:
            raise ApiError(401, "Authentication Error, No api key passed in.")
        if hmac.compare_digest(key.encode(), settings.MASTER_KEY.encode()):
            return Caller(_master_actor(request), is_admin=True), None
        return _virtual_caller(key, timezone.now()), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class IsPlatformAdmin(BasePermission):
    def has_permission(self, request: Request, view: "APIView") -> bool:
        if getattr(request.user, "is_admin", False):
            return True
        raise ApiError(
            401,
            "Authentication Error, Only proxy admin can be used to generate, delete, update info for new "
            f"keys/users/teams/models. Route={request.path[:200]}. Your role=unknown.",
        )


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
    return Caller(Actor(f"key:{grant.public_id}", grant.owners.user_id), False, grant.owners.key_id, grant.token)


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
    allowed = set(grant.allowed_routes)
    if allowed and not allowed & _SELF_ROUTES and not any(_covers(route) for route in allowed):
        raise ApiError(403, "Virtual key is not allowed to call this route. Its allowed_routes do not contain it.")


def _covers(route: str) -> bool:
    return route.endswith("*") and "/key/info".startswith(route[:-1])
