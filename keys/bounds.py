"""What a caller may put into a key: never more than what the caller has.

The chain enforces the limits of owners at every call. Here a wider limit is refused when it is written, and a key
that is itself limited passes its limits on, so that it is never the way to a key without them.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings

from keys.models import VirtualKey
from teams.access_groups import group_ids
from teams.api_types import ApiError
from teams.budgets import MARKS
from teams.columns import BUDGETS, NUMBERS
from teams.field_rights import foreign_models, refuse_models
from teams.models import Limits, OrganizationMembership
from teams.tag_limits import limited_tags
from teams.windows import length_of

#: Columns by which the ceiling of the main budget changes.
RAISED = frozenset({"max_budget_nano", "raise_nano", "raise_until"})


def inherit_limits(key: VirtualKey, holder: Limits) -> None:
    """Fill what a key leaves open with the limits of what held its calls, or holds those of the key that makes it."""
    for column in NUMBERS:
        top = holder.effective(column)
        if top is not None and key.effective(column) is None:
            setattr(key, column, top)
            if column == "max_budget_nano" and not key.budget_duration:
                key.budget_duration = holder.schedule[0]
    key.allowed_models = key.allowed_models or list(holder.allowed_models)
    key.budget_limits = key.budget_limits or list(holder.effective("budget_limits"))
    key.model_limits = {**holder.limits_by_model, **key.model_limits}


def refuse_of_programs(minter: VirtualKey) -> None:
    """ApiError 403 for a key of nobody that has a budget: each key that it made would have the whole of it anew."""
    if minter.user_id is None and minter.budgets():
        told = "key: a key that belongs to no person and has a budget makes no others; ask an admin of the team for one"
        raise ApiError(403, told, param="key")


def inherit(key: VirtualKey, minter: VirtualKey) -> None:
    """Fill what else a new key leaves open with what holds the key that makes it."""
    if key.project is None and key.team_id == minter.team_id:
        key.project = minter.project
    key.tags = list(dict.fromkeys([*key.tags, *limited_tags(minter.organization_id, minter.tags)]))
    if required := list(dict.fromkeys([*key.enforced_params, *minter.enforced_params])):
        key.metadata = {**key.metadata, "enforced_params": required}
    key.end_user_budget = key.end_user_budget or minter.end_user_budget
    key.allowed_routes = key.allowed_routes or list(minter.allowed_routes)
    key.expires_at = key.expires_at or minter.expires_at


def refuse_beyond_minter(key: VirtualKey, minter: VirtualKey, changed: frozenset[str], *, now: datetime) -> None:
    """ApiError 400 naming a limit that is wider than the calling key's, or that lifts one which the calling key has.

    That one does not stand above the key: what a list means by whatever is above it is no narrower than the list.
    """
    checks = {
        "budget_duration": changed & {"max_budget_nano", "budget_duration"} and is_shorter(key, minter),
        "models": "allowed_models" in changed and minter.allowed_models and not key.allowed_models,
        "budget_limits": "budget_limits" in changed and not _within_windows(key, minter),
        "model_max_budget": "model_limits" in changed
        and not _within_models(key.limits_by_model, minter.limits_by_model),
        "expires": "expires_at" in changed and _outlives(key, minter),
        "temp_budget_increase": bool(changed & RAISED) and _is_raised_beyond(key, minter, now),
        "project_id": "project_id" in changed and minter.project_id not in (None, key.project_id),
        "end_user_budget_id": "end_user_budget_id" in changed
        and minter.end_user_budget_id not in (None, key.end_user_budget_id),
        "access_group_ids": "allowed_models" in changed and _opens_more(key, minter),
        "tags": "tags" in changed and _takes_off(key, minter),
        "enforced_params": "metadata" in changed and not set(minter.enforced_params) <= set(key.enforced_params),
    }
    for column, name in NUMBERS.items():
        top, wanted = minter.effective(column), key.effective(column)
        checks[name] = column in changed and top is not None and (wanted is None or wanted > top)
    for name, is_beyond in checks.items():
        if is_beyond:
            raise _beyond(name, "the key that calls")
    if "allowed_models" in changed:
        refuse_models(key.allowed_models, minter)


def refuse_beyond_own(
    key: VirtualKey, own: Sequence[Limits], stored: VirtualKey | None = None, *, now: datetime
) -> None:
    """ApiError 400 naming a limit of somebody's own place that nothing keeps whoever calls with the key to.

    Of a change of `stored` only what is wider than before is judged.
    """
    chain = [key, *owners_of(key)]
    for name in (name for top in own for name in _unkept(chain, top, now)):
        if stored is None or name in _widened(key, stored, now):
            raise ApiError(400, f"{name}: is beyond your own limits there; write a value within them", param=name)


def _widened(key: VirtualKey, stored: VirtualKey, now: datetime) -> set[str]:
    """Names of the key's own limits that are wider than they were."""
    found = {
        name
        for column, name in NUMBERS.items()
        if stored.effective(column) is not None and not _keeps(key, stored, column, now)
    }
    if _is_raised_beyond(key, stored, now):
        found.add("max_budget")
    if not _within_windows(key, stored):
        found.add("budget_limits")
    if not _within_models(key.limits_by_model, stored.limits_by_model):
        found.add("model_max_budget")
    if stored.allowed_models and (not key.allowed_models or foreign_models(key.allowed_models, stored)):
        found.add("models")
    return found


