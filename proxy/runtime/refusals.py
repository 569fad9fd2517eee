"""Refusals of the hold, in words: which scope, until when, and who can change it. Pure.

Amounts are left out: a caller may see what a key has left (`GET /key/info`), not a team's books.
"""

from datetime import datetime, timedelta

from proxy.runtime import errors
from proxy.runtime.plan import Line, Rate

_KINDS = {"RPM": "requests", "TPM": "tokens", "SLOTS": "max_parallel_requests"}


def over_budget(line: Line, status: int, now: datetime, affordable: int | None = None) -> errors.GatewayError:
    """Budget exceeded: names the scope, the model of a budget per model, and when the window ends.

    `affordable` are the output tokens per answer that would fit, if the call did not say how many it wants.
    """
    window, wait = line.ref.window, None
    if window.slice_seconds:
        until, wait = f"It is a {window.duration} budget: room comes back as spending grows old.", window.slice_seconds
    elif window.end is None:
        until = "It is a lifetime budget and does not renew."
    else:
        until, wait = f"Its window ends at {window.end.isoformat()}.", int((window.end - now).total_seconds()) + 1
    of_model = f" for model {line.ref.model}" if line.ref.model else ""
    remedy = "Lower max_tokens" if affordable is None else f"Set max_tokens to at most {affordable}"
    message = (
        f"Budget has been exceeded! {line.policy.label} has not enough left{of_model} for this call at its worst case. "
        f"{until} {remedy}, or ask your platform admin to raise the budget."
    )
    return errors.over_budget(message, status, wait)


def rate_limited(kind: str, rate: Rate, used: int, now: datetime) -> errors.GatewayError:
    """A limit per minute or of parallel requests; `kind` as the hold script names it."""
    end = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    wait = 1 if kind == "SLOTS" else max(1, int((end - now).total_seconds()))
    until = "A slot is free when a running call ends" if kind == "SLOTS" else f"Limit resets at: {end.isoformat()}"
    of_model = f" (model {rate.name.partition('#')[2]})" if "#" in rate.name else ""
    message = (
        f"Rate limit exceeded for {rate.policy.label}{of_model}. Limit type: {_KINDS[kind]}. "
        f"Current limit: {rate.limit}, Remaining: {max(0, rate.limit - used)}. {until}"
    )
    return errors.rate_limited(message, _KINDS[kind], wait, end.isoformat())
