"""How organizations, teams and people look in answers of the management API. Money: exact USD."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q

from teams.access_groups import group_ids
from teams.budgets import INSIDE, SPELLED, SPELLINGS
from teams.callers import Caller
from teams.columns import TERMS
from teams.models import (
    Customer,
    Limits,
    Membership,
    Organization,
    OrganizationMembership,
    Project,
    SharedBudget,
    Tag,
    Team,
    Terms,
    User,
)
from teams.money import usd_from_nano
from teams.roster import Roster, roster_of
from teams.scopes import DEFAULT_ORGANIZATION
from teams.tag_limits import tags_of
from teams.windows import Window, window_at

Row = dict[str, Any]


def zone_of(limits: Limits) -> ZoneInfo:
    """The reporting time zone of a scope's organization."""
    if isinstance(limits, Organization):
        return ZoneInfo(limits.timezone)
    if isinstance(limits, Membership | Project):
        return ZoneInfo(limits.team.organization.timezone)
    organization: Organization | None = getattr(limits, "organization", None)
    return ZoneInfo(organization.timezone if organization else "UTC")


def current_window(limits: Limits, now: datetime) -> Window:
    """The window of the main budget that `now` falls in; a lifetime if the budget has no duration."""
    duration, anchor = limits.schedule
    return window_at(duration, now, zone=zone_of(limits), anchor=anchor)


def usd(nano: int | None) -> Decimal | None:
    return None if nano is None else usd_from_nano(nano)


def terms_row(terms: Terms) -> Row:
    """How much and how fast, in the contract's names, as it is set; windows without their next reset."""
    models = terms.model_limits
    return {
        "max_budget": usd(terms.max_budget_nano),
        "soft_budget": usd(terms.soft_budget_nano),
        "budget_duration": terms.budget_duration or None,
        "budget_limits": windows(terms.budget_limits),
        "model_max_budget": model_budgets(models),
        **model_rates(models),
        "rpm_limit": terms.rpm_limit,
        "tpm_limit": terms.tpm_limit,
        "max_parallel_requests": terms.max_parallel_requests,
        "created_at": terms.created_at,
        "updated_at": terms.updated_at,
    }


