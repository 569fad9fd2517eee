"""What discounts and margins make of a listed price."""

from decimal import Decimal
from typing import Any

import pytest

from spend.markups import BadMarkup, Margin, Markups, read_discounts, read_margins, read_markups
from spend.pricing import Bound, PriceCard, Schedule, Tier, Usage, charge_for, rates_from, worst_case
from tests.factories import NOON

USED = Usage(input=1000, output=200)


def card(**prices: str) -> PriceCard:
    rates = {"input": "0.0000025", "output": "0.00001"} | prices
    base = rates_from({name: Decimal(value) for name, value in rates.items()})
    dear = rates_from({"input": Decimal("0.000005"), "output": Decimal("0.00002")})
    schedule = Schedule(base, (Tier(100_000, dear),))
    return PriceCard(7, NOON, schedule, {"priority": Schedule(dear)})


def test_a_discount_comes_off_first_and_the_margin_goes_on_what_is_left() -> None:
    rules = Markups({"openai": Decimal("0.1")}, {"openai": Margin(Decimal("0.5"), Decimal("0.001"))})
    marked = rules.card_for("openai", card())
    listed = charge_for(USED, card()).nano
    assert listed == 4_500_000
    assert charge_for(USED, marked).nano == 4_500_000 * 9 // 10 * 3 // 2 + 1_000_000
    assert marked.steps is not None
    assert [charge_for(USED, step).nano for step in marked.steps] == [4_500_000, 4_050_000]
    assert (marked.id, marked.margin) == (7, Decimal("0.5"))


def test_long_inputs_and_service_tiers_are_marked_up_too() -> None:
    marked = Markups({}, {"global": Margin(Decimal(1))}).card_for("groq", card())
    long, fast = Usage(input=200_000), Usage(input=10, service="priority")
    for used in (long, fast):
        assert charge_for(used, marked).nano == 2 * charge_for(used, card()).nano


def test_a_margin_of_its_own_takes_the_place_of_the_one_for_everybody() -> None:
    rules = Markups({}, {"global": Margin(Decimal("0.5")), "openai": Margin(per_call=Decimal("0.000000001"))})
    assert charge_for(USED, rules.card_for("openai", card())).nano == 4_500_001
    assert charge_for(USED, rules.card_for("mistral", card())).nano == 6_750_000


@pytest.mark.parametrize("discount", ["0", "0.333333", "0.05", "1"])
@pytest.mark.parametrize("share", ["0", "0.000001", "0.07", "10"])
def test_a_hold_is_never_below_the_charge(discount: str, share: str) -> None:
    rules = Markups({"openai": Decimal(discount)}, {"openai": Margin(Decimal(share), Decimal("0.000000000001"))})
    marked = rules.card_for("openai", card(input="0.000000037503", output="0.000000150001"))
    assert worst_case(Bound(1000, 200), marked) >= charge_for(USED, marked).nano


def test_free_models_and_providers_without_a_markup_keep_their_price() -> None:
    rules = Markups({"openai": Decimal("0.1")}, {})
    assert rules.card_for("groq", card()) == card()
    free = card(input="0", output="0")
    free = PriceCard(1, NOON, Schedule(free.base))
    assert rules.card_for("openai", free) == free


def test_the_file_is_read_in_both_forms_and_what_is_stored_wins() -> None:
    file = read_markups({
        "cost_discount_config": {"openai": 0.05, "groq": 0},
        "cost_margin_config": {"global": 0.1, "openai": {"percentage": 0.08, "fixed_amount": 0.0005}},
    })  # fmt: skip
    assert file.discounts == {"openai": Decimal("0.05"), "groq": 0}
    assert file.margins == {"global": Margin(Decimal("0.1")), "openai": Margin(Decimal("0.08"), Decimal("0.0005"))}
    both = file.beneath(Markups({"openai": Decimal("0.5")}, {}))
    assert (both.discounts["openai"], both.margins) == (Decimal("0.5"), file.margins)


@pytest.mark.parametrize(
    "value",
    [[], {"openai": 1.1}, {"openai": -0.1}, {"openai": True}, {"openai": "0.1"}, {"openai": float("nan")},
     {"": 0.1}, {1: 0.1}, {"openai": 0.0000001}, {"openai": None}, {"openai": 10**400}],
)  # fmt: skip
def test_a_discount_is_a_share_of_a_named_provider(value: Any) -> None:
    with pytest.raises(BadMarkup, match="cost_discount_config"):
        read_discounts(value, "cost_discount_config")


@pytest.mark.parametrize(
    "value", [{"a": 10.1}, {"a": {}}, {"a": {"percentage": 0.1, "more": 1}}, {"a": {"fixed_amount": 101}}]
)
def test_a_margin_is_a_share_or_an_amount(value: Any) -> None:
    with pytest.raises(BadMarkup, match=r"margins\.a"):
        read_margins(value, "margins")
