"""Refusals of the hold, in words: which scope, until when, and who can change it. Pure.

Amounts are told only of scopes that the holder of the key may look at: a team's member may see what the team spent,
an app's key may not see an organization's books.
"""

from datetime import UTC, datetime, timedelta
from math import ceil

from proxy.runtime import errors
from proxy.runtime.plan import Line, Rate
from spend.pricing import usd_from_nano
from teams.scopes import ScopeKind, scope_kind

KINDS = {"RPM": "requests", "TPM": "tokens", "SLOTS": "max_parallel_requests"}
#: How clients of LiteLLM call the scopes of a rate limit.
RATE_SCOPES = {
    ScopeKind.PLATFORM: "proxy",
    ScopeKind.ORGANIZATION: "organization",
    ScopeKind.ORGANIZATION_MEMBER: "organization_member",
    ScopeKind.TEAM: "team",
    ScopeKind.MEMBER: "team_member",
    ScopeKind.PROJECT: "project",
    ScopeKind.USER: "user",
    ScopeKind.KEY: "api_key",
    ScopeKind.CUSTOMER: "end_user",
    ScopeKind.TAG: "tag",
    ScopeKind.POOL: "pool",
}
_MODEL_SCOPES = {ScopeKind.KEY: "model_per_key"}
_NAMES = {
    ScopeKind.PLATFORM: "Platform",
    ScopeKind.ORGANIZATION: "Organization",
    ScopeKind.ORGANIZATION_MEMBER: "OrganizationMember",
    ScopeKind.TEAM: "Team",
    ScopeKind.MEMBER: "TeamMember",
    ScopeKind.PROJECT: "Project",
    ScopeKind.USER: "User",
    ScopeKind.KEY: "Key",
    ScopeKind.CUSTOMER: "End User",
    ScopeKind.TAG: "Tag",
    ScopeKind.POOL: "Pool",
}
_SEEN = frozenset(
    {ScopeKind.KEY, ScopeKind.ORGANIZATION_MEMBER, ScopeKind.MEMBER, ScopeKind.USER, ScopeKind.PROJECT, ScopeKind.TEAM}
)
#: Who can raise a budget, beside platform admins.
_RAISED_BY = {
    ScopeKind.KEY: "an admin of its team or ",
    ScopeKind.ORGANIZATION_MEMBER: "an admin of the organization or ",
    ScopeKind.MEMBER: "an admin of the team or ",
    ScopeKind.PROJECT: "an admin of its team or ",
    ScopeKind.TEAM: "an admin of its organization or ",
}


def over_budget(
    line: Line, used: tuple[int, int], wanted: int, status: int, now: datetime, affordable: int | None = None
) -> errors.GatewayError:
    """Budget exceeded. `used`: spent and held, `wanted`: what this call may cost; nano-USD.

    `affordable` are the output tokens per answer that would fit, if the call did not say how many it wants.
    """
    kind, (until, wait) = scope_kind(line.policy.scope), _end(line, now)
    who = f"{_NAMES[kind]}={line.policy.ident}" + (f", Model={line.ref.model}" if line.ref.model else "")
    remedy = "Lower max_tokens" if affordable is None else f"Set max_tokens to at most {affordable}"
    message = (
        f"Budget has been exceeded! {_amounts(kind, who, line, used)} {line.policy.label} has not enough left for this "
        f"call, which may cost up to {_usd(wanted)} USD. {until} {remedy}, or ask {_RAISED_BY.get(kind, '')}your "
        "platform admin to raise the budget."
    )
    return errors.over_budget(message, status, wait, line.policy.scope)


def rate_limited(kind: str, rate: Rate, used: int, now: datetime, least: int = 0) -> errors.GatewayError:
    """A limit per minute or of parallel requests; `kind` as the hold script names it.

    `least` are the tokens that the call needs at any rate: above the limit itself, no waiting helps.
    """
    end = now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    wait = 1 if kind == "SLOTS" else ceil((end - now).total_seconds())
    until = (
        "A slot is free when a running call ends"
        if kind == "SLOTS"
        else f"Limit resets at: {end:%Y-%m-%d %H:%M:%S} UTC"
    )
    model = rate.name.partition("#")[2]
    who = f"{rate_scope(rate)}: {rate.policy.ident}" + (f":{model}" if model else "")
    message = (
        f"Rate limit exceeded for {who}. Limit type: {KINDS[kind]}. Current limit: {rate.limit}, "
        f"Remaining: {max(0, rate.limit - used)}. {until} ({rate.policy.label})"
    )
    again = now + timedelta(seconds=wait) if kind == "SLOTS" else end
    if kind != "TPM" or least <= rate.limit:
        return errors.rate_limited(message, KINDS[kind], wait, again.isoformat())
    message += f". This call may use {least} tokens, more than the limit allows in any minute: lower max_tokens"
    return errors.rate_limited(message, KINDS[kind], wait, again.isoformat(), again=False)


def rate_scope(rate: Rate) -> str:
    """The scope of a rate as clients of LiteLLM call it, e.g. `api_key` or `model_per_team`."""
    kind = scope_kind(rate.policy.scope)
    if "#" in rate.name:
        return _MODEL_SCOPES.get(kind, f"model_per_{RATE_SCOPES[kind]}")
    return RATE_SCOPES[kind]


def _amounts(kind: ScopeKind, who: str, line: Line, used: tuple[int, int]) -> str:
    """Both ways in which clients of LiteLLM know it."""
    spent, limit = _usd(used[0]), _usd(line.limit_nano)
    told = f"ExceededBudget: {who} over budget." if kind in (ScopeKind.USER, ScopeKind.CUSTOMER) else f"{who}"
    if kind not in _SEEN:
        return told if told.endswith(".") else f"{told}."
    held = f" ({_usd(used[1])} more is held for running calls)" if used[1] else ""
    if told.endswith("."):
        return f"{told} Spend={spent}, Budget={limit}. Current cost: {spent}, Max budget: {limit}{held}."
    return f"{told} Current cost: {spent}, Max budget: {limit}{held}. Spend={spent}, Budget={limit}."


def _end(line: Line, now: datetime) -> tuple[str, int | None]:
    """When the window ends, and in how many seconds to ask again."""
    window = line.ref.window
    if window.slice_seconds:
        return f"It is a {window.duration} budget: room comes back as spending grows old.", window.slice_seconds
    if window.end is None:
        return "It is a lifetime budget and does not renew.", None
    # "over 1d budget" is what clients look for who set several windows.
    told = f"The call would be over {window.duration} budget. Its window ends at {window.end.isoformat()}."
    return told, int((window.end - now).total_seconds()) + 1


def _usd(nano: int) -> str:
    return f"{usd_from_nano(nano):f}"
