"""What the configuration file says about making keys, applied to requests. The rules are read in `keys.key_rules`."""

import inspect
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils.module_loading import import_string

from keys.key_rules import KeyRules
from keys.models import VirtualKey
from teams.api_types import ApiError
from teams.callers import Caller
from teams.windows import duration_delta


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


def with_defaults(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a new key with `default_key_generate_params` where it says nothing."""
    missing = {name: value for name, value in rules().defaults.items() if body.get(name) in (None, [], {})}
    return {**body, **missing}


def judge_request(caller: Caller, body: Mapping[str, Any]) -> None:
    """ApiError 400 or 403 unless `key_generation_settings` and the function of `custom_key_generate` let it pass."""
    is_team_key = bool(body.get("team_id"))
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


def judge_team_role(caller: Caller, key: VirtualKey) -> None:
    """ApiError 400 unless the caller's role in the key's team may make its keys."""
    roles = rules().team.roles
    if roles is None or key.team is None or caller.is_admin:
        return
    own = "admin" if caller.manages_team(key.team_id, key.organization_id) else "user"
    if own not in roles:
        raise ApiError(400, f"Team member role {own} not in allowed_team_member_roles={sorted(roles)}", param="team_id")


def fill_bounds(key: VirtualKey, *, now: datetime) -> None:
    """`upperbound_key_generate_params` where a new key sets nothing."""
    bounds = rules()
    if bounds.max_budget_nano is not None and key.effective("max_budget_nano") is None:
        key.max_budget_nano = bounds.max_budget_nano
    for column, top in bounds.numbers.items():
        if key.effective(column) is None:
            setattr(key, column, top)
    if bounds.budget_duration and not key.schedule[0]:
        key.budget_duration = bounds.budget_duration
    if bounds.duration and key.expires_at is None:
        key.expires_at = now + duration_delta(bounds.duration)


def refuse_above(key: VirtualKey, changed: frozenset[str], *, now: datetime) -> None:
    """ApiError 400 naming a changed field of the key that is above its upper bound, or lifts it."""
    bounds = rules()
    tops = {**bounds.numbers, "max_budget_nano": bounds.max_budget_nano}
    above = {
        "max_budget" if column == "max_budget_nano" else column: column in changed
        and top is not None
        and (key.effective(column) is None or key.effective(column) > top)
        for column, top in tops.items()
    }
    if "budget_duration" in changed and bounds.budget_duration:
        own = key.schedule[0]
        above["budget_duration"] = not own or _length(own) > _length(bounds.budget_duration)
    if "expires_at" in changed and bounds.duration:
        above["duration"] = key.expires_at is None or key.expires_at > now + duration_delta(bounds.duration)
    for name, is_above in above.items():
        if is_above:
            raise ApiError(400, f"{name}: is above its upper bound (upperbound_key_generate_params)", param=name)


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


def _length(duration: str) -> timedelta:
    return duration_delta(duration.removeprefix("rolling "))
