from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, transaction

from spend import book
from spend.models import Price
from spend.pricing import Usage, charge_for
from teams.actors import MASTER
from teams.models import AuditEvent, PolicyChange
from teams.scopes import CATALOG
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def price(**fields: object) -> Price:
    values = {"item": "house/model", "valid_from": NOON, "input": Decimal("0.000001"), "output": Decimal("0.000002")}
    return book.set_price(Price(**values | fields), actor=MASTER)


def test_seeding_twice_adds_nothing_the_second_time() -> None:
    assert book.seed_prices() > 500
    count = Price.objects.count()
    assert book.seed_prices() == 0
    assert Price.objects.count() == count


def test_a_price_set_by_hand_survives_the_seeding() -> None:
    mine = price(item="openai/gpt-4o-mini", valid_from=NOON)
    book.seed_prices()
    assert book.cards_at(NOON, ["openai/gpt-4o-mini"])["openai/gpt-4o-mini"].id == mine.pk


def test_the_seeded_book_prices_a_known_model() -> None:
    book.seed_prices()
    item, window = book.find_item("openai", "gpt-4o-mini-2024-07-18") or ("", None)
    card = book.cards_at(datetime(2025, 1, 1, tzinfo=UTC), [item])[item]
    assert (item, window) == ("openai/gpt-4o-mini", 128_000)
    assert charge_for(Usage(input=1_000_000), card).nano == 150_000_000


def test_the_newest_price_that_has_begun_is_in_force() -> None:
    first, second = price(), price(valid_from=NOON + timedelta(days=1))
    at = {delta: book.cards_at(NOON + timedelta(days=delta), ["house/model"]) for delta in (-1, 0, 2)}
    assert at[-1] == {}
    assert at[0]["house/model"].id == first.pk
    assert at[2]["house/model"].id == second.pk


def test_set_price_is_audited_and_announced() -> None:
    price()
    assert AuditEvent.objects.get(action="price.set").after["item"] == "house/model"
    assert PolicyChange.objects.get().scope == CATALOG


def test_a_negative_price_is_refused_by_service_and_database() -> None:
    with pytest.raises(ValidationError, match="never negative"):
        price(input=Decimal(-1))
    with pytest.raises(IntegrityError), transaction.atomic():
        Price.objects.create(item="a", valid_from=NOON, input=Decimal(-1), output=Decimal(0))


def test_the_database_refuses_to_rewrite_a_price() -> None:
    row = price()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Price.objects.filter(pk=row.pk).update(input=Decimal(0))
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        row.delete()


@pytest.mark.parametrize("text", ["0.000000000001", "0.123456789012", "999.999999999999"])
def test_prices_come_back_from_the_database_to_the_last_digit(text: str) -> None:
    row = price(input=Decimal(text))
    row.refresh_from_db()
    assert row.input == Decimal(text)
