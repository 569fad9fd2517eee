"""Which fields somebody may change who may change the rest of an object. Pure of views; raises ApiError 403."""

from collections.abc import Callable
from typing import Any

from teams.api_types import ApiError
from teams.models import Limits, Team, Terms
from teams.tag_limits import limited_tags, tags_of

#: Columns of which a lower value, or one where there was none, is less than before.
_AMOUNTS = {
    "max_budget_nano": "max_budget", "rpm_limit": "rpm_limit", "tpm_limit": "tpm_limit",
    "max_parallel_requests": "max_parallel_requests",
}  # fmt: skip
#: Columns that are not compared by size: any other value needs who is above.
_FIXED = {
    "budget_duration": "budget_duration", "budget_limits": "budget_limits", "model_limits": "model_max_budget",
    "shared_budget_id": "budget_id", "raise_nano": "temp_budget_increase", "raise_until": "temp_budget_expiry",
    "blocked": "blocked", "organization_id": "organization_id",
}  # fmt: skip


def never_raised(before: Terms, after: Terms) -> None:
    """Whoever a limit holds may lower it, not raise it, be it the scope's own or of its shared budget: ApiError 403."""
    for column, name in _AMOUNTS.items():
        old, new = before.effective(column), after.effective(column)
        if old is not None and (new is None or new > old):
            raise _refused(name)
    for column, name in _FIXED.items():
        if getattr(before, column, None) != getattr(after, column, None):
            raise _refused(name)
    if isinstance(before, Team) and isinstance(after, Team):
        gone = [tag for tag in tags_of(before) if tag not in tags_of(after)]
        if limited_tags(before.organization_id, gone):
            raise _refused("tags")


def never_widened(before: Limits, after: Limits) -> None:
    """As above, and what is open stays as narrow as it is: models, and the time zone in which windows end."""
    never_raised(before, after)
    if before.allowed_models and not (after.allowed_models and set(after.allowed_models) <= set(before.allowed_models)):
        raise _refused("models")
    if getattr(before, "timezone", "") != getattr(after, "timezone", ""):
        raise _refused("timezone")


def unless_above(above: bool) -> Callable[[Any, Any], None] | None:
    """The check of a change by somebody who is above the object (none), or whom it holds."""
    return None if above else never_raised


def _refused(name: str) -> ApiError:
    return ApiError(
        403, f"{name}: only an admin of the organization or the platform may raise or change it", param=name
    )
