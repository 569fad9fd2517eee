"""The one door of requests that make a key, and what the configuration file says about it. The rules are read in
`keys.key_rules`.

The admin's form has no request that somebody could be asked about; it keeps to the upper bounds.
"""

import inspect
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from keys import rights, services
from keys.bounds import RAISED, owners_of
from keys.fitting import COLUMN_OF, fit, open_columns
from keys.key_rules import KeyRules
from keys.models import VirtualKey
from keys.serializers import NewKeySerializer
from teams.api_types import ApiError
from teams.callers import Caller
from teams.models import Project
from teams.windows import duration_delta, length_of

#: What is said of a limit that `above` names.
ABOVE = "is above its upper bound (upperbound_key_generate_params)"
#: What clients call the columns that have an upper bound, where that is something else.
_NAMES = {"max_budget_nano": "max_budget", "expires_at": "duration", "raise_nano": "temp_budget_increase"}


class Asked(Mapping[str, Any]):
    """A request as the function of `custom_key_generate` gets it: every field is also an attribute, None if absent."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._fields.get(name)

    def json(self, **_: Any) -> dict[str, Any]:
        return dict(self._fields)

    dict = model_dump = json


def rules() -> KeyRules:
    found: KeyRules = settings.KEY_RULES
    return found


def _defaults_for(body: Mapping[str, Any]) -> dict[str, Any]:
    """`default_key_generate_params` of which the body of a new key says nothing."""
    missing = {name: value for name, value in rules().defaults.items() if body.get(name) in (None, [], {})}
    if body.get("expires"):
        missing.pop("duration", None)
    return missing


def judged(caller: Caller, sent: Mapping[str, Any], *, within: Mapping[str, Any] | None = None) -> NewKeySerializer:
    """What is sent about a new key, validated, if the caller may say it and the configuration file lets it pass.

    `within` is the whole request where that is about more than the key, and then `default_key_generate_params` fill in
    nothing. Call it before the transaction: the function of `custom_key_generate` may take its time. ApiError 400 or
    403, ValidationError naming the field.
    """
    rights.judge_fields(caller, sent)
    filled = _defaults_for(sent) if within is None else {}
    said = {**sent, **filled}
    _judge_request(caller, said if within is None else within)
    form = NewKeySerializer(data=said, context={"caller": caller})
    form.is_valid(raise_exception=True)
    form.unstated = frozenset(COLUMN_OF[name] for name in filled.keys() & COLUMN_OF.keys())
    return form


@transaction.atomic
def issue(caller: Caller, form: NewKeySerializer, key: VirtualKey, *, now: datetime, route: str = rights.MAKE) -> str:
    """Fill an unsaved key with what `judged` let pass, save it, and return its secret.

    ApiError 400, 401 or 403 for more than the caller has or the upper bounds are, ValidationError naming the field.
    """
    form.fill(key, actor=caller.actor, now=now)
    rights.judge_new(caller, key, now=now, route=route, unstated=form.unstated)
    _judge_team_role(caller, key)
    fill_bounds(key, now=now)
    refuse_above(key, rights.COLUMNS, now=now)
    secret = services.issue_key(key, actor=caller.actor, custom=form.validated_data.get("key"))
    rights.assign_groups(caller, key, form.initial_data)
    return secret


def _judge_request(caller: Caller, body: Mapping[str, Any]) -> None:
    """ApiError 400 or 403 unless `key_generation_settings` and the function of `custom_key_generate` let it pass."""
    body = {**body, "team_id": body.get("team_id") or _team_of_project(caller, body.get("project_id"))}
    is_team_key = bool(body["team_id"] or body.get("project_id"))
    makers = rules().team if is_team_key else rules().personal
    for name in makers.required:
        if body.get(name) in (None, "", [], {}):
            raise ApiError(400, f"{name}: this field is required of every such key", param=name)
    if makers.roles is not None and not is_team_key and not caller.is_admin and caller.role not in makers.roles:
        raise ApiError(
            400, f"Personal key creation has been restricted by admin. Allowed roles={sorted(makers.roles)}. "
            f"Your role={caller.role or 'unknown'}",
        )  # fmt: skip
    _ask(body)


def _team_of_project(caller: Caller, named: Any) -> str | None:
    """A key of a project is one of the project's team, which the request need not name."""
    if not named or not isinstance(named, str):
        return None
    projects = Project.objects.live().visible_to(caller).filter(public_id=named)
    return projects.values_list("team__public_id", flat=True).first()


