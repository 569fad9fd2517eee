"""Refusals of the hold, in words: which scope, until when, and who can change it. Pure.

Amounts are left out: a caller may see what a key has left (`GET /key/info`), not a team's books.
"""

from datetime import datetime, timedelta

from keys.grants import ScopePolicy
from proxy.runtime import errors
from teams.windows import Window

_KINDS = {"RPM": "requests", "TPM": "tokens", "SLOTS": "max_parallel_requests"}


def over_budget(policy: ScopePolicy, window: Window, status: int, now: datetime) -> errors.GatewayError:
    """Budget exceeded: names the scope and when its window ends."""
    if window.end is None:
        until, wait = "It is a lifetime budget and does not renew.", None
    else:
        until, wait = f"Its window ends at {window.end.isoformat()}.", int((window.end - now).total_seconds()) + 1
    message = (
        f"Budget has been exceeded! {policy.label} has not enough left for this call at its worst case. {until} "
        "Lower max_tokens, or ask your platform admin to raise the budget."
    )
    return errors.over_budget(message, status, wait)


def rate_limited(policies: tuple[ScopePolicy, ...], reply: list[str], now: datetime) -> errors.GatewayError:
    """A limit per minute or of parallel requests: `reply` is the hold script's [kind, index, used]."""
    kind, index, used = reply[0], int(reply[1]), int(reply[2])
    limited = [(policy, limit) for policy in policies if (limit := _limit(policy, kind)) is not None]
    policy, limit = limited[index]
    end = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    wait = 1 if kind == "SLOTS" else max(1, int((end - now).total_seconds()))
    until = "A slot is free when a running call ends" if kind == "SLOTS" else f"Limit resets at: {end.isoformat()}"
    message = (
        f"Rate limit exceeded for {policy.label}. Limit type: {_KINDS[kind]}. Current limit: {limit}, "
        f"Remaining: {max(0, limit - used)}. {until}"
    )
    return errors.rate_limited(message, _KINDS[kind], wait, end.isoformat())


def _limit(policy: ScopePolicy, kind: str) -> int | None:
    return {"RPM": policy.rpm_limit, "TPM": policy.tpm_limit, "SLOTS": policy.parallel_limit}[kind]
