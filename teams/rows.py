"""How organizations, teams and people look in answers of the management API. Money: exact USD."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from teams.models import Limits, Membership, Organization, Team, User
from teams.money import usd_from_nano
from teams.windows import Window, window_at

Row = dict[str, Any]


def zone_of(limits: Limits) -> ZoneInfo:
    """The reporting time zone of a scope's organization."""
    if isinstance(limits, Organization):
        return ZoneInfo(limits.timezone)
    if isinstance(limits, Membership):
        return ZoneInfo(limits.team.organization.timezone)
    organization: Organization | None = getattr(limits, "organization", None)
    return ZoneInfo(organization.timezone if organization else "UTC")


def current_window(limits: Limits, now: datetime) -> Window:
    """The budget window that `now` falls in; a lifetime if the budget has no duration."""
    return window_at(limits.budget_duration, now, zone=zone_of(limits), anchor=limits.budget_started_at)


def usd(nano: int | None) -> Decimal | None:
    return None if nano is None else usd_from_nano(nano)


def limits_row(limits: Limits, spent_nano: int, now: datetime) -> Row:
    """The fields that every scope has."""
    return {
        "spend": usd_from_nano(spent_nano),
        "max_budget": usd(limits.max_budget_nano),
        "soft_budget": usd(limits.soft_budget_nano),
        "budget_duration": limits.budget_duration or None,
        "budget_reset_at": current_window(limits, now).end,
        "rpm_limit": limits.rpm_limit,
        "tpm_limit": limits.tpm_limit,
        "max_parallel_requests": limits.max_parallel_requests,
        "models": limits.allowed_models,
        "metadata": limits.metadata,
        "blocked": limits.blocked,
        "created_at": limits.created_at,
        "updated_at": limits.updated_at,
    }


def team_row(team: Team, spent: Mapping[str, int], now: datetime) -> Row:
    members = list(team.memberships.select_related("user").order_by("pk"))
    return {
        "team_id": team.public_id,
        "team_alias": team.name or None,
        "organization_id": team.organization.public_id,
        **limits_row(team, spent[team.scope], now),
        "model_aliases": team.model_aliases,
        "members_with_roles": [
            {"role": member.role, "user_id": member.user.public_id, "user_email": member.user.email or None}
            for member in members
        ],
        "admins": [member.user.public_id for member in members if member.role == Membership.Role.ADMIN],
        "members": [member.user.public_id for member in members],
    }


def membership_row(member: Membership, spent: Mapping[str, int], now: datetime) -> Row:
    own = limits_row(member, spent[member.scope], now)
    return {
        "user_id": member.user.public_id,
        "team_id": member.team.public_id,
        "budget_id": None,
        "spend": own["spend"],
        "litellm_budget_table": {
            name: own[name]
            for name in (
                "max_budget", "soft_budget", "budget_duration", "budget_reset_at", "rpm_limit", "tpm_limit",
                "max_parallel_requests",
            )
        },
    }  # fmt: skip


def user_row(user: User, team_ids: Iterable[str], spent: Mapping[str, int], now: datetime) -> Row:
    return {
        "user_id": user.public_id,
        "user_email": user.email or None,
        "user_alias": user.alias or None,
        "user_role": user.role,
        "organization_id": user.organization.public_id if user.organization else None,
        "teams": list(team_ids),
        **limits_row(user, spent[user.scope], now),
    }
