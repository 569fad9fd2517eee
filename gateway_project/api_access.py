"""Which callers may use which routes of the management API. The router gives every route one of these.

A route without an `Access` cannot be declared, so none is ever open by omission. Which objects a caller
then reaches is decided by `visible_to` and `managed_by` of the querysets.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from keys.secrets import shown_path
from teams.api_types import ApiError
from teams.budgets import matches
from teams.callers import Caller, Standing

if TYPE_CHECKING:
    from rest_framework.views import APIView

#: Groups of paths that `allowed_routes` may name, beside those that an Access says something about.
_ROUTE_GROUPS = {
    "key_management_routes": ("/key/*", "/v2/key/*"),
    "spend_tracking_routes": ("/spend/*",),
    "global_spend_tracking_routes": ("/global/spend", "/global/spend/*"),
}
_LEADERS = frozenset({Standing.ADMIN, Standing.ORG_ADMIN, Standing.TEAM_ADMIN})
_PEOPLE = frozenset({*_LEADERS, Standing.MEMBER, Standing.USER})


@dataclass(frozen=True, slots=True)
class Access:
    """`may`: standings of which one is enough. `reads`: it changes nothing, so read-only admins may, by any method.

    `info`: keys narrowed to `info_routes` may use it too; every route belongs to `management_routes`.
    `spend`: keys that an admin let read everybody's spend (`permissions.get_spend_routes`) may use it too.
    """

    may: frozenset[Standing]
    reads: bool = False
    info: bool = False
    spend: bool = False
    hands_over: bool = False
    """Whether a secret that was replaced may use it too, though it is no reading: to get the new one."""
    refuses: int = 401
    """What everybody else is answered with."""
    words: str = ""
    """How the answer begins, where clients look for other words than the usual ones; read-only admins get it too."""


#: Platform admins; read-only ones where it is a GET.
ADMIN = Access(frozenset({Standing.ADMIN}))
#: Platform admins of both kinds, also by POST.
ADMIN_READS = Access(frozenset({Standing.ADMIN, Standing.VIEWER}), reads=True)
#: The same, where clients expect others to be forbidden.
ADMIN_OR_403 = Access(frozenset({Standing.ADMIN}), refuses=403)
#: Who leads an organization.
ORG_LEADERS = Access(frozenset({Standing.ADMIN, Standing.ORG_ADMIN}))
#: Who leads an organization or a team.
LEADERS = Access(_LEADERS)
#: The same for models, in the words that clients know.
MODEL_LEADERS = Access(_LEADERS, refuses=403, words="User does not have permission to make this model call")
#: Everybody who may make and change things of their own, or what a team grants them.
PEOPLE = Access(_PEOPLE)
#: The same for who knows an older secret alone.
PICK_UP = Access(_PEOPLE, hands_over=True)
#: Every person, also those who may only look.
EVERY_PERSON = Access(_PEOPLE | {Standing.VIEWER, Standing.USER_VIEWER}, reads=True)
#: The same for what changes one's own account.
OWN_ACCOUNT = Access(EVERY_PERSON.may)
#: Every person, for lists that LiteLLM counts among its info routes.
PERSONS_INFO = Access(EVERY_PERSON.may, reads=True, info=True)
#: Platform admins, also by a key that only reads.
ADMIN_INFO = Access(ADMIN.may, info=True)
#: Every valid key, about what it may see.
ANYONE = Access(frozenset(Standing), reads=True, info=True)

#: What everybody spent: admins, and whom they let.
SPEND_OF_ALL = Access(frozenset({Standing.ADMIN, Standing.VIEWER}), reads=True, spend=True)
#: What was spent, of what a person may see.
SPEND_OF_OWN = Access(EVERY_PERSON.may, reads=True, spend=True)
#: What was spent, of what a key may see.
SPEND_OF_KEY = Access(frozenset(Standing), reads=True, info=True, spend=True)


class MayCall(BasePermission):
    """Judges the caller against the route's `Access`: first what the key is narrowed to, then the standing."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        access = getattr(view, "access", None)
        if not isinstance(access, Access):
            raise ImproperlyConfigured(f"{type(view).__name__} was routed without an Access")
        caller: Caller = request.user  # type: ignore[assignment]  # set by KeyAuthentication
        if not caller.is_admin and settings.GATE_RULES.is_for_admins(request.path):
            path = shown_path(request.path)
            raise ApiError(403, f"user not allowed to access this route. Route={path} is an admin only route")
        _refuse_narrowed(caller, access, request.path)
        if caller.is_replaced and not (access.reads or access.hands_over or request.method in SAFE_METHODS):
            raise ApiError(403, "this secret was replaced: it changes nothing any more; use the key's new one")
        if access.may & caller.standings or (access.spend and caller.opens_spend):
            return True
        if caller.role == Standing.VIEWER and (access.reads or request.method in SAFE_METHODS):
            return True
        raise _refusal(caller, access, shown_path(request.path))


def _refusal(caller: Caller, access: Access, path: str) -> ApiError:
    """What somebody is told whose standing is not enough."""
    whose = f"Route={path}. Your role={caller.role or 'unknown'}. Your user_id={caller.user_id or 'unknown'}"
    if access.words:
        return ApiError(access.refuses, f"{access.words}. {whose}")
    if caller.role == Standing.VIEWER:
        return ApiError(403, f"user not allowed to access this route, role= {caller.role}. Trying to access: {path}")
    return ApiError(
        access.refuses,
        "Authentication Error, Only proxy admin can be used to generate, delete, update info for new "
        f"keys/users/teams/models. {whose}",
    )


def _refuse_narrowed(caller: Caller, access: Access, called: str) -> None:
    """403 unless the key's `allowed_routes`, if it has any, cover the route."""
    allowed = caller.allowed_routes
    if not allowed:
        return
    groups = {"management_routes", *(("info_routes",) if access.info else ())}
    groups |= {name for name, paths in _ROUTE_GROUPS.items() if any(matches(path, called) for path in paths)}
    if any(entry in groups or matches(entry, called) for entry in allowed):
        return
    raise ApiError(
        403,
        f"Virtual key is not allowed to call this route. Only allowed to call routes: {list(allowed)}. "
        f"Tried to call route: {called[:200]}",
    )
