"""What held a program's key from above becomes its own, where who made it leaves: by each limit the narrower one."""

from collections.abc import Sequence
from typing import Any

from keys.models import VirtualKey
from teams.budgets import MARKS
from teams.columns import NUMBERS
from teams.field_rights import foreign_models
from teams.models import Limits, User

#: What promises rates to a key; a limit that it only now has itself was sold to nobody.
_PROMISED = ("rpm_limit_type", "tpm_limit_type")


def leave_sponsor(key: VirtualKey, holders: Sequence[Limits], payer: User | None) -> None:
    """Have a key be held by itself to what it was held to by its sponsor's places, and to the budgets of who paid."""
    for holder in holders:
        narrow_to(key, holder)
    if payer is not None:
        _narrow_budgets(key, payer)
    if any(holder.allowed_models for holder in holders):
        # They open more than the key's own list.
        key.access_groups.clear()
    key.blocked = key.blocked or (key.sponsor is not None and key.sponsor.blocked)
    key.sponsor = None
    key.metadata = {name: value for name, value in key.metadata.items() if name not in _PROMISED}


def narrow_to(key: VirtualKey, holder: Limits) -> None:
    """Give an unsaved key at most what `holder` allowed it."""
    key.blocked = key.blocked or holder.blocked
    _narrow_budgets(key, holder)
    for column in NUMBERS.keys() - {"max_budget_nano"}:
        setattr(key, column, _least(key.effective(column), holder.effective(column)))
    key.model_limits = {
        model: _narrower(key.limits_by_model.get(model, {}), holder.limits_by_model.get(model, {}))
        for model in {**key.limits_by_model, **holder.limits_by_model}
    }
    if holder.allowed_models:
        foreign = foreign_models(key.allowed_models, holder)
        kept = [model for model in key.allowed_models if model not in foreign]
        key.allowed_models = kept or (["no-default-models"] if key.allowed_models else list(holder.allowed_models))


def _narrow_budgets(key: VirtualKey, holder: Limits) -> None:
    _narrow_budget(key, holder)
    for duration, amount in _amounts(holder).items():
        _add_window(key, duration, amount)


def _narrow_budget(key: VirtualKey, holder: Limits) -> None:
    """Of two budgets that begin anew at other times, one holds beside the other as a further window."""
    top, (duration, _) = holder.effective("max_budget_nano"), holder.schedule
    if top is None:
        return
    own, (own_duration, _) = key.effective("max_budget_nano"), key.schedule
    key.raise_nano, key.raise_until = 0, None
    if own is None or own_duration == duration:
        key.max_budget_nano, key.budget_duration = _least(own, top), duration
    elif duration:
        _add_window(key, duration, top)
    else:
        _add_window(key, own_duration, own)
        key.max_budget_nano, key.budget_duration = top, ""


def _add_window(key: VirtualKey, duration: str, amount: int) -> None:
    windows = _amounts(key)
    windows[duration] = min(windows.get(duration, amount), amount)
    key.budget_limits = [{"duration": name, "max_nano": most} for name, most in windows.items()]


def _amounts(limits: Limits) -> dict[str, int]:
    return {window["duration"]: window["max_nano"] for window in limits.effective("budget_limits")}


def _narrower(own: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """The smaller amounts of a model's limits; of two budgets that begin anew at other times the smaller one."""
    if "max_nano" in own and "max_nano" in top and own.get("duration", "") != top.get("duration", ""):
        lesser, other = sorted((own, top), key=lambda one: one["max_nano"])
        other = {name: value for name, value in other.items() if name not in {"max_nano", "duration", *MARKS}}
        own, top = lesser, other
    least = {name: min(own[name], top[name]) for name in own.keys() & top.keys() - {"duration", *MARKS}}
    return own | top | least


def _least(one: int | None, other: int | None) -> int | None:
    return min((amount for amount in (one, other) if amount is not None), default=None)
