"""Fair shares: nobody takes everything, and nobody is refused while there is room for a useful answer."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.runtime.clamp import PEERS, USEFUL_OUTPUT, clamped, fair_share, least_amount
from proxy.runtime.estimate import Estimate
from spend.pricing import PriceCard, Usage, charge_for, worst_case
from tests.proxy.calls import priced
from tests.spend.strategies import cards

USD = 10**9


@dataclass
class Budget:
    """A budget as the hold script keeps it: what is spent, and what is held by calls under way."""

    limit: int
    spent: int = 0
    held: dict[int, int] = field(default_factory=dict)

    @property
    def headroom(self) -> int:
        return self.limit - self.spent - sum(self.held.values())

    def hold(self, caller: int, bound: Estimate, card: PriceCard) -> Estimate | None:
        """The gate's two steps: as asked if that is a fair share, else lowered to one; None is a refusal."""
        if worst_case(bound, card) > fair_share(self.headroom, least_amount(bound, card, 1)):
            lowered = clamped(bound, card, 1, self.headroom)
            if lowered is None:
                return None
            bound = lowered
        self.held[caller] = worst_case(bound, card)
        assert self.headroom >= 0
        return bound

    def settle(self, caller: int, used: Usage, card: PriceCard) -> None:
        amount = charge_for(used, card).nano
        assert amount <= self.held.pop(caller)
        self.spent += amount


def agents(budget: Budget, number: int, bound: Estimate, card: PriceCard) -> list[int]:
    """Caps of the agents that get in when all come at once, none setting a cap; 0 for one that is refused."""
    found = [budget.hold(agent, bound, card) for agent in range(number)]
    return [0 if held is None else held.output for held in found]


@pytest.mark.parametrize(
    ("tokens", "price", "output"),
    [
        (128_000, {"input": "0.0000025", "output": "0.00001"}, 16_384),
        (200_000, {"input": "0.000003", "output": "0.000015"}, 64_000),
        (400_000, {"input": "0.0000025", "output": "0.00001"}, 16_384),
        (400_000, {"input": "0.000003", "output": "0.000015"}, 64_000),
        (100_000, {"input": "0.00001", "output": "0.00005"}, 128_000),
    ],
)
def test_twenty_agents_with_a_long_context_share_a_budget(tokens: int, price: dict[str, str], output: int) -> None:
    budget, card = Budget(25 * USD), priced(**price)
    caps = agents(budget, 20, Estimate(tokens, output, capped=False), card)
    assert sum(cap >= USEFUL_OUTPUT for cap in caps) >= 18
    for agent in list(budget.held):
        budget.settle(agent, Usage(100_000, min(800, caps[agent])), card)
    assert budget.spent <= 25 * USD and not budget.held


def test_no_agent_is_refused_while_less_than_half_is_spent() -> None:
    budget, card = Budget(25 * USD), priced(input="0.0000025", output="0.00001")
    bound = Estimate(128_000, 16_384, capped=False)
    rounds = 0
    while 0 not in (caps := agents(budget, 20, bound, card)):
        rounds += 1
        for agent in range(20):
            budget.settle(agent, Usage(100_000, min(800, caps[agent])), card)
    assert rounds > 2
    assert budget.spent >= 25 * USD / 2


def test_a_lonely_caller_with_a_small_prompt_gets_the_models_maximum() -> None:
    card = priced(input="0.0000025", output="0.00001")
    bound = Estimate(500, 16_384, capped=False)
    assert agents(Budget(25 * USD), 1, bound, card) == [16_384]
    assert agents(Budget(USD), 1, bound, card)[0] > 4_000


def test_the_last_of_a_budget_goes_to_one_call_whole() -> None:
    card = priced(input="0", output="0.00001")
    caps = agents(Budget(15_000_000), 2, Estimate(10, 16_384, capped=False), card)
    assert caps == [1_500, 0]
    assert agents(Budget(500_000), 1, Estimate(10, 16_384, capped=False), card) == [50]


def test_what_the_client_capped_is_never_lowered() -> None:
    assert clamped(Estimate(10, 500, capped=True), priced(), 1, 1_000_000) is None


def test_a_cap_holds_for_every_choice_beside_what_no_cap_reaches() -> None:
    bound = Estimate(10, 3 * 16_384 + 600, capped=False, beyond_cap=600)
    lowered = clamped(bound, priced(input="0", output="0.00001"), 3, 9_999_999)
    assert lowered is not None
    assert (lowered.output - 600) % 3 == 0
    assert lowered.output == 600 + 399


@given(
    card=cards,
    tokens=st.integers(0, 200_000),
    output=st.integers(1, 200_000),
    choices=st.integers(1, 4),
    headroom=st.integers(0, 50 * USD),
)
def test_a_share_fits_and_leaves_room_for_others(
    card: PriceCard, tokens: int, output: int, choices: int, headroom: int
) -> None:
    bound = Estimate(tokens, output * choices, capped=False)
    least = least_amount(bound, card, choices)
    lowered = clamped(bound, card, choices, headroom)
    if lowered is None:
        assert worst_case(Estimate(tokens, choices, capped=False), card) > headroom
        return
    amount = worst_case(lowered, card)
    assert lowered.output <= bound.output and lowered.output >= choices
    assert amount <= fair_share(headroom, least) or not card.base.output_most
    if headroom >= least:
        assert lowered.output >= min(bound.output, USEFUL_OUTPUT * choices)
        assert headroom - amount >= (min(PEERS, headroom // max(1, least)) - 1) * min(least, amount)
