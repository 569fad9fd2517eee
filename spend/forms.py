"""The admin's form for prices: typed per million tokens, kept exactly per token."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

from spend.models import Price
from teams.forms import ServiceForm
from teams.money import BadAmount, parse_decimal, plain

MILLION = Decimal(10) ** 6
_FINEST = Decimal(10) ** -12
_MOST = Decimal(999)


def per_million(rate: Decimal | None) -> str:
    """`$0.15`: USD per million tokens, in full."""
    return "–" if rate is None else f"${plain(rate * MILLION)}"


class PerMillionField(forms.CharField):
    """USD per million tokens as typed, USD per token as value; empty means no price (None)."""

    def __init__(self, *, required: bool = True, **kwargs: Any) -> None:
        widget = UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "placeholder": "e.g. 0.15"})
        super().__init__(required=required, max_length=64, widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return plain(value * MILLION).replace(",", "") if isinstance(value, Decimal) else value

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            rate = parse_decimal(text) / MILLION
        except BadAmount as error:
            raise ValidationError(str(error)) from error
        if rate > _MOST:
            raise ValidationError("that is more than 999 USD for one token")
        if rate != rate.quantize(_FINEST):
            raise ValidationError("a price per million tokens has at most six decimals")
        return rate


class PriceForm(ServiceForm):
    input = PerMillionField(label="Input, $ per 1M tokens")
    output = PerMillionField(label="Output, $ per 1M tokens")
    cached = PerMillionField(label="Cached input", required=False, help_text="Empty: like input.")
    cache_write = PerMillionField(label="Cache write", required=False, help_text="Empty: like input.")

    class Meta:
        model = Price
        fields = ("item", "valid_from", "input", "output", "cached", "cache_write")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "item" in self.fields:
            self.fields["item"].help_text = "provider/model as in the list, e.g. openai/gpt-4o-mini"
            self.fields["valid_from"].initial = timezone.now
            self.fields["valid_from"].help_text = "In force for calls admitted from this instant on."