def _unkept(chain: Sequence[Limits], top: Limits, now: datetime) -> Iterator[str]:
    """Names of the limits of `top` that none of a key's chain keeps."""
    for column, name in NUMBERS.items():
        if top.effective(column) is not None and not any(_keeps(one, top, column, now) for one in chain):
            yield name
    if not any(_within_windows(one, top) for one in chain):
        yield "budget_limits"
    if not any(_within_models(one.limits_by_model, top.limits_by_model) for one in chain):
        yield "model_max_budget"
    if top.allowed_models and not any(_keeps_models(one, top) for one in chain):
        yield "models"


def own_limits(key: VirtualKey, user_pk: int) -> list[Limits]:
    """What would hold this person's own key in the place of this one, and does not hold this one."""
    mine = VirtualKey(organization_id=key.organization_id, team=key.team, project=key.project, user_id=user_pk)
    known = owners_of(key)
    return [one for one in owners_of(mine) if one not in known]


def refuse_own_budget(key: VirtualKey, stored: VirtualKey) -> None:
    """ApiError 403 unless `self_serve_budget_policy` lets an owner change the budget of an own key like this."""
    changed = [(column, name) for column, name in BUDGETS.items() if getattr(key, column) != getattr(stored, column)]
    if not changed:
        return
    policy = settings.KEY_RULES.policy
    if policy == "ceiling" and any(owner.effective("max_budget_nano") is not None for owner in owners_of(key)):
        return
    for column, name in changed:
        if policy != "lower_only" or not _lowers(column, key, stored):
            raise ApiError(
                403, f"{name}: only admins may change the budget of a key like this "
                f"(self_serve_budget_policy: {policy}); ask an admin of the team or the platform", param=name,
            )  # fmt: skip


def refuse_taking_off(key: VirtualKey, stored: VirtualKey) -> None:
    """ApiError 403 for an owner who takes off what holds the key: a tag with a limit, a field that calls must have."""
    for name, freed in {
        "tags": _takes_off(key, stored),
        "enforced_params": not set(stored.enforced_params) <= set(key.enforced_params),
    }.items():
        if freed:
            told = f"{name}: only an admin of the team or the platform may take off what limits the key"
            raise ApiError(403, told, param=name)


def owners_of(key: VirtualKey) -> list[Limits]:
    """Whose limits govern the key from above: its holder's in the organization; a team's and below, or a person's."""
    places = OrganizationMembership.objects.select_related("user", "organization", "shared_budget")
    place = places.filter(organization=key.organization_id, user=key.holder_id).first() if key.holder_id else None
    above: list[Limits] = [place] if place else []
    if key.team is None:
        is_home = key.user is not None and key.user.organization_id in (None, key.organization_id)
        return [*above, key.user] if key.user and is_home else above
    member = key.team.memberships.select_related("user", "shared_budget").filter(user=key.holder_id).first()
    return [*above, key.team, *(scope for scope in (member, key.project) if scope)]


