"""Who may do what with which key, and with which of its fields. Platform admins may do everything.

Which rows a caller reaches is decided by `visible_to`, `led_by` and `managed_by`; here the refusals are worded, and
what a caller may write is judged by comparing the row before with the row after, whatever body it came from.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keys.bounds import (
    inherit,
    inherit_limits,
    own_limits,
    owners_of,
    refuse_beyond_minter,
    refuse_beyond_own,
    refuse_of_programs,
    refuse_own_budget,
    refuse_taking_off,
)
from keys.fitting import fit, open_columns
from keys.models import VirtualKey
from keys.serializers import find_key, no_project
from keys.services import hold_place, is_guest, place
from teams.access_groups import FIELD, assign_sent
from teams.api_types import ApiError
from teams.callers import Caller
from teams.columns import BESIDE, TERMS
from teams.field_rights import refuse_wider
from teams.finding import refuse_stronger
from teams.models import Limits, Membership, Project, Team, User

#: Fields that only platform admins write, also inside `metadata`.
ADMIN_FIELDS = (
    "allowed_routes", "allowed_passthrough_routes", "permissions", "throttle_on_budget_exceeded",
    "end_user_budget_id", "disable_global_guardrails", "default_estimated_output_tokens",
    "default_estimated_output_tokens_per_model", "spend",
)  # fmt: skip
#: Columns about limits.
COLUMNS = (
    frozenset(TERMS)
    | frozenset(BESIDE)
    | {
        "allowed_models",
        "expires_at",
        "allowed_routes",
        "project_id",
        "tags",
        "metadata",
        "end_user_budget_id",
    }
)
#: The route that makes keys, where no other one is named.
MAKE = "/key/generate"
#: The one for keys of a team that belong to no person.
MAKE_OF_NOBODY = "/key/service-account/generate"


def leads(caller: Caller, key: VirtualKey) -> bool:
    """Whether the caller administers the platform, the key's team, or its organization."""
    return caller.manages_team(key.team_id, key.organization_id)


def described_key(caller: Caller, named: str) -> VirtualKey:
    """The key that `named` names, if the caller may read about it; 404 of an unknown key, 403 of a foreign one.

    Nobody learns from the difference: who can name a key knows it, or its hash.
    """
    key = find_key(named, deleted=True, replaced=True)
    if not VirtualKey.objects.described_to(caller).filter(pk=key.pk).exists():
        raise ApiError(403, "You are not allowed to access this key's info.", param="key")
    return key


def managed_key(caller: Caller, named: str, route: str, *, locked: bool = False, replaced: bool = False) -> VirtualKey:
    """The key that `named` names, if the caller may change it by `route`. ApiError 404, 403, or 401 in a team."""
    key = find_key(named, locked=locked, replaced=replaced)
    refuse_unmanaged(caller, [key], route)
    return key


def refuse_unmanaged(caller: Caller, keys: list[VirtualKey], route: str) -> None:
    managed = VirtualKey.objects.managed_by(caller, route)
    _refuse_others(
        caller, keys, set(managed.filter(pk__in=[key.pk for key in keys]).values_list("pk", flat=True)), route
    )


def led_key(caller: Caller, named: str, route: str, *, locked: bool = False) -> VirtualKey:
    """As `managed_key`, for what owners may not do themselves: only leaders, and whom a team grants it."""
    key = find_key(named, locked=locked)
    led = VirtualKey.objects.led_by(caller, route).filter(pk=key.pk).values_list("pk", flat=True)
    _refuse_others(caller, [key], set(led), route)
    return key


def judge_reset(caller: Caller, key: VirtualKey) -> None:
    """What a key spent is set back by another one, unless its holder leads: else its budget would hold nobody."""
    if key.pk == caller.key_pk and not leads(caller, key):
        raise ApiError(403, "key: another key has to set back what the key that calls has spent", param="key")


