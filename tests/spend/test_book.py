from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, transaction

from spend import book, packaged
from spend.models import Price
from spend.pricing import PriceCard, Usage, charge_for
from teams.actors import MASTER
from teams.models import AuditEvent, PolicyChange
from teams.scopes import CATALOG
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def price(**fields: Any) -> Price:
    values = {"item": "house/model", "valid_from": NOON, "input": Decimal("0.000001"), "output": Decimal("0.000002")}
    return book.set_price(Price(**values | fields), actor=MASTER)


def seeded(item: str, at: datetime = NOON) -> PriceCard:
    return book.cards_at(at, [item])[item]


def test_seeding_twice_adds_nothing_the_second_time() -> None:
    assert book.seed_prices(now=NOON) > 500
    count = Price.objects.count()
    assert book.seed_prices(now=NOON + timedelta(days=400)) == 0
    assert Price.objects.count() == count


def test_a_price_set_by_hand_survives_the_seeding() -> None:
    mine = price(item="openai/gpt-4o-mini", valid_from=NOON)
    book.seed_prices(now=NOON)
    for later in (0, 5000):
        assert seeded("openai/gpt-4o-mini", NOON + timedelta(days=later)).id == mine.pk


def test_what_the_list_corrected_holds_from_the_next_seeding_on() -> None:
    book.seed_prices(now=NOON)
    wrong = Price.objects.filter(item="openai/gpt-4o", valid_from__lte=NOON).latest("valid_from")
    late = packaged.from_now(wrong, NOON + timedelta(hours=1))
    late.input = Decimal("0.5")
    late.save(force_insert=True)
    assert book.seed_prices(now=NOON + timedelta(hours=2)) == 1
    assert seeded("openai/gpt-4o", NOON + timedelta(hours=1)).base.input == 5 * 10**11
    assert seeded("openai/gpt-4o", NOON + timedelta(hours=2)).base.input == 2_500_000


def test_the_seeded_book_prices_a_known_model() -> None:
    book.seed_prices(now=NOON)
    item, window = book.find_item("openai", "gpt-4o-mini-2024-07-18") or ("", None)
    assert (item, window) == ("openai/gpt-4o-mini", 128_000)
    assert charge_for(Usage(input=1_000_000), seeded(item)).nano == 150_000_000


def test_the_seeded_book_knows_audio_service_tiers_fees_and_long_inputs() -> None:
    book.seed_prices(now=NOON)
    spoken = seeded("openai/gpt-audio").base
    assert (spoken.input, spoken.audio_input, spoken.audio_output) == (2_500_000, 32_000_000, 64_000_000)
    services = seeded("openai/gpt-4o-mini", datetime(2026, 11, 1, tzinfo=UTC)).services
    assert services["priority"].base.input == 250_000
    assert services["priority"].base.web_search == 10_000_000_000
    long = seeded("openai/gpt-5.4", datetime(2026, 11, 1, tzinfo=UTC))
    assert long.standard.rates_for(272_001).input == 2 * long.base.input


def test_a_price_that_changes_during_the_day_is_the_dearest_of_the_day() -> None:
    book.seed_prices(now=NOON)
    assert seeded("deepseek/deepseek-chat").base.input == 270_000


def test_models_with_fees_the_list_does_not_know_stay_unpriced() -> None:
    book.seed_prices(now=NOON)
    assert not Price.objects.filter(item__contains="-search-preview").exists()
    assert not Price.objects.filter(item="openai/tts-1").exists()


def test_the_newest_price_that_has_begun_is_in_force() -> None:
    first, second = price(), price(valid_from=NOON + timedelta(days=1))
    at = {delta: book.cards_at(NOON + timedelta(days=delta), ["house/model"]) for delta in (-1, 0, 2)}
    assert at[-1] == {}
    assert at[0]["house/model"].id == first.pk
    assert at[2]["house/model"].id == second.pk


def test_tiers_take_from_the_base_what_they_do_not_name() -> None:
    row = price(
        cached=Decimal("0.0000005"),
        extras={"request": "0.01"},
        tiers=[{"above": 1000, "rates": {"input": "0.000003"}}],
        services={"flex": {"rates": {"output": "0.000001"}}},
    )
    card = book.card_of(Price.objects.get(pk=row.pk))
    long, flex = card.standard.rates_for(1001), card.services["flex"].base
    assert (long.input, long.output, long.cached, long.request) == (3_000_000, 2_000_000, 500_000, 10**10)
    assert (flex.input, flex.output, flex.request) == (1_000_000, 1_000_000, 10**10)


def test_set_price_is_audited_and_announced() -> None:
    price()
    assert AuditEvent.objects.get(action="price.set").after["item"] == "house/model"
    assert PolicyChange.objects.get().scope == CATALOG


def test_a_negative_price_is_refused_by_service_and_database() -> None:
    with pytest.raises(ValidationError, match="never negative"):
        price(input=Decimal(-1))
    with pytest.raises(IntegrityError), transaction.atomic():
        Price.objects.create(item="a", valid_from=NOON, input=Decimal(-1), output=Decimal(0))


@pytest.mark.parametrize(
    "fields",
    [
        {"extras": {"input": "1"}},
        {"extras": {"audio_input": 1}},
        {"extras": {"audio_input": "-1"}},
        {"extras": {"audio_input": "1e-6"}},
        {"extras": {"audio_input": "0.0000000000001"}},
        {"extras": ["1"]},
        {"tiers": [{"above": 0, "rates": {}}]},
        {"tiers": [{"above": True, "rates": {}}]},
        {"tiers": [{"above": 5, "rates": {"speech": "1"}}]},
        {"tiers": [{"above": 5, "rates": {}}, {"above": 5, "rates": {}}]},
        {"services": {"auto": {"rates": {}}}},
        {"services": {"flex": {"tiers": []}}},
        {"services": {"flex": {"rates": {}, "tiers": {}}}},
    ],
)
def test_prices_of_the_wrong_shape_are_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refusal:
        price(**fields)
    assert list(refusal.value.message_dict) == list(fields)


def test_the_database_refuses_to_rewrite_a_price() -> None:
    row = price()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Price.objects.filter(pk=row.pk).update(input=Decimal(0))
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        row.delete()


def test_empty_columns_of_the_wrong_kind_are_mended() -> None:
    row = price(extras=[], tiers={}, services=[])
    assert (row.extras, row.tiers, row.services) == ({}, [], {})


@pytest.mark.parametrize("text", ["0.000000000001", "0.123456789012", "999.999999999999"])
def test_prices_come_back_from_the_database_to_the_last_digit(text: str) -> None:
    row = price(input=Decimal(text))
    row.refresh_from_db()
    assert row.input == Decimal(text)
