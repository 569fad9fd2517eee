"""What people and customers get who are made without it, as the configuration file says."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from django.conf import settings

from teams.models import Customer, SharedBudget, User
from teams.money import limit_from_usd


def complete_person(user: User, *, given: Collection[str] = ()) -> User:
    """Fill what an unsaved person was not given, each field for itself; no models may be `given`, too.

    Admins are not limited by the defaults of developers.
    """
    everybody = settings.LITELLM_SETTINGS
    params = everybody.get("default_internal_user_params") or {}
    if "role" not in given and params.get("user_role"):
        user.role = params["user_role"]
    if user.role.startswith(User.Role.PROXY_ADMIN):
        return user
    if user.max_budget_nano is None:
        user.max_budget_nano = _nano(_first(params.get("max_budget"), everybody.get("max_internal_user_budget")))
    if not user.budget_duration:
        user.budget_duration = params.get("budget_duration") or everybody.get("internal_user_budget_duration") or ""
    if "allowed_models" not in given:
        user.allowed_models = list(params.get("models") or [])
    return user


def complete_customer(customer: Customer, budget: int | None = None) -> Customer:
    """Fill what an unsaved customer was not given; a shared `budget`, by its primary key, comes before the file's."""
    defaults = settings.LITELLM_SETTINGS
    if customer.max_budget_nano is None and customer.shared_budget is None:
        named, shared = defaults.get("max_end_user_budget_id"), SharedBudget.objects.all()
        of_key = shared.filter(pk=budget).first() if budget else None
        customer.shared_budget = of_key or (shared.filter(public_id=named).first() if named else None)
        customer.max_budget_nano = None if customer.shared_budget else _nano(defaults.get("max_end_user_budget"))
    return customer


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _nano(usd: Any) -> int | None:
    """The file has floats; what somebody wrote there is what its shortest text says."""
    return None if usd is None else limit_from_usd(Decimal(str(usd)))