def _refuse_others(caller: Caller, keys: list[VirtualKey], reached: set[int], route: str) -> None:
    for key in keys:
        if key.pk in reached:
            continue
        if key.team is not None and key.team_id in caller.teams:
            raise not_granted(route, key.team)
        raise ApiError(403, f"You are not allowed to use {route} on this key", param="key")


def with_owner(caller: Caller, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a new key with its owner in it: people make keys for themselves, service accounts for their team."""
    sent = dict(body)
    if caller.is_admin:
        return sent
    if (caller.user_pk is None or not caller.personal) and caller.key_team and not sent.get("team_id"):
        sent["team_id"] = Team.objects.values_list("public_id", flat=True).get(pk=caller.key_team)
    in_organization = sent.get("organization_id") and caller.organizations
    if caller.user_pk is not None and not sent.get("user_id") and not in_organization:
        sent["user_id"] = caller.user_id
    return sent


def judge_fields(caller: Caller, body: Mapping[str, Any], stored: VirtualKey | None = None) -> None:
    """ApiError 403 naming a field that only platform admins write. Empty values change nothing on a new key."""
    if caller.is_admin:
        return
    metadata = body.get("metadata")
    for values in (body, metadata if isinstance(metadata, dict) else {}):
        for name in ADMIN_FIELDS:
            known = _stored(stored, name)
            if name in values and values[name] != known and (values[name] or known):
                raise ApiError(403, f"{name}: only proxy admins may set it", param=name)
    if body.get("key_type") == "management":
        raise ApiError(403, "key_type: only proxy admins may make keys of the type management", param="key_type")


def judge_new(
    caller: Caller, key: VirtualKey, *, now: datetime, route: str = MAKE, unstated: frozenset[str] = frozenset()
) -> None:
    """Judge an unsaved, filled key; what it leaves open is filled with the limits of the calling key.

    `unstated` columns were filled by the configuration file: they are narrowed to what the caller has, not refused.
    """
    # Where it will be, not where the request left it: rights end at the organization.
    place(key)
    unstated |= open_columns(key)
    if caller.is_admin:
        fit(key, owners_of(key), unstated)
        return
    _judge_place(caller, key, route)
    _refuse_stronger_owner(caller, key)
    minter = _minter(caller)
    key.sponsor_id = _sponsor(caller, key, minter)
    tops = [*owners_of(key), *([minter] if minter else [])]
    fit(key, tops, unstated)
    if minter is not None:
        refuse_of_programs(minter)
        inherit_limits(key, minter)
        inherit(key, minter)
        fit(key, tops, unstated)
        refuse_beyond_minter(key, minter, COLUMNS, now=now)
        _judge_routes(key, minter)
    # A duration that nobody stated may be shorter than that of an owner, whom every call counts for.
    given = {"budget_duration": key.budget_duration} if "budget_duration" in unstated else {}
    _refuse_beyond_owners(key, VirtualKey(**given))


def judge_change(caller: Caller, key: VirtualKey, stored: VirtualKey, *, now: datetime) -> None:
    """Judge a changed, unsaved key against `stored`, the same row as it is."""
    if key.team_id != stored.team_id:
        key.sponsor = None
    if caller.is_admin:
        return
    place(key)
    if (key.team_id, key.user_id, key.organization_id) != (stored.team_id, stored.user_id, stored.organization_id):
        _judge_move(caller, key, stored)
        key.sponsor_id = _sponsor(caller, key, _minter(caller))
    is_leader = leads(caller, stored)
    if stored.project_id not in (None, key.project_id) and not is_leader:
        raise ApiError(403, "project_id: only admins of the team may take a key out of its project", param="project_id")
    if key.blocked != stored.blocked and not is_leader:
        raise ApiError(403, "blocked: only admins of the team or the platform may change it", param="blocked")
    if key.allowed_routes != stored.allowed_routes and stored.allowed_routes:
        raise ApiError(403, "allowed_routes: only proxy admins may change them", param="allowed_routes")
    if not is_leader:
        refuse_own_budget(key, stored)
        refuse_taking_off(key, stored)
    _refuse_beyond_caller(caller, key, stored, now)
    _refuse_beyond_owners(key, stored)


def _refuse_beyond_caller(caller: Caller, key: VirtualKey, stored: VirtualKey, now: datetime) -> None:
    """ApiError 400 naming what a change sets beyond the calling key, or beyond a member who may know the secret."""
    minter = _minter(caller)
    if minter is not None:
        refuse_beyond_minter(key, minter, changed_columns(key, stored), now=now)
    is_moved = (key.team_id, key.organization_id) != (stored.team_id, stored.organization_id)
    refuse_beyond_own(key, _own_limits(caller, key), None if is_moved else stored, now=now)


def _refuse_beyond_owners(key: VirtualKey, stored: VirtualKey) -> None:
    """ApiError 400 naming what a change of `stored` sets beyond what an owner of the key has."""
    for owner in owners_of(key):
        refuse_wider(key, owner, stored)


def _sponsor(caller: Caller, key: VirtualKey, minter: VirtualKey | None) -> int | None:
    """Within whose limits a key of nobody spends that somebody makes who does not lead its team."""
    if key.user_id is not None or key.team_id is None or leads(caller, key):
        return None
    return caller.user_pk or (minter.sponsor_id if minter else None)


def _own_limits(caller: Caller, key: VirtualKey) -> list[Limits]:
    """What holds a member who changes, or gets the secret of, a key of the team that is not the member's own."""
    if caller.user_pk is None or key.user_id == caller.user_pk or leads(caller, key):
        return []
    return own_limits(key, caller.user_pk)


def changed_columns(key: VirtualKey, stored: VirtualKey) -> frozenset[str]:
    """Columns about limits that differ; another shared budget may change all that it stands for."""
    changed = frozenset(column for column in COLUMNS if getattr(key, column) != getattr(stored, column))
    return changed | (frozenset(TERMS) if "shared_budget_id" in changed else frozenset())


def assign_groups(caller: Caller, key: VirtualKey, body: Mapping[str, Any]) -> bool:
    """Carry out what a validated body says of a stored key's access groups; returns whether that changed anything.

    They open nothing that the key's team does not, so who leads the team hands them out, and members whom it lets;
    but nobody who is limited to some models, nor by a key that is. ApiError 400 or 403.
    """
    if FIELD not in body or key.team_id is None or caller.is_admin:
        return assign_sent(key, body, caller)
    minter = _minter(caller)
    makers = [*_own_limits(caller, key), *([minter] if minter else [])]
    may = leads(caller, key) or key.team_id in caller.may_write_in("/key/access_group_assignment")
    return assign_sent(key, body, caller, may=may and not any(one.allowed_models for one in makers))


def judge_new_secret(caller: Caller, key: VirtualKey, *, now: datetime) -> None:
    """Neither a limited key nor a limited member is a way to the secret of a key with wider limits. ApiError 400."""
    if caller.is_admin:
        return
    _refuse_stronger_owner(caller, key)
    refuse_beyond_own(key, _own_limits(caller, key), now=now)
    minter = _minter(caller)
    if minter is None or minter.pk == key.pk:
        return
    refuse_beyond_minter(key, minter, COLUMNS, now=now)
    _judge_routes(key, minter)


def _judge_place(caller: Caller, key: VirtualKey, route: str) -> None:
    """Whose key it may become. A project that the caller may not see is told as one that does not exist."""
    if key.project is not None and not Project.objects.visible_to(caller).filter(pk=key.project.pk).exists():
        raise no_project(key.project.public_id)
    if key.team is not None:
        _judge_team(caller, key, key.team, route)
    elif not caller.personal:
        told = "a key of a team makes keys for its own team only, and one that others know none for its owner"
        raise ApiError(403, f"team_id: {told}", param="team_id")
    elif is_guest(key) and not caller.manages_organization(key.organization_id):
        told = "organization_id: only its admins may make keys in an organization for who is at home elsewhere"
        raise ApiError(403, told, param="organization_id")
    elif key.user is None and not caller.manages_organization(key.organization_id):
        raise ApiError(403, "organization_id: only admins may make keys that belong to nobody", param="organization_id")
    elif key.user_id not in (None, caller.user_pk) and not caller.manages_organization(key.organization_id):
        raise ApiError(403, "user_id: you can only make keys for yourself", param="user_id")


def _judge_team(caller: Caller, key: VirtualKey, team: Team, route: str) -> None:
    leader = caller.manages_team(team.pk, team.organization_id)
    if not leader and team.pk not in caller.may_write_in(route):
        raise not_granted(route, team)
    if not caller.manages_organization(team.organization_id) and not _is_still_in(caller, team):
        raise not_granted(route, team)
    if key.user_id is None or key.user_id == caller.user_pk:
        return
    if not leader or not Membership.objects.filter(team=team, user=key.user_id).exists():
        raise ApiError(
            403, "user_id: you can only make keys for yourself and members of a team you lead", param="user_id"
        )


def _is_still_in(caller: Caller, team: Team) -> bool:
    """Whether a member is one yet, and stays so until the transaction ends: who leaves takes keys along, or none.

    Platform admins need no place, also with a key of the team.
    """
    place = hold_place(team.pk, caller.user_pk)
    if place is not None or caller.user_pk is None:
        return place is None or not place.blocked
    owner = User.objects.get(pk=caller.user_pk)
    return owner.is_superuser or owner.role == User.Role.PROXY_ADMIN


def _judge_move(caller: Caller, key: VirtualKey, stored: VirtualKey) -> None:
    """A key may move to where the caller could have made it; only who leads its team takes it out of there."""
    if stored.team_id is not None and key.team_id != stored.team_id:
        if not caller.manages_team(stored.team_id, stored.organization_id):
            raise ApiError(403, "team_id: only admins of the team may take a key out of it", param="team_id")
        if key.team_id is None and not caller.manages_organization(stored.organization_id):
            raise ApiError(403, "team_id: only admins may take a key out of every team", param="team_id")
    if stored.user_id not in (None, key.user_id, caller.user_pk) and not leads(caller, stored):
        raise ApiError(403, "user_id: only admins may give somebody's key to another person", param="user_id")
    if key.user_id is None and stored.user_id is not None and not leads(caller, stored):
        raise ApiError(403, "user_id: only admins may take a key from its owner", param="user_id")
    _judge_place(caller, key, MAKE if key.user_id else MAKE_OF_NOBODY)
    _refuse_stronger_owner(caller, key)


def _refuse_stronger_owner(caller: Caller, key: VirtualKey) -> None:
    """Nobody gets a personal key of somebody who may do more. One of a team, or of a guest, has no rights outside, and
    inside none that the caller has not (`known_to`).
    """
    if key.user is not None and key.team_id is None and not is_guest(key):
        refuse_stronger(key.user, caller)


def _judge_routes(key: VirtualKey, minter: VirtualKey) -> None:
    """A key that is narrowed to some routes makes no key that opens others."""
    if minter.allowed_routes and not (key.allowed_routes and set(key.allowed_routes) <= set(minter.allowed_routes)):
        raise ApiError(403, "allowed_routes: the key that calls is narrowed to fewer routes", param="allowed_routes")


def _minter(caller: Caller) -> VirtualKey | None:
    return VirtualKey.objects.with_owners().filter(pk=caller.key_pk).first() if caller.key_pk else None


def _stored(key: VirtualKey | None, name: str) -> Any:
    """What a field that only admins write holds already, so that sending it again unchanged is no change."""
    if key is None:
        return None
    if name == "end_user_budget_id":
        return key.end_user_budget.public_id if key.end_user_budget else None
    return key.allowed_routes if name == "allowed_routes" else key.extras.get(name, key.metadata.get(name))


def not_granted(route: str, team: Team) -> ApiError:
    return ApiError(
        401,
        f"Team member does not have permissions for endpoint: {route}. Ask an admin of team {team.public_id} to "
        "grant it with /team/permissions_update",
        kind="team_member_permission_error",
        param=route,
    )
