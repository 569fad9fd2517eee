"""Money never drifts: however many priced usages there are, what is stored adds up to the exact reference (S17)."""

import random
from decimal import Decimal, localcontext

from spend.pricing import PriceCard, Schedule, Usage, charge_for, rates_from
from tests.factories import NOON
from tests.profiles import SOAK

_USAGES = 1_000_000 if SOAK else 20_000


def test_charges_and_their_residues_add_up_to_the_exact_cost_of_any_number_of_usages() -> None:
    dice, stored_nano, residue_pico, reference = random.Random(17), 0, 0, Decimal(0)
    cards = [_card(dice) for _ in range(50)]
    with localcontext() as context:
        context.prec = 60
        for _ in range(_USAGES):
            (card, price, output), tokens = dice.choice(cards), (dice.randrange(200_000), dice.randrange(20_000))
            charge = charge_for(Usage(*tokens), card)
            stored_nano, residue_pico = stored_nano + charge.nano, residue_pico + charge.residue_pico
            reference += tokens[0] * price + tokens[1] * output
            assert abs(charge.residue_pico) <= 500
        assert Decimal(stored_nano) / 10**9 + Decimal(residue_pico) / 10**12 == reference


def _card(dice: random.Random) -> tuple[PriceCard, Decimal, Decimal]:
    """Rates down to a pico-USD per token, most of them far below a nano-USD."""
    price, output = (Decimal(dice.randrange(1, 10 ** dice.randrange(2, 8))) / 10**12 for _ in range(2))
    return PriceCard(1, NOON, Schedule(rates_from({"input": price, "output": output}))), price, output
