from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend.pricing import (
    Bound,
    PriceCard,
    Rates,
    Schedule,
    Tier,
    Usage,
    charge_for,
    most_affordable,
    nano_from_usd,
    pico_from_usd,
    rates_from,
    usd_from_nano,
    usd_from_pico,
    worst_case,
    worst_case_of,
)
from tests.spend.strategies import START, bounds, cards, used_within


def rates(**usd: str) -> Rates:
    return rates_from({"input": Decimal(0), "output": Decimal(0)} | {name: Decimal(text) for name, text in usd.items()})


def card(tiers: tuple[Tier, ...] = (), services: dict[str, Schedule] | None = None, **usd: str) -> PriceCard:
    return PriceCard(1, START, Schedule(rates(**usd), tiers), services or {})


def reference(used: Usage, at: Rates) -> Fraction:
    """The cost in nano-USD, token by token class by class, from the classes that have no parts."""
    image_plain, audio_plain = used.image_input - used.image_cached, used.audio_input - used.audio_cached
    text_cached = used.cached - used.image_cached - used.audio_cached
    counts = {
        "input": used.input - used.cached - image_plain - audio_plain - used.cache_write,
        "cached": text_cached,
        "cache_write": used.cache_write - used.cache_write_1h,
        "cache_write_1h": used.cache_write_1h,
        "audio_input": audio_plain,
        "audio_cached": used.audio_cached,
        "image_input": image_plain,
        "image_cached": used.image_cached,
        "output": used.output - used.reasoning - used.audio_output - used.image_output,
        "reasoning": used.reasoning,
        "audio_output": used.audio_output,
        "image_output": used.image_output,
        "request": 1,
        "image": used.images,
        "picture": used.pictures,
        "web_search": used.web_searches,
        "code_session": used.code_sessions,
        "file_search": used.file_searches,
    }
    assert min(counts.values()) >= 0
    return sum((count * Fraction(getattr(at, name), 1000) for name, count in counts.items()), Fraction(0))


@given(data=st.data(), bound=bounds, card=cards)
def test_a_charge_is_the_exact_cost_rounded_half_even(data: st.DataObject, bound: Bound, card: PriceCard) -> None:
    used = data.draw(used_within(bound))
    exact = reference(used, card.rates_for(used))
    charge = charge_for(used, card)
    assert charge.nano == round(exact)
    assert charge.nano * 1000 + charge.residue_pico == exact * 1000


@given(data=st.data(), bound=bounds, card=cards)
def test_no_usage_within_a_bound_costs_more_than_its_worst_case(
    data: st.DataObject, bound: Bound, card: PriceCard
) -> None:
    used = data.draw(used_within(bound))
    assert charge_for(used, card).nano <= worst_case(bound, card)


@given(bound=bounds, card=cards, output=st.integers(0, 10**6))
def test_the_worst_case_of_another_output_is_that_of_the_changed_bound(
    bound: Bound, card: PriceCard, output: int
) -> None:
    assert worst_case_of(bound, card, output) == worst_case(replace(bound, output=output), card)


@given(bound=bounds, card=cards, headroom=st.integers(0, 10**12))
def test_the_affordable_output_fits_and_one_token_more_does_not(bound: Bound, card: PriceCard, headroom: int) -> None:
    cap = most_affordable(bound, headroom, card)
    if cap is None:
        assert worst_case(replace(bound, output=10**9), card) == worst_case(replace(bound, output=0), card)
    elif cap < 0:
        assert worst_case(replace(bound, output=0), card) > headroom
    else:
        assert worst_case(replace(bound, output=cap), card) <= headroom
        assert worst_case(replace(bound, output=cap + 1), card) > headroom


@pytest.mark.parametrize(("tokens", "nano"), [(1, 0), (3, 2), (5, 2), (7, 4)])
def test_halves_go_to_the_even_neighbour(tokens: int, nano: int) -> None:
    assert charge_for(Usage(input=tokens), card(input="0.0000000005")).nano == nano


def test_each_class_of_input_has_its_own_price() -> None:
    priced = card(input="0.000003", output="0.000015", cached="0.0000003", cache_write="0.00000375")
    used = Usage(input=1000, output=100, cached=600, cache_write=300)
    assert charge_for(used, priced).nano == 3_105_000