def windows(budget_limits: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Further windows, as they are set."""
    return [
        {"budget_duration": window["duration"], "max_budget": usd_from_nano(window["max_nano"])}
        for window in budget_limits
    ]


def model_budgets(models: Mapping[str, Mapping[str, Any]]) -> Row:
    """`model_max_budget`: the budget of each model that has one."""
    return {model: model_row(limits) for model, limits in models.items() if "max_nano" in limits}


def model_rates(models: Mapping[str, Mapping[str, Any]]) -> Row:
    """Requests and tokens per minute of each model that has such a limit."""
    return {
        f"model_{name}_limit": {model: limits[name] for model, limits in models.items() if name in limits} or None
        for name in ("rpm", "tpm")
    }


def model_row(limits: Mapping[str, Any]) -> Row:
    """One entry of `model_max_budget`, in the words it was written in."""
    rates = {f"{name}_limit": limits[name] for name in limits.get(INSIDE, ())}
    spelled = limits.get(SPELLED, ())
    name = {column: other if other in spelled else usual for column, (usual, other) in SPELLINGS.items()}
    lasts = {name["duration"]: limits["duration"]} if limits.get("duration") else {}
    return {name["max_nano"]: usd_from_nano(limits["max_nano"]), **lasts, **rates}


def limits_row(limits: Limits, spent_nano: int, now: datetime) -> Row:
    """The fields that every scope has, as it sets them itself; `litellm_budget_table` is what it shares."""
    row, zone = terms_row(limits), zone_of(limits)
    for window in row["budget_limits"]:
        window["reset_at"] = reset_at(window_at(window["budget_duration"], now, zone=zone, anchor=limits.created_at))
    extras = doubled_row(limits, row)
    return {
        "spend": usd_from_nano(spent_nano),
        **row,
        **extras,
        "budget_reset_at": reset_at(current_window(limits, now)),
        "budget_id": limits.shared_budget.public_id if limits.shared_budget else None,
        "models": limits.allowed_models,
        "metadata": {**limits.metadata, **{name: value for name, value in extras.items() if value is not None}},
        "blocked": limits.blocked,
    }


def doubled_row(limits: Limits, terms: Row) -> Row:
    """What is shown both beside `metadata` and, unless it is null, inside."""
    raised = limits.raise_nano > 0
    return {
        "model_rpm_limit": terms["model_rpm_limit"],
        "model_tpm_limit": terms["model_tpm_limit"],
        "temp_budget_increase": usd(limits.raise_nano) if raised else None,
        "temp_budget_expiry": limits.raise_until if raised else None,
    }


def organization_id(organization: Organization | None) -> str | None:
    """Whose something is; nobody's, as clients know it, if it belongs to the default organization alone."""
    return None if organization is None or organization.public_id == DEFAULT_ORGANIZATION else organization.public_id


def reset_at(window: Window) -> datetime | None:
    """The end of a window as answers tell it: in UTC, wherever its days begin."""
    return window.end and window.end.astimezone(UTC)


def usage_rows(limits: Limits, used: Mapping[tuple[str, str, str], int], now: datetime) -> Row:
    """What was spent in every further window in force, and of every model's budget."""
    zone, further = zone_of(limits), {window["duration"] for window in limits.effective("budget_limits")}
    rows: Row = {"budget_limits_usage": [], "model_max_budget_usage": {}}
    for budget in limits.budgets():
        end = reset_at(window_at(budget.duration, now, zone=zone, anchor=budget.anchor))
        spend = usd_from_nano(used[limits.scope, budget.model, budget.duration])
        limit, duration = usd(budget.limit_nano), budget.duration or None
        if budget.model:
            row = {"budget_limit": limit, "time_period": duration, "spend": spend, "reset_at": end}
            rows["model_max_budget_usage"][budget.model] = row
        elif budget.duration in further:
            row = {"budget_duration": duration, "max_budget": limit, "spend": spend, "reset_at": end}
            rows["budget_limits_usage"].append(row)
    return rows


def budget_row(budget: SharedBudget, zone: ZoneInfo, now: datetime) -> Row:
    """A shared budget; its windows end as the clocks of `zone` say. `model_max_budget` is null where there is none."""
    end = reset_at(window_at(budget.budget_duration, now, zone=zone, anchor=budget.budget_started_at))
    return {
        "budget_id": budget.public_id,
        **terms_row(budget),
        "model_max_budget": model_budgets(budget.model_limits) or None,
        "tpd_limit": None,
        "budget_reset_at": end,
        "created_by": budget.created_by,
        "updated_by": budget.updated_by,
    }


def budget_table(limits: Limits, now: datetime) -> Row:
    """The limits in force of a scope, where clients look for them: as if all of them were a shared budget.

    It has an id where it is one: whoever changes the budget of that id then changes what is shown.
    """
    shared = limits.shared_budget
    is_shared = shared is not None and all(limits.effective(name) == getattr(shared, name) for name in TERMS)
    return {
        "budget_id": shared.public_id if shared and is_shared else None,
        "max_budget": usd(limits.effective("max_budget_nano")),
        "soft_budget": usd(limits.effective("soft_budget_nano")),
        "budget_duration": limits.schedule[0] or None,
        "budget_reset_at": reset_at(current_window(limits, now)),
        "model_max_budget": model_budgets(limits.limits_by_model) or None,
        "rpm_limit": limits.effective("rpm_limit"),
        "tpm_limit": limits.effective("tpm_limit"),
        "max_parallel_requests": limits.effective("max_parallel_requests"),
    }


def organization_row(organization: Organization, spent: Mapping[str, int], now: datetime) -> Row:
    """An organization with the limits in force, whether it sets them itself or by its budget."""
    table = budget_table(organization, now)
    windows = terms_row(organization.shared_budget)["budget_limits"] if organization.shared_budget else []
    own = limits_row(organization, spent[organization.scope], now)
    models = organization.limits_by_model
    return {
        "organization_id": organization.public_id,
        "organization_alias": organization.name,
        "timezone": organization.timezone,
        **own,
        **table,
        "model_max_budget": model_budgets(models),
        "budget_limits": own["budget_limits"] or windows,
        **model_rates(models),
        "litellm_budget_table": table,
        "model_spend": {},
        "object_permission": None,
        "object_permission_id": None,
        "created_by": organization.created_by,
        "updated_by": organization.updated_by,
    }


def place_row(place: OrganizationMembership, spent: Mapping[str, int], now: datetime) -> Row:
    """One person in one organization, with what it spends there by all its keys."""
    user, own = place.user, limits_row(place, spent[place.scope], now)
    return {
        "user_id": user.public_id,
        "user_email": user.email or None,
        "organization_id": place.organization.public_id,
        "user_role": place.role,
        "spend": own["spend"],
        "budget_id": own["budget_id"],
        "max_budget_in_organization": own["max_budget"],
        "allowed_models": own["models"],
        "blocked": own["blocked"],
        "litellm_budget_table": budget_table(place, now),
        "created_at": place.created_at,
        "updated_at": place.updated_at,
        "user": {
            "user_id": user.public_id,
            "user_email": user.email or None,
            "user_alias": user.alias or None,
            "user_role": user.role,
        },
    }


def customer_row(customer: Customer, spent: Mapping[str, int], now: datetime) -> Row:
    return {
        "user_id": customer.public_id,
        "alias": customer.alias or None,
        "organization_id": organization_id(customer.organization),
        **limits_row(customer, spent[customer.scope], now),
        "litellm_budget_table": budget_table(customer, now),
        "allowed_model_region": customer.allowed_region or None,
        "default_model": customer.default_model or None,
        "object_permission": None,
    }


def tag_row(tag: Tag, spent: Mapping[str, int], now: datetime, deployments: Mapping[str, str]) -> Row:
    """`deployments` are those that the tag is for, and the model that each serves."""
    return {
        "name": tag.name,
        "description": tag.description or None,
        "organization_id": organization_id(tag.organization),
        **limits_row(tag, spent[tag.scope], now),
        "allowed_models": tag.allowed_models,
        "models": list(deployments),
        "model_info": dict(deployments),
        "litellm_budget_table": budget_table(tag, now),
    }


_OWN_OF_PROJECTS = ("tags", "model_rpm_limit", "model_tpm_limit")


def project_row(project: Project, spent: Mapping[str, int], now: datetime) -> Row:
    """Fields that have a place of their own are not in `metadata` as well, unlike those of teams and keys."""
    limits = limits_row(project, spent[project.scope], now) | {"tags": tags_of(project)}
    doubles = {name for name in _OWN_OF_PROJECTS if limits["metadata"].get(name) == limits[name]}
    return {
        "project_id": project.public_id,
        "project_alias": project.name or None,
        "description": project.description or None,
        "team_id": project.team.public_id,
        **limits,
        "metadata": {name: value for name, value in limits["metadata"].items() if name not in doubles},
        "litellm_budget_table": budget_table(project, now),
        "model_spend": {},
        "object_permission": None,
        "created_by": project.created_by or None,
        "updated_by": project.updated_by,
    }


def team_row(team: Team, spent: Mapping[str, int], now: datetime, roster: Roster | None = None) -> Row:
    """`roster` is that of all teams of a list, read at once."""
    members = (roster_of([team]) if roster is None else roster).get(team.pk, ())
    limits, budget = limits_row(team, spent[team.scope], now), team.member_budget
    shared = budget_row(budget, zone_of(team), now) if budget else {}
    noted = {"team_member_budget_id": shared["budget_id"]} if shared else {}
    return {
        "team_id": team.public_id,
        "team_alias": team.name or None,
        "organization_id": organization_id(team.organization),
        **limits,
        "metadata": {**limits["metadata"], **noted},
        "tags": tags_of(team),
        "model_aliases": team.model_aliases,
        "litellm_model_table": {"model_aliases": team.model_aliases} if team.model_aliases else None,
        "members_with_roles": [
            {"role": role, "user_id": user_id, "user_email": email or None} for role, user_id, email in members
        ],
        "admins": [user_id for role, user_id, _ in members if role == Membership.Role.ADMIN],
        # Clients read members_with_roles; this older list is empty in the contract, too.
        "members": [],
        "team_member_permissions": team.member_permissions,
        "team_member_budget": shared.get("max_budget"),
        "team_member_budget_duration": shared.get("budget_duration"),
        "team_member_rpm_limit": shared.get("rpm_limit"),
        "team_member_tpm_limit": shared.get("tpm_limit"),
        "team_member_budget_table": shared or None,
        "team_member_key_duration": team.member_key_duration or None,
        "default_team_member_models": team.member_models,
        "access_group_ids": group_ids(team),
        "deleted_at": team.deleted_at,
        **_NO_TEAM_MEANING,
    }


#: Fields of LiteLLM's rows that have no meaning here.
_NO_TEAM_MEANING: Row = {
    "tpd_limit": None, "object_permission": None, "object_permission_id": None, "model_id": None, "model_spend": {},
    "router_settings": None, "policies": [], "allow_team_guardrail_config": False,
}  # fmt: skip


def membership_row(member: Membership, spent: Mapping[str, int], now: datetime, ever: Mapping[str, int]) -> Row:
    """One person in one team; `ever` tells what it spent in all its windows."""
    own = limits_row(member, spent[member.scope], now)
    return {
        "user_id": member.user.public_id,
        "team_id": member.team.public_id,
        "role": member.role,
        "budget_id": own["budget_id"],
        "spend": own["spend"],
        "total_spend": usd_from_nano(ever[member.scope]),
        "allowed_models": own["models"],
        "litellm_budget_table": budget_table(member, now),
    }


def team_ids_of(users: Iterable[User], caller: Caller) -> dict[int, list[str]]:
    """Ids of the teams of each person, in one query: all of the caller's own, of others those it may look at."""
    found: dict[int, list[str]] = {user.pk: [] for user in users}
    rows = Membership.objects.filter(user__in=found).order_by("team_id")
    if not caller.reads_all:
        rows = rows.filter(Q(user=caller.user_pk) | Q(team__in=Team.objects.visible_to(caller)))
    for user_pk, public_id in rows.values_list("user_id", "team__public_id"):
        found[user_pk].append(public_id)
    return found


def user_row(
    user: User, team_ids: Iterable[str], spent: Mapping[str, int], now: datetime, places: Iterable[Row] = ()
) -> Row:
    """`places` are the rows of the person's memberships of organizations."""
    return {
        "user_id": user.public_id,
        "user_email": user.email or None,
        "user_alias": user.alias or None,
        "user_role": user.role,
        "organization_id": organization_id(user.organization),
        "teams": list(team_ids),
        "team_id": None,
        **limits_row(user, spent[user.scope], now),
        "sso_user_id": user.sso_id or None,
        "allowed_cache_controls": [],
        "model_spend": {},
        "policies": [],
        "object_permission": None,
        "object_permission_id": None,
        "organization_memberships": list(places),
    }
