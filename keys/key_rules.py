"""Rules of the configuration file for keys: defaults, upper bounds, who may make which, aliases. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from teams.money import limit_from_usd
from teams.scopes import MAX_BUDGET_NANO
from teams.windows import BadDuration, parse_budget_duration, parse_duration

#: Either section may hold them.
NAMES = frozenset({
    "default_key_generate_params", "upperbound_key_generate_params", "key_generation_settings", "key_alias_pattern",
    "enable_key_alias_format_validation", "disable_custom_api_keys", "custom_key_generate", "custom_generate_key_fn",
    "self_serve_budget_policy", "apply_user_budget_to_team_keys",
})  # fmt: skip
POLICIES = ("disabled", "lower_only", "ceiling")
#: Text that an alias is, where `enable_key_alias_format_validation` is on and no pattern is given.
_ALIAS = r"[A-Za-z0-9]([A-Za-z0-9_\-/.@ ]{0,253}[A-Za-z0-9])?"
_NUMBERS = ("max_parallel_requests", "tpm_limit", "rpm_limit")
_DEFAULTS = frozenset({
    "max_budget", "user_id", "team_id", "budget_duration", "duration", "models", "metadata", "object_permission",
    "allowed_routes", *_NUMBERS,
})  # fmt: skip
_BOUNDS = frozenset({"max_budget", "budget_duration", "duration", *_NUMBERS})


class BadKeyRule(ValueError):
    """A setting cannot be used; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Makers:
    """Who may make keys of one kind, and what they must say. `roles` None lets everybody."""

    roles: frozenset[str] | None = None
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyRules:
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What a new key gets that its request leaves out, in the names of the API."""
    max_budget_nano: int | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    """Upper bounds of rates, by column."""
    budget_duration: str = ""
    duration: str = ""
    team: Makers = Makers()
    personal: Makers = Makers()
    alias: re.Pattern[str] | None = None
    custom_keys: bool = True
    hook: str = ""
    """Dotted path of a function that is asked about every new key."""
    policy: str = "lower_only"
    """How owners change the budgets of keys of theirs."""
    people_pay_for_teams: bool = False
    """Whether the calls of a person's team keys count in the person's own budgets too."""


def wrong_alias(alias: str, pattern: re.Pattern[str] | None) -> str:
    """What is wrong with the form of an alias; '' if nothing is."""
    if not alias.isprintable() or ".." in alias:
        return "must not contain control characters or '..'"
    return f"must have the form {pattern.pattern}" if pattern and not pattern.fullmatch(alias) else ""


def read_key_rules(general: Mapping[str, Any], litellm: Mapping[str, Any]) -> KeyRules:
    """Raises BadKeyRule."""
    given = {name: value for name, value in {**litellm, **general}.items() if name in NAMES and value is not None}
    bounds = _mapping(given, "upperbound_key_generate_params", _BOUNDS)
    makers = _mapping(given, "key_generation_settings", {"team_key_generation", "personal_key_generation"})
    policy = given.get("self_serve_budget_policy", "lower_only")
    if policy not in POLICIES:
        raise BadKeyRule(f"self_serve_budget_policy: write one of {', '.join(POLICIES)}")
    return KeyRules(
        defaults={
            name: Decimal(str(value)) if isinstance(value, float) else value
            for name, value in _mapping(given, "default_key_generate_params", _DEFAULTS).items()
        },
        max_budget_nano=_nano(bounds.get("max_budget")),
        numbers={name: _whole(name, bounds[name]) for name in _NUMBERS if bounds.get(name) is not None},
        budget_duration=_duration("budget_duration", bounds.get("budget_duration")),
        duration=_duration("duration", bounds.get("duration")),
        team=_makers(makers, "team_key_generation", "allowed_team_member_roles"),
        personal=_makers(makers, "personal_key_generation", "allowed_user_roles"),
        alias=_pattern(given),
        custom_keys=not _flag(given, "disable_custom_api_keys"),
        hook=str(given.get("custom_key_generate") or given.get("custom_generate_key_fn") or ""),
        policy=str(policy),
        people_pay_for_teams=_flag(given, "apply_user_budget_to_team_keys"),
    )


def _mapping(given: Mapping[str, Any], name: str, known: set[str] | frozenset[str]) -> dict[str, Any]:
    value = given.get(name) or {}
    if not isinstance(value, dict):
        raise BadKeyRule(f"{name}: write a mapping")
    unknown = sorted(str(key) for key in value.keys() - known)
    if unknown:
        raise BadKeyRule(f"{name}.{unknown[0]}: is not known here; known are {', '.join(sorted(known))}")
    return value


def _makers(makers: Mapping[str, Any], name: str, roles: str) -> Makers:
    given = _mapping(makers, name, {roles, "required_params"})
    lists = {part: given.get(part) for part in (roles, "required_params")}
    for part, value in lists.items():
        if value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise BadKeyRule(f"key_generation_settings.{name}.{part}: write a list of names")
    allowed = lists[roles]
    return Makers(None if allowed is None else frozenset(allowed), tuple(lists["required_params"] or ()))


def _pattern(given: Mapping[str, Any]) -> re.Pattern[str] | None:
    text = given.get("key_alias_pattern")
    if text is None:
        return re.compile(_ALIAS) if _flag(given, "enable_key_alias_format_validation") else None
    try:
        return re.compile(text)
    except (re.error, TypeError) as error:
        raise BadKeyRule(f"key_alias_pattern: is no regular expression ({error})") from error


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise BadKeyRule(f"{name}: write true or false")
    return value


def _nano(value: Any) -> int | None:
    if value is None:
        return None
    try:
        nano = limit_from_usd(Decimal(str(value)))
    except (ValueError, InvalidOperation) as error:
        raise BadKeyRule("upperbound_key_generate_params.max_budget: write an amount in USD") from error
    if isinstance(value, bool) or not 0 <= nano <= MAX_BUDGET_NANO:
        raise BadKeyRule("upperbound_key_generate_params.max_budget: write an amount in USD that is not negative")
    return nano


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadKeyRule(f"upperbound_key_generate_params.{name}: write a whole number that is not negative")
    return value


def _duration(name: str, value: Any) -> str:
    if value is None:
        return ""
    try:
        (parse_budget_duration if name == "budget_duration" else parse_duration)(str(value))
    except BadDuration as error:
        raise BadKeyRule(f"upperbound_key_generate_params.{name}: {error}") from error
    return str(value)
