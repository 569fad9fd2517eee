"""What the admin says a model costs."""

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from spend.book import card_of
from spend.forms import shown_price
from spend.models import Price


@pytest.mark.parametrize(
    ("price", "shown"),
    [
        ({"input": "0.00000015", "output": "0.0000006"}, "$0.15 / $0.60"),
        ({"extras": {"picture": "0.04"}}, "$0.04 per picture"),
        (
            {"input": "0.000005", "extras": {"picture": "0.04", "request": "0.01"}},
            "$5.00 / $0.00, $0.04 per picture, $0.01 per request",
        ),
    ],
)
def test_a_price_is_told_by_what_is_paid_for(price: dict[str, Any], shown: str) -> None:
    amounts = {name: Decimal(price.get(name, 0)) for name in ("input", "output")}
    row = Price(item="test/model", valid_from=timezone.now(), **price | amounts)
    assert shown_price(card_of(row).base) == shown