def test_audio_and_cached_audio_are_taken_out_of_text() -> None:
    priced = card(
        input="0.000004", output="0.000016", cached="0.0000004", audio_input="0.000032", audio_output="0.000064"
    )
    used = Usage(input=1000, output=100, cached=300, audio_input=500, audio_cached=0, audio_output=80)
    assert charge_for(used, priced).nano == 200 * 4000 + 300 * 400 + 500 * 32000 + 20 * 16000 + 80 * 64000


def test_a_tier_prices_the_whole_call_once_it_is_passed() -> None:
    tiered = card(input="0.000001", output="0.000001", tiers=(Tier(1000, rates(input="0.000002", output="0.000002")),))
    assert charge_for(Usage(input=1000), tiered).nano == 1_000_000
    assert charge_for(Usage(input=1001), tiered).nano == 2_002_000


def test_a_service_tier_is_charged_when_the_answer_names_one_with_a_price() -> None:
    priced = card(input="0.000001", services={"priority": Schedule(rates(input="0.000002"))})
    amounts = {name: charge_for(Usage(input=1000, service=name), priced).nano for name in ("", "priority", "scale")}
    assert amounts == {"": 1_000_000, "priority": 2_000_000, "scale": 1_000_000}


def test_what_may_be_served_as_priority_is_held_at_its_price() -> None:
    priced = card(input="0.000001", services={"priority": Schedule(rates(input="0.000002"))})
    held = {name: worst_case(Bound(1000, 0, service=name), priced) for name in ("", "auto", "default", "priority")}
    assert held == {"": 2_000_000, "auto": 2_000_000, "default": 1_000_000, "priority": 2_000_000}


def test_text_is_not_held_at_the_price_of_audio() -> None:
    spoken = card(input="0.000001", output="0.000001", audio_input="0.00001", audio_output="0.00001")
    assert worst_case(Bound(1000, 1000), spoken) == 2_000_000
    assert worst_case(Bound(1000, 1000, audio_input=10, speaks=True), spoken) == 990_000 + 100_000 + 10_000_000


def test_fees_are_charged_per_call_and_per_piece() -> None:
    priced = card(request="0.005", web_search="0.01", image="0.001")
    assert charge_for(Usage(web_searches=3, images=2), priced).nano == 5_000_000 + 30_000_000 + 2_000_000


def test_a_hold_is_rounded_up() -> None:
    assert worst_case(Bound(1, 0), card(input="0.000000000001")) == 1


def test_only_a_card_without_any_price_is_free() -> None:
    assert card().is_free
    assert not card(cached="0.000001").is_free
    assert not card(web_search="0.01").is_free
    assert not card(tiers=(Tier(10, rates(input="1")),)).is_free
    assert not card(services={"priority": Schedule(rates(input="1"))}).is_free


@given(st.integers(-(10**18), 10**18))
def test_usd_and_nano_are_the_same_amount(nano: int) -> None:
    assert nano_from_usd(usd_from_nano(nano)) == nano


@given(st.integers(0, 999 * 10**12))
def test_usd_and_pico_are_the_same_price(pico: int) -> None:
    assert pico_from_usd(usd_from_pico(pico)) == pico


@pytest.mark.parametrize("usd", ["0.0000000001", "NaN", "Infinity"])
def test_what_is_no_amount_of_money_is_refused(usd: str) -> None:
    with pytest.raises(ValueError, match="nine decimals"):
        nano_from_usd(Decimal(usd))


@pytest.mark.parametrize("usd", ["0.0000000000001", "NaN", "Infinity"])
def test_what_is_no_price_is_refused(usd: str) -> None:
    with pytest.raises(ValueError, match="twelve decimals"):
        pico_from_usd(Decimal(usd))


def test_a_class_without_a_price_costs_what_its_like_does() -> None:
    plain = rates(input="2", output="3", cache_write="4")
    assert (plain.cached, plain.audio_input, plain.image_input) == (plain.input,) * 3
    assert (plain.reasoning, plain.audio_output) == (plain.output, plain.output)
    assert plain.cache_write_1h == plain.cache_write
    assert plain.web_search == 0
    assert plain.stated == {"input", "output", "cache_write"}
    assert rates(input="2", cached="0").cached == 0