def _takes_off(key: VirtualKey, other: VirtualKey) -> bool:
    """Whether the key lacks a tag of the other one that limits its calls."""
    return bool(limited_tags(other.organization_id, (tag for tag in other.tags if tag not in key.tags)))


def _opens_more(key: VirtualKey, minter: VirtualKey) -> bool:
    """Whether access groups let the key call what the calling key, which is limited to some models, may not."""
    return bool(minter.allowed_models and key.pk and not set(group_ids(key)) <= set(group_ids(minter)))


def _keeps(one: Limits, top: Limits, column: str, now: datetime) -> bool:
    own, most = one.effective(column), top.effective(column)
    if own is None or own > most:
        return False
    return column != "max_budget_nano" or not (is_shorter(one, top) or _is_raised_beyond(one, top, now))


def _keeps_models(one: Limits, top: Limits) -> bool:
    """A key's access groups open more than its list."""
    is_open = isinstance(one, VirtualKey) and one.pk and group_ids(one)
    return bool(one.allowed_models) and not is_open and not foreign_models(one.allowed_models, top)


def is_shorter(own: Limits, top: Limits) -> bool:
    """Whether the budget comes anew more often than the other one."""
    return top.effective("max_budget_nano") is not None and length_of(own.schedule[0]) < length_of(top.schedule[0])


def _is_raised_beyond(key: Limits, minter: Limits, now: datetime) -> bool:
    """Whether a temporary raise takes the budget further, or for longer, than the other one goes."""
    top, until = minter.effective("max_budget_nano"), key.raise_until
    if top is None or not key.raise_nano or until is None or until <= now:
        return False
    lasting = minter.raise_until is not None and until <= minter.raise_until
    return bool((key.effective("max_budget_nano") or 0) + key.raise_nano > top + (minter.raise_nano if lasting else 0))


def _outlives(key: VirtualKey, minter: VirtualKey) -> bool:
    return minter.expires_at is not None and (key.expires_at is None or key.expires_at > minter.expires_at)


def _within_windows(one: Limits, top: Limits) -> bool:
    """Whether each further window of the calling key, or of the key as it was, stays with at most its amount."""
    own = {window["duration"]: window["max_nano"] for window in one.effective("budget_limits")}
    tops = top.effective("budget_limits")
    return all(own.get(window["duration"], window["max_nano"] + 1) <= window["max_nano"] for window in tops)


def _within_models(own: Mapping[str, Mapping[str, Any]], top: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether each limit of a model stays, with at most its amount and the same duration; none is one for ever."""
    return all(_within_model(own.get(model, {}), limits) for model, limits in top.items())


def _within_model(own: Mapping[str, Any], top: Mapping[str, Any]) -> bool:
    if "max_nano" in top and own.get("duration", "") != top.get("duration", ""):
        return False
    amounts = [(own.get(name), most) for name, most in top.items() if name not in {"duration", *MARKS}]
    return all(mine is not None and mine <= most for mine, most in amounts)


def _lowers(column: str, key: VirtualKey, stored: VirtualKey) -> bool:
    """Whether a change can only make the key spend less."""
    if column == "max_budget_nano":
        before, after = stored.effective(column), key.effective(column)
        return after is not None and (before is None or after <= before)
    if column == "soft_budget_nano":
        return True
    if column == "budget_limits":
        return _within_windows(key, stored)
    if column == "model_limits":
        return _within_models(key.limits_by_model, stored.limits_by_model)
    # A duration without an amount limits nothing; with one, a first amount brings its own.
    return column == "budget_duration" and stored.effective("max_budget_nano") is None


def _beyond(name: str, whose: str) -> ApiError:
    return ApiError(400, f"{name}: is beyond what {whose} has; write a value within it", param=name)
