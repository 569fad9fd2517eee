"""What the headers of an answer tell: which deployment served it, what it cost, and what is left (contract, 1.9).

All that stays the same until the next minute is put into bytes once per chain and deployment.
"""

from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

from keys.grants import ScopePolicy
from proxy.runtime.catalog import Target, shown_address
from proxy.runtime.held import Held
from proxy.runtime.plan import NO_LIMIT, Plan, Rate
from proxy.runtime.posting import usd
from proxy.runtime.refusals import rate_scope
from proxy.runtime.upstream import Answer
from proxy.version import TOLD
from spend.pricing import PriceCard, Usage, charge_for
from spend.wire import Posting
from teams.scopes import ScopeKind, scope_kind

Headers = list[tuple[bytes, bytes]]

_VERSION = (b"x-litellm-version", TOLD.encode())
#: Of a provider's headers these do not travel on: they are about its connection to us, or keep state with it.
_KEPT_BACK = frozenset({
    "alt-svc", "connection", "content-encoding", "content-length", "content-type", "date", "keep-alive", "nel",
    "proxy-authenticate", "report-to", "set-cookie", "set-cookie2", "strict-transport-security", "trailer",
    "transfer-encoding", "upgrade", "vary", "www-authenticate",
})  # fmt: skip
#: Parts of a call's cost, each in a header of its own.
_PARTS = {
    part: f"x-litellm-response-cost-{part.replace('_', '-')}".encode()
    for part in ("input", "output", "cache_read", "cache_creation", "reasoning", "tool_usage")
}
_ALWAYS_TOLD = frozenset({"input", "output"})
_MOST_PASSED, _LONGEST_PASSED = 50, 1024


@dataclass(slots=True)
class Timing:
    """When a call began, and for how many seconds it was at a provider."""

    begun: float = field(default_factory=monotonic)
    away: float = 0.0


@dataclass(frozen=True, slots=True)
class _Prepared:
    target: Target
    above: Plan | None
    fixed: Headers
    rates: list[tuple[bytes, ...]]
    """Per rate of the plan, the headers that tell what is left of it."""
    tightest: tuple[tuple[bytes, tuple[int, ...]], ...]
    """OpenAI's kinds of limits, each with the positions of the rates of that kind."""


