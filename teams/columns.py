"""Columns about limits, and what clients call them. Pure: no Django, no I/O."""

_AMOUNT, _SOFT_AMOUNT = {"max_budget_nano": "max_budget"}, {"soft_budget_nano": "soft_budget"}
#: Limits that are compared by size.
NUMBERS = _AMOUNT | {
    "rpm_limit": "rpm_limit",
    "tpm_limit": "tpm_limit",
    "max_parallel_requests": "max_parallel_requests",
}
#: Whose meaning is in their shape.
_SHAPES = {
    "budget_duration": "budget_duration",
    "budget_limits": "budget_limits",
    "model_limits": "model_max_budget",
}
#: How much and how fast: for all of these a shared budget stands in.
TERMS = NUMBERS | _SOFT_AMOUNT | _SHAPES
#: What changes the terms of a scope beside its own columns.
BESIDE = {"shared_budget_id": "budget_id", "raise_nano": "temp_budget_increase", "raise_until": "temp_budget_expiry"}
#: Columns that are not compared by size: any other value is another limit.
FIXED = _SHAPES | BESIDE
#: What some limits of one person in a team, or in an organization, are called.
OF_MEMBER = {"max_budget": "max_budget_in_team", "models": "allowed_models"}
OF_PLACE = {"max_budget": "max_budget_in_organization", "models": "allowed_models"}
#: All that is about money.
BUDGETS = _AMOUNT | _SOFT_AMOUNT | _SHAPES | BESIDE