def _judge_team_role(caller: Caller, key: VirtualKey) -> None:
    """ApiError 400 unless the caller's role in the key's team may make its keys."""
    roles = rules().team.roles
    if roles is None or key.team is None or caller.is_admin:
        return
    own = "admin" if caller.manages_team(key.team_id, key.organization_id) else "user"
    if own not in roles:
        raise ApiError(400, f"Team member role {own} not in allowed_team_member_roles={sorted(roles)}", param="team_id")


def fill_bounds(key: VirtualKey, *, now: datetime) -> None:
    """`upperbound_key_generate_params` where a new key sets nothing, or what its owners have if that is less."""
    bounds, left = rules(), open_columns(key)
    if bounds.budget_duration and not key.schedule[0]:
        key.budget_duration = bounds.budget_duration
    tops = {"max_budget_nano": bounds.max_budget_nano, **bounds.numbers}
    filled = {column: top for column, top in tops.items() if top is not None and column in left}
    for column, top in filled.items():
        setattr(key, column, top)
    fit(key, owners_of(key), filled)
    if bounds.duration and key.expires_at is None:
        key.expires_at = now + duration_delta(bounds.duration)


def refuse_above(key: VirtualKey, changed: Collection[str], *, now: datetime) -> None:
    """ApiError 400 naming a changed field of the key that is above its upper bound, or lifts it."""
    for column in above(key, changed, now=now):
        name = _NAMES.get(column, column)
        raise ApiError(400, f"{name}: {ABOVE}", param=name)


def above(key: VirtualKey, changed: Collection[str], *, now: datetime) -> list[str]:
    """Those of the changed columns that are above their upper bound, or lift it."""
    bounds, duration = rules(), key.schedule[0]
    tops = {"max_budget_nano": bounds.max_budget_nano, **bounds.numbers}
    found = {
        column: top is not None and (key.effective(column) is None or key.effective(column) > top)
        for column, top in tops.items()
    }
    if bounds.max_budget_nano is not None and key.raise_until is not None and key.raise_until > now:
        whole = (key.effective("max_budget_nano") or 0) + key.raise_nano
        found["raise_nano"] = key.raise_nano > 0 and whole > bounds.max_budget_nano
    if bounds.budget_duration:
        found["budget_duration"] = not duration or length_of(duration) > length_of(bounds.budget_duration)
    if bounds.duration:
        found["expires_at"] = key.expires_at is None or key.expires_at > now + duration_delta(bounds.duration)
    judged = {*changed, *({"raise_nano"} if RAISED.intersection(changed) else ())}
    return [column for column, is_above in found.items() if is_above and column in judged]


@lru_cache(maxsize=4)
def hook_at(path: str) -> Any:
    """The function at a dotted path. Raises ImportError."""
    return import_string(path)


def _ask(body: Mapping[str, Any]) -> None:
    path = rules().hook
    if not path:
        return
    hook = hook_at(path)
    verdict = (async_to_sync(hook) if inspect.iscoroutinefunction(hook) else hook)(Asked(body))
    if not isinstance(verdict, Mapping) or verdict.get("decision") is not True:
        message = verdict.get("message") if isinstance(verdict, Mapping) else None
        raise ApiError(403, str(message or "this key may not be made: the function of custom_key_generate refused it"))