def of_answer(held: Held, target: Target, answer: Answer, now: datetime) -> Headers:
    """Everything that is known before the body of an answer is read."""
    prepared = _prepared(held, target)
    request_id = held.intent.request_id.encode()
    headers = [
        (b"content-type", answer.headers.get("content-type", "application/json").encode("latin-1", "replace")),
        (b"x-request-id", request_id),
        (b"x-litellm-call-id", request_id),
        *prepared.fixed,
    ]
    if held.injected_cap is not None:
        headers.append((b"x-latchkey-output-cap", b"%d" % held.injected_cap))
    if held.left:
        headers += _left(held, prepared, now)
    passed = [
        (b"llm_provider-" + name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in answer.headers.items()
        if name not in _KEPT_BACK and 0 < len(value) <= _LONGEST_PASSED
    ]
    return headers + passed[:_MOST_PASSED]


def of_cost(held: Held, target: Target, posted: Posting) -> Headers:
    """What a whole answer cost, and what its key has spent with it."""
    nano = posted.amount_nano or 0
    headers = [(b"x-litellm-response-cost", usd(nano).encode())]
    if target.price is not None and not target.is_free:
        parts = target.price.rates_for(posted.usage).parts(posted.usage)
        told = [part for part in parts if parts[part] or part in _ALWAYS_TOLD]
        headers += [(_PARTS[part], usd(parts[part], 12).encode()) for part in told]
    if target.price is not None and target.price.steps is not None:
        headers += _of_markup(target.price, posted.usage, nano)
    if held.plan.key_line is not None and held.left:
        headers.append((b"x-litellm-key-spend", usd(held.left[-1] + held.unsettled_nano + nano).encode()))
    return headers


def _of_markup(price: PriceCard, usage: Usage, nano: int) -> Headers:
    """What the call would have cost by the list, and what was taken off and added."""
    listed, paid = (charge_for(usage, card).nano for card in price.steps or ())
    values = {
        "x-litellm-response-cost-original": usd(listed),
        "x-litellm-response-cost-discount-amount": usd(listed - paid),
        "x-litellm-response-cost-margin-amount": usd(nano - paid),
        "x-litellm-response-cost-margin-percent": f"{price.margin.normalize():f}",
    }
    return [(name.encode(), value.encode()) for name, value in values.items()]


def of_time(timing: Timing) -> Headers:
    """How long the call took so far, and how much of that was ours."""
    total = monotonic() - timing.begun
    return [
        (b"x-litellm-response-duration-ms", b"%.3f" % (total * 1000)),
        (b"x-litellm-overhead-duration-ms", b"%.3f" % (max(0.0, total - timing.away) * 1000)),
    ]


def of_failure(held: Held, target: Target) -> dict[str, str]:
    """Which deployment failed, at which attempt."""
    return {
        "x-litellm-model-id": target.deployment,
        "x-litellm-model-group": target.model,
        "x-litellm-attempted-retries": str(held.intent.attempt - 1),
        "x-litellm-timeout": str(float(target.timeout_seconds)),
        "x-litellm-max-retries": str(target.max_retries),
    }


def _left(held: Held, prepared: _Prepared, now: datetime) -> Headers:
    left = [max(0, value) for value in held.left]
    headers = [(name, b"%d" % value) for names, value in zip(prepared.rates, left, strict=False) for name in names]
    reset = b"%ds" % (60 - int(now.timestamp()) % 60)
    for kind, places in prepared.tightest:
        headers.append((b"x-ratelimit-remaining-" + kind, b"%d" % min(left[place] for place in places)))
        headers.append((b"x-ratelimit-reset-" + kind, reset))
    return headers


def _prepared(held: Held, target: Target) -> _Prepared:
    known: _Prepared | None = held.moment.prepared.get(target.deployment)
    if known is None or known.target is not target or known.above is not held.above:
        known = held.moment.prepared[target.deployment] = _prepare(held, target)
    return known


def _prepare(held: Held, target: Target) -> _Prepared:
    rates, of_kind = held.rates, {}
    for kind in ("requests", "tokens"):
        of_kind[kind] = tuple(i for i, (_, k) in enumerate(rates) if k == kind)
    values: dict[str, object] = {
        "x-litellm-model-id": target.deployment,
        "x-litellm-model-name": target.upstream_model,
        "x-litellm-model-group": target.model,
        "x-litellm-model-api-base": shown_address(target.base_url),
        "x-litellm-model-region": target.region if target.region.isascii() and target.region.isprintable() else "",
        "x-litellm-timeout": float(target.timeout_seconds),
        "x-litellm-max-retries": target.max_retries,
        **_of_key(held),
        **{f"{_prefix(rate)}-limit-{kind}": rate.limit for rate, kind in rates},
        **{
            f"x-ratelimit-limit-{kind}": min(rates[place][0].limit for place in places)
            for kind, places in of_kind.items()
            if places
        },
    }
    fixed = [
        (n.encode("latin-1", "replace"), str(v).encode("latin-1", "replace")) for n, v in values.items() if v != ""
    ]
    return _Prepared(
        target=target,
        above=held.above,
        fixed=[_VERSION, *fixed],
        rates=[_names(rate, kind) for rate, kind in rates],
        tightest=tuple((kind.encode(), places) for kind, places in of_kind.items() if places),
    )


def _of_key(held: Held) -> dict[str, object]:
    """The limits of the key itself, in the words that LiteLLM has for them."""
    policy: ScopePolicy | None = next((p for p in held.plan.policies if scope_kind(p.scope) is ScopeKind.KEY), None)
    line = held.plan.key_line
    budget = held.lines[line].limit_nano if line is not None and held.lines else NO_LIMIT
    return {
        "x-litellm-key-tpm-limit": "" if policy is None or policy.tpm_limit is None else policy.tpm_limit,
        "x-litellm-key-rpm-limit": "" if policy is None or policy.rpm_limit is None else policy.rpm_limit,
        "x-litellm-key-max-budget": "" if budget >= NO_LIMIT else usd(budget),
    }


def _names(rate: Rate, kind: str) -> tuple[bytes, ...]:
    names = [f"{_prefix(rate)}-remaining-{kind}"]
    model = rate.name.partition("#")[2]
    if model and scope_kind(rate.policy.scope) is ScopeKind.KEY:
        names.append(f"x-litellm-key-remaining-{kind}-{_printable(model)}")
    return tuple(name.encode("latin-1", "replace") for name in names)


def _prefix(rate: Rate) -> str:
    return f"x-ratelimit-{rate_scope(rate)}"


def _printable(model: str) -> str:
    """A model's name as a part of a header's name, which allows few characters."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "-" for c in model)
