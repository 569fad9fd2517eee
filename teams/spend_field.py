"""`spend` in a body: what the budget of something counts from now on. What is new has spent nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from django.core.exceptions import ValidationError

from teams.actors import Actor
from teams.api_base import ApiError, ScopeView, unwired
from teams.api_fields import money_of
from teams.models import Limits


class SpendReset(Protocol):
    def __call__(self, scope: Limits, to_nano: int, /, *, actor: Actor, now: datetime) -> int: ...


def _unwired(scope: Limits, to_nano: int, /, *, actor: Actor, now: datetime) -> int:
    return int(unwired([scope]))


def refuse_spend(body: Mapping[str, Any], what: str) -> None:
    """ApiError 400 for an amount of a new object other than nothing, which scripts send."""
    if body.get("spend") is not None and money_of(body["spend"], "spend"):
        raise ApiError(400, f"spend: a new {what} has spent nothing; leave it out, or write 0", param="spend")


class SpendView(ScopeView):
    """An endpoint that may set back what a scope has spent, for platform admins."""

    #: Sets the spend of a scope back; it is known only above this app.
    reset: SpendReset = staticmethod(_unwired)

    def set_back(self, row: Limits, body: Mapping[str, Any], now: datetime) -> None:
        """Have the budget of a saved row count what the body says. ApiError 403 unless that changes nothing."""
        if body.get("spend") is None:
            return
        wanted = money_of(body["spend"], "spend")
        if wanted == self.spent([row])[row.scope]:
            return
        if not self.caller.is_admin:
            raise ApiError(403, "spend: only proxy admins may set it", param="spend")
        try:
            self.reset(row, wanted, actor=self.caller.actor, now=now)
        except ValidationError as error:
            told = "; ".join(error.messages)
            raise ApiError(400, f"spend: {told}", param="spend") from error
