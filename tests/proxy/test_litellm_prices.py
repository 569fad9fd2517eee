"""Prices in LiteLLM's names: read exactly, shown again, and refused where the book cannot express them."""

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from proxy.litellm_prices import is_price, read_price, show_prices, stated_prices
from spend import book
from spend.models import Price
from spend.pricing import Bound, PriceCard, Usage, charge_for, worst_case
from tests.factories import NOON

BASE = {"input_cost_per_token": 2.5e-06, "output_cost_per_token": "0.00001"}
FULL = BASE | {
    "cache_read_input_token_cost": 2.5e-07,
    "cache_creation_input_token_cost": 3.125e-06,
    "cache_creation_input_token_cost_above_1hr": 5e-06,
    "output_cost_per_reasoning_token": 1.2e-05,
    "input_cost_per_audio_token": 4e-05,
    "output_cost_per_audio_token": 8e-05,
    "input_cost_per_image_token": 5e-06,
    "input_cost_per_image": 0.001,
    "input_cost_per_request": 0.002,
    "code_interpreter_cost_per_session": 0.03,
    "file_search_cost_per_1k_calls": 2.5,
    "search_context_cost_per_query": {"search_context_size_low": 0.03, "search_context_size_high": 0.05},
    "input_cost_per_token_above_200k_tokens": 5e-06,
    "output_cost_per_token_above_200k_tokens": 1.5e-05,
    "input_cost_per_token_priority": 5e-06,
    "output_cost_per_token_priority": 2e-05,
    "input_cost_per_token_above_200k_tokens_priority": 1e-05,
    "input_cost_per_token_flex": 1.25e-06,
    "output_cost_per_token_batches": 5e-06,
}


def read(values: dict[str, Any], *, has_output: bool = True) -> Price:
    price = read_price(values, has_output=has_output)
    assert price is not None
    price.item, price.valid_from = "house", NOON
    price.clean_fields()
    return price


def card(values: dict[str, Any]) -> PriceCard:
    return book.card_of(read(values))


def test_every_class_is_read_from_its_field() -> None:
    rates = card(FULL).base
    assert (rates.input, rates.output, rates.cached, rates.cache_write) == (2_500_000, 10_000_000, 250_000, 3_125_000)
    assert (rates.cache_write_1h, rates.reasoning) == (5_000_000, 12_000_000)
    assert (rates.audio_input, rates.audio_output, rates.image_input) == (40_000_000, 80_000_000, 5_000_000)
    assert (rates.image, rates.request, rates.code_session) == (10**9, 2 * 10**9, 30 * 10**9)
    assert (rates.file_search, rates.web_search) == (2_500_000_000, 50 * 10**9)


def test_long_inputs_and_service_tiers_are_read_from_suffixes() -> None:
    priced = card(FULL)
    assert charge_for(Usage(input=200_001), priced).nano == 200_001 * 5_000 + 2_000_000
    assert charge_for(Usage(input=1000, service="priority"), priced).nano == 5_000_000 + 2_000_000
    assert charge_for(Usage(input=200_001, service="priority"), priced).nano == 200_001 * 10_000 + 2_000_000
    assert charge_for(Usage(input=1000, service="flex"), priced).nano == 1_250_000 + 2_000_000
    assert priced.services["batch"].base.output == 5_000_000
    assert worst_case(Bound(1000, 0), priced) == 5_000_000 + 2_000_000


def test_what_is_shown_is_read_as_the_same_price() -> None:
    first = card(FULL)
    assert book.same_prices(card(show_prices(first)), first)
    assert stated_prices(card(BASE)) == {name: Decimal(str(usd)) for name, usd in BASE.items()}
    assert book.same_prices(card(stated_prices(first)), first)


def test_common_fields_are_always_shown() -> None:
    shown = show_prices(card(BASE))
    assert shown == {
        "input_cost_per_token": Decimal("0.0000025"),
        "output_cost_per_token": Decimal("0.00001"),
        "cache_read_input_token_cost": Decimal("0.0000025"),
        "cache_creation_input_token_cost": Decimal("0.0000025"),
    }
    assert set(show_prices(None).values()) == {None}


def test_a_price_for_one_side_is_enough_only_where_there_is_no_output() -> None:
    assert read({"input_cost_per_token": 1e-7}, has_output=False).output == 0
    with pytest.raises(ValidationError, match="give both prices") as refusal:
        read({"input_cost_per_token": 1e-7})
    assert list(refusal.value.message_dict) == ["output_cost_per_token"]
    assert read_price({"mode": "chat"}, has_output=True) is None
    with pytest.raises(ValidationError, match="give both prices") as refusal:
        read({"input_cost_per_token": None, "output_cost_per_token": 1e-7})
    assert list(refusal.value.message_dict) == ["input_cost_per_token"]


def test_pictures_may_be_all_that_costs_something() -> None:
    price = read({"output_cost_per_image": 0.04})
    assert (price.input, price.output, price.extras) == (0, 0, {"picture": "0.04"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_cost_per_second", 0.001),
        ("output_cost_per_pixel", 0.04),
        ("input_cost_per_video_per_second", 0.1),
        ("tiered_pricing", [{"range": [0, 1000]}]),
        ("search_context_cost_per_query", 0.03),
        ("search_context_cost_per_query", {"search_context_size_huge": 1}),
        ("input_cost_per_audio_token", -1),
        ("input_cost_per_audio_token", "NaN"),
        ("input_cost_per_audio_token", 1e-13),
        ("input_cost_per_token_priority", "x"),
    ],
)
def test_prices_that_cannot_be_kept_are_refused_by_name(field: str, value: Any) -> None:
    assert is_price(field)
    with pytest.raises(ValidationError) as refusal:
        read(BASE | {field: value})
    assert list(refusal.value.message_dict) == [field]


@pytest.mark.parametrize(
    ("divided", "meant"),
    [
        (3.2999999999999997e-06, "0.0000033"),
        (5.699999999999999e-07, "0.00000057"),
        ("1.0000000000000001e-07", "0.0000001"),
        (Decimal("3.2999999999999997e-06"), "0.0000033"),
    ],
)
def test_the_noise_of_a_price_that_was_divided_in_floats_is_dropped(divided: Any, meant: str) -> None:
    assert read(BASE | {"output_cost_per_token": divided}).output == Decimal(meant)
    assert read(BASE | {"input_cost_per_token_priority": divided}).services["priority"]["rates"] == {"input": meant}


@pytest.mark.parametrize("fine", ["0.0000000000001", 3.3333333333333335e-07, "0.000003299999999999", 1.234567890123456])
def test_a_price_that_is_finer_than_the_book_is_no_noise(fine: Any) -> None:
    with pytest.raises(ValidationError, match="at most twelve decimals"):
        read(BASE | {"output_cost_per_token": fine})


def test_zero_and_repeated_units_are_no_obstacle() -> None:
    harmless = {"input_cost_per_second": 0, "input_cost_per_character": 1e-7, "input_cost_per_audio_token": None}
    assert book.same_prices(card(BASE | harmless), card(BASE))
