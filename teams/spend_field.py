"""`spend` in a body: what the budget of something counts from now on, or begins with."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from django.utils import timezone

from teams.actors import Actor
from teams.api_base import ApiError, ScopeView, unwired
from teams.api_fields import money_of
from teams.models import Limits
from teams.sent_back import is_sent_back


class SpendReset(Protocol):
    def __call__(self, scope: Limits, to_nano: int, /, *, actor: Actor, now: datetime) -> int: ...


def _unwired(scope: Limits, to_nano: int, /, *, actor: Actor, now: datetime) -> int:
    return int(unwired([scope]))


class OpeningView(ScopeView):
    """An endpoint that makes something which may have spent before, elsewhere: platform admins say how much."""

    #: Has the budget of a new scope begin with an amount; it is known only above this app.
    carry_over: SpendReset = staticmethod(_unwired)

    def opening(self, body: Mapping[str, Any]) -> int:
        """Nano-USD that the body says were spent before. ApiError 403."""
        if body.get("spend") is None:
            return 0
        nano = money_of(body["spend"], "spend")
        if nano and not self.caller.is_admin:
            raise _admins_only()
        return nano

    def open_with(self, row: Limits, nano: int) -> None:
        """Call it in the transaction that makes the row."""
        if nano:
            self.carry_over(row, nano, actor=self.caller.actor, now=timezone.now())


class SpendView(ScopeView):
    """An endpoint that may set what a scope has spent, for platform admins."""

    #: Sets the spend of a scope; it is known only above this app.
    reset: SpendReset = staticmethod(_unwired)

    def set_spend(self, row: Limits, body: Mapping[str, Any], now: datetime) -> None:
        """Have the budget of a saved row count what the body says. ApiError 403 unless that changes nothing."""
        wanted = None if body.get("spend") is None else money_of(body["spend"], "spend")
        if wanted is None or is_sent_back(body, row) or wanted == self.spent([row])[row.scope]:
            return
        if not self.caller.is_admin:
            raise _admins_only()
        self.reset(row, wanted, actor=self.caller.actor, now=now)

    def without_same_spend(self, row: Limits, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body without a `spend` that counts anyway, or was read: forms send it back, whoever fills them in."""
        sent = body.get("spend")
        same = bool(sent) and (is_sent_back(body, row) or money_of(sent, "spend") == self.spent([row])[row.scope])
        return {name: value for name, value in body.items() if not (same and name == "spend")}


def _admins_only() -> ApiError:
    return ApiError(403, "spend: only proxy admins may set it", param="spend")
