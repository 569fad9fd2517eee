"""Defaults of the configuration file for people, teams and customers: a part of `litellm_settings`. Pure."""

from collections.abc import Mapping
from typing import Any

from teams.windows import BadDuration, parse_budget_duration

NAMES = frozenset(
    {
        "disable_auto_add_proxy_admin_to_teams", "default_internal_user_params", "max_internal_user_budget",
        "internal_user_budget_duration", "max_end_user_budget", "max_end_user_budget_id",
    }
)  # fmt: skip
GENERAL_NAMES = frozenset({"validate_end_user_id_in_db", "team_metadata_schema"})
_ROLES = ("internal_user", "internal_user_viewer", "proxy_admin_viewer")


class BadDefault(ValueError):
    """A setting cannot be used; the message names it and the remedy."""


def check_defaults(litellm: Mapping[str, Any], general: Mapping[str, Any]) -> None:
    """Raises BadDefault: a wrong default would otherwise show only when the first person is made."""
    for name in ("max_internal_user_budget", "max_end_user_budget"):
        _amount(name, litellm.get(name))
    _duration("internal_user_budget_duration", litellm.get("internal_user_budget_duration"))
    for name in ("disable_auto_add_proxy_admin_to_teams",):
        _flag(f"litellm_settings.{name}", litellm.get(name))
    _flag("general_settings.validate_end_user_id_in_db", general.get("validate_end_user_id_in_db"))
    budget = litellm.get("max_end_user_budget_id")
    if budget is not None and not isinstance(budget, str):
        raise BadDefault("litellm_settings.max_end_user_budget_id: write the id of a shared budget")
    _params(litellm.get("default_internal_user_params"))
    _schema(general.get("team_metadata_schema"))


def _params(params: Any) -> None:
    place = "default_internal_user_params"
    if params is None:
        return
    if not isinstance(params, dict):
        raise BadDefault(f"litellm_settings.{place}: write settings of people, e.g. max_budget")
    _amount(f"{place}.max_budget", params.get("max_budget"))
    _duration(f"{place}.budget_duration", params.get("budget_duration"))
    if params.get("user_role") not in (None, *_ROLES):
        raise BadDefault(f"litellm_settings.{place}.user_role: write one of {', '.join(_ROLES)}")
    for name in ("models", "available_teams"):
        names = params.get(name) or []
        if not isinstance(names, list) or not all(isinstance(one, str) and one for one in names):
            raise BadDefault(f"litellm_settings.{place}.{name}: write a list of names")


def _schema(value: Any) -> None:
    """What a team's metadata should have: a list of {key, label}."""
    fields = [] if value is None else value
    if not isinstance(fields, list) or not all(_is_field(one) for one in fields):
        example = "[{key: cost_centre, label: Cost centre}]"
        raise BadDefault(f"general_settings.team_metadata_schema: write a list such as {example}")


def _is_field(value: Any) -> bool:
    if not isinstance(value, dict) or not value.keys() <= {"key", "label"}:
        return False
    return bool(value.get("key")) and all(isinstance(text, str) for text in value.values())


def _amount(name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 9e6):
        raise BadDefault(f"litellm_settings.{name}: write an amount in USD between 0 and 9,000,000")


def _duration(name: str, value: Any) -> None:
    if value is None:
        return
    try:
        parse_budget_duration(value if isinstance(value, str) else "")
    except BadDuration as error:
        raise BadDefault(f"litellm_settings.{name}: {error}") from error


def _flag(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, bool):
        raise BadDefault(f"{name}: write true or false")
