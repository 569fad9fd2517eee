from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend.pricing import (
    PriceCard,
    Rates,
    Tier,
    Usage,
    affordable_output,
    charge_for,
    hold_for,
    nano_from_usd,
    rates_from,
    usd_from_nano,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def card(input: str, output: str, cached: str = "0", cache_write: str = "0", tiers: tuple[Tier, ...] = ()) -> PriceCard:
    return PriceCard(1, START, Rates(Decimal(input), Decimal(output), Decimal(cached), Decimal(cache_write)), tiers)


rates = st.builds(
    Rates,
    **{
        name: st.integers(0, 10**9).map(lambda pico: Decimal(pico) / 10**12)
        for name in ("input", "output", "cached", "cache_write")
    },
)
tiers = st.lists(st.builds(Tier, st.sampled_from([100, 1000, 200_000]), rates), max_size=2).map(tuple)
cards = st.builds(PriceCard, st.just(1), st.just(START), rates, tiers)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    cached, written, plain = (draw(st.integers(0, 300_000)) for _ in range(3))
    return Usage(cached + written + plain, draw(st.integers(0, 300_000)), cached, written)


def reference(usage: Usage, rates: Rates) -> Fraction:
    """The cost in nano-USD by exact fractions."""
    plain = usage.input - usage.cached - usage.cache_write
    classes = [
        (plain, rates.input), (usage.cached, rates.cached),
        (usage.cache_write, rates.cache_write), (usage.output, rates.output),
    ]  # fmt: skip
    return sum((tokens * Fraction(rate) for tokens, rate in classes), Fraction(0)) * 10**9


@given(usage=usages(), card=cards)
def test_a_charge_is_the_exact_cost_rounded_half_even(usage: Usage, card: PriceCard) -> None:
    exact = reference(usage, card.rates_for(usage.input))
    charge = charge_for(usage, card)
    assert charge.nano == round(exact)
    assert charge.nano * 1000 + charge.residue_pico == round(exact * 1000)


@pytest.mark.parametrize(("tokens", "nano"), [(1, 0), (3, 2), (5, 2), (7, 4)])
def test_halves_go_to_the_even_neighbour(tokens: int, nano: int) -> None:
    assert charge_for(Usage(input=tokens), card("0.0000000005", "0")).nano == nano


def test_each_class_of_input_has_its_own_price() -> None:
    usage = Usage(input=1000, output=100, cached=600, cache_write=300)
    assert charge_for(usage, card("0.000003", "0.000015", "0.0000003", "0.00000375")).nano == 3_105_000


def test_a_tier_prices_the_whole_call_once_it_is_passed() -> None:
    dear = Tier(1000, Rates(*[Decimal("0.000002")] * 4))
    tiered = card("0.000001", "0.000001", tiers=(dear,))
    assert charge_for(Usage(input=1000), tiered).nano == 1_000_000
    assert charge_for(Usage(input=1001), tiered).nano == 2_002_000


@given(usage=usages(), card=cards, more_input=st.integers(0, 5000), more_output=st.integers(0, 5000))
def test_a_hold_is_never_below_the_charge(usage: Usage, card: PriceCard, more_input: int, more_output: int) -> None:
    held = hold_for(usage.input + more_input, usage.output + more_output, card)
    assert held >= charge_for(usage, card).nano


def test_a_hold_is_rounded_up() -> None:
    assert hold_for(1, 0, card("0.000000000001", "0")) == 1


@given(card=cards, tokens=st.integers(0, 300_000), headroom=st.integers(0, 10**12))
def test_the_affordable_output_fits_and_one_token_more_does_not(card: PriceCard, tokens: int, headroom: int) -> None:
    cap = affordable_output(tokens, headroom, card)
    if cap is None:
        assert hold_for(tokens, 10**9, card) == hold_for(tokens, 0, card)
    elif cap < 0:
        assert hold_for(tokens, 0, card) > headroom
    else:
        assert hold_for(tokens, cap, card) <= headroom < hold_for(tokens, cap + 1, card)


def test_only_a_card_without_any_price_is_free() -> None:
    assert card("0", "0").is_free
    assert not card("0", "0", cached="0.000001").is_free
    assert not card("0", "0", tiers=(Tier(10, Rates(*[Decimal(1)] * 4)),)).is_free


@given(st.integers(-(10**18), 10**18))
def test_usd_and_nano_are_the_same_amount(nano: int) -> None:
    assert nano_from_usd(usd_from_nano(nano)) == nano


@pytest.mark.parametrize("usd", ["0.0000000001", "NaN", "Infinity"])
def test_what_is_no_amount_of_money_is_refused(usd: str) -> None:
    with pytest.raises(ValueError, match="nine decimals"):
        nano_from_usd(Decimal(usd))


def test_cached_input_costs_what_input_costs_unless_priced() -> None:
    assert rates_from({"input": Decimal(2), "output": None}) == Rates(*map(Decimal, (2, 0, 2, 2)))
    assert rates_from({"input": Decimal(2), "output": Decimal(3), "cached": Decimal(0)}).cached == 0
