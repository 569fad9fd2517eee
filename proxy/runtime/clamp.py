"""The output cap of a call whose client set none: its fair share of what is left of a budget. Pure.

A share is what would be left for each if as many calls like this one came at once as the budget could take,
but no more than `PEERS`. So the first caller never takes everything, nobody is refused while there is room
for a useful answer, and a lonely caller with a small prompt still gets a long one.
"""

from dataclasses import replace

from keys.grants import Grant
from proxy.runtime.call import Call
from proxy.runtime.catalog import Target
from proxy.runtime.estimate import Estimate
from proxy.runtime.plan import NO_LIMIT
from spend.pricing import PriceCard, most_affordable, worst_case_of

CLAMP = "clamp"
PEERS = 20
"""Calls at once that a budget leaves room for."""
USEFUL_OUTPUT = 1024
"""Tokens per answer below which sharing makes no sense: rather a whole answer for some than none for anybody."""


def question(bound: Estimate, card: PriceCard | None, call: Call, grant: Grant) -> dict[str, int]:
    """What the hold script is told of a call whose cap may be lowered, so that it can tell a fair share from more."""
    if bound.capped or card is None or grant.output_cap_policy != CLAMP:
        return {}
    return {"least": min(least_amount(bound, card, call.choices), NO_LIMIT), "peers": PEERS}


def least_amount(bound: Estimate, card: PriceCard, choices: int) -> int:
    """Nano-USD of the call with no more output than is useful."""
    return worst_case_of(bound, card, min(bound.output, USEFUL_OUTPUT * choices + bound.beyond_cap))


def fair_share(headroom_nano: int, least_nano: int) -> int:
    """Nano-USD that a call may hold of what is left; all of it once it is not enough for two."""
    return headroom_nano // max(1, min(PEERS, headroom_nano // max(1, least_nano)))


def clamped(bound: Estimate, card: PriceCard | None, choices: int, headroom_nano: int) -> Estimate | None:
    """The bound with as much output as a fair share of the headroom affords.

    None if not one token for every choice fits, or if the client capped the output itself.
    """
    if bound.capped or card is None:
        return None
    share = fair_share(headroom_nano, least_amount(bound, card, choices))
    most = most_affordable(bound, share, card)
    if most is None:
        return bound
    cap = (min(most, bound.output) - bound.beyond_cap) // choices
    return replace(bound, output=cap * choices + bound.beyond_cap) if cap >= 1 else None


def to_inject(bound: Estimate, target: Target, choices: int) -> int | None:
    """The cap per choice that must go upstream for a budget to rely on it; None if the model bounds itself."""
    own = None if target.usual_output_tokens else target.max_output_tokens
    cap = per_choice(bound, choices)
    return None if bound.capped or (own is not None and cap >= own) else cap


def per_choice(bound: Estimate, choices: int) -> int:
    """Output tokens that each answer may have."""
    return (bound.output - bound.beyond_cap) // choices
