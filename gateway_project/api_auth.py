"""Who is calling the management API: the master key, or a virtual key with the rights of its owner."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import reduce

from django.conf import settings
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from keys import secrets
from keys.grants import Grant
from keys.loading import is_service_account, load_grants
from keys.models import VirtualKey
from proxy.runtime.errors import GatewayError
from proxy.runtime.identify import identify, unknown_key
from proxy.runtime.permit import check_status
from teams.actors import MASTER, Actor
from teams.api_types import ApiError
from teams.callers import NOWHERE, Caller
from teams.models import User
from teams.reach import MASTER_ROLE, caller_of, common, rights_of


class KeyAuthentication(BaseAuthentication):
    """The key in the first header that carries one. A broken dependency is never mistaken for a bad key."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        if not settings.GATE_RULES.may_come_from(request.META.get("REMOTE_ADDR", "")):
            raise ApiError(403, "Access forbidden: IP address not allowed.")
        master = secrets.token_of(settings.MASTER_KEY)
        try:
            token = identify(request.headers, master, settings.GATE_RULES.key_header)
            if token == master:
                return Caller(replace(_master_actor(request), token=master), MASTER_ROLE), None
            return _virtual_caller(token, timezone.now()), None
        except GatewayError as error:
            raise ApiError(error.status, error.message, kind=error.type, param=error.param) from error

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


def _virtual_caller(token: str, now: datetime) -> Caller:
    """Budgets are not looked at: a key that has spent everything may still ask what it has. Raises GatewayError."""
    grant = load_grants([token]).get(token)
    if grant is None:
        raise unknown_key()
    check_status(grant, grant.chain, now)
    return _caller(grant)


def _caller(grant: Grant) -> Caller:
    """The owner's rights, with which key they are used: with a key of a team only those inside the team.

    A key of nobody has its team's, if it is a service account. One of an organization that is not its owner's own is
    nobody's here: whoever administers that organization may have made it and know its secret.
    """
    owners, others = grant.owners, _others_who_know(grant)
    behind = frozenset(person.pk for person in others)
    actor = Actor(f"key:{grant.public_id}", owners.user_id, grant.token, grant.user_public_id, behind)
    user = User.objects.filter(pk=owners.user_id).first() if owners.user_id else None
    if user is not None and not owners.team_id and user.organization_id not in (None, owners.organization_id):
        return _with(Caller(actor), grant, others)
    known = caller_of(user, actor=actor) if user is not None else Caller(actor)
    if user is not None and owners.team_id:
        known = known.inside_team(owners.team_id, owners.organization_id)
    known = _bounded(known, others)
    if user is None and owners.team_id and is_service_account(owners.key_id):
        team = frozenset({owners.team_id})
        makes_keys = all(_may_make_keys(other, owners.team_id, owners.organization_id) for other in others)
        known = replace(known, teams=team, granted={"/key/generate": team} if makes_keys else NOWHERE)
    return _with(known, grant, others)


def _may_make_keys(person: User, team_pk: int, organization_pk: int) -> bool:
    known = rights_of(person)
    return known.manages_team(team_pk, organization_pk) or team_pk in known.may_write_in("/key/generate")


def _others_who_know(grant: Grant) -> list[User]:
    """People who may know the secret that calls, besides the key's owner: of an old one those who knew it then."""
    known = {"known_retired_secrets__token": grant.token} if grant.retires_at else {"known_keys": grant.owners.key_id}
    return list(User.objects.filter(**known).exclude(pk=grant.owners.user_id or 0))


def _bounded(known: Caller, others: Iterable[User]) -> Caller:
    """With only those rights that everybody has who may know the key."""
    bounded = reduce(common, map(rights_of, others), known)
    return replace(bounded, is_bounded=bounded != known)


def _with(known: Caller, grant: Grant, others: list[User]) -> Caller:
    owners = grant.owners
    return replace(
        known,
        key_pk=owners.key_id,
        token=grant.token,
        key_team=owners.team_id,
        key_organization=owners.organization_id,
        allowed_routes=grant.allowed_routes,
        is_replaced=grant.retires_at is not None,
        opens_spend=_opens_spend(owners.key_id) and all(rights_of(other).reads_all for other in others),
    )


def _opens_spend(key_pk: int) -> bool:
    """Only admins write `permissions`, so the key itself says what it was given."""
    kept = VirtualKey.objects.values_list("extras", flat=True).get(pk=key_pk)
    permissions = kept.get("permissions")
    return isinstance(permissions, dict) and permissions.get("get_spend_routes") is True
