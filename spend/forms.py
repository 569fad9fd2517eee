"""The admin's form for prices: typed per million tokens, kept exactly per token."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

from spend.models import Price
from spend.pricing import Rates, usd_from_pico
from spend.rate_fields import EXTRAS
from teams.forms import ServiceForm, UsdField
from teams.money import BadAmount, parse_decimal, plain

MILLION = Decimal(10) ** 6
_FINEST = Decimal(10) ** -12
_MOST = Decimal(999)
_TIERS_EXAMPLE = '[{"above": 200000, "rates": {"input": "0.000004", "output": "0.000018"}}]'
_SERVICES_EXAMPLE = '{"priority": {"rates": {"input": "0.000005", "output": "0.00003"}}}'


def per_million(rate: Decimal | None) -> str:
    """`$0.15`: USD per million tokens, in full."""
    return "–" if rate is None else f"${plain(rate * MILLION)}"


def shown_price(rates: Rates) -> str:
    """Of tokens in and out; also, or instead, of what is paid by the piece."""
    pieces = {"picture": rates.picture, "request": rates.request}
    found = [f"${plain(usd_from_pico(rate))} per {name}" for name, rate in pieces.items() if rate]
    if rates.input or rates.output or not found:
        found.insert(0, " / ".join(per_million(usd_from_pico(rate)) for rate in (rates.input, rates.output)))
    return ", ".join(found)


class PerPiecesField(forms.CharField):
    """USD per so many tokens or pieces as typed, USD for one as value; empty means no price (None)."""

    def __init__(self, pieces: int, *, required: bool = True, **kwargs: Any) -> None:
        self.pieces = Decimal(pieces)
        widget = UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "placeholder": "e.g. 0.15"})
        super().__init__(required=required, max_length=64, widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return plain(value * self.pieces).replace(",", "") if isinstance(value, Decimal) else value

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            rate = parse_decimal(text) / self.pieces
        except BadAmount as error:
            raise ValidationError(str(error)) from error
        if rate > _MOST:
            raise ValidationError("that is more than 999 USD for one")
        if rate != rate.quantize(_FINEST):
            raise ValidationError("a price has at most twelve decimals for one, so six for a million")
        return rate


class PerMillionField(PerPiecesField):
    """USD per million tokens."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(10**6, **kwargs)


def _per_piece(label: str, pieces: int, **kwargs: Any) -> PerPiecesField:
    return PerPiecesField(pieces, label=label, required=False, **kwargs)


class PriceForm(ServiceForm):
    input = PerMillionField(label="Input, $ per 1M tokens")
    output = PerMillionField(label="Output, $ per 1M tokens")
    cached = PerMillionField(label="Cached input", required=False, help_text="Empty: like input.")
    cache_write = PerMillionField(label="Cache write", required=False, help_text="Empty: like input.")
    cache_write_1h = PerMillionField(label="Cache write for an hour", required=False)
    reasoning = PerMillionField(label="Reasoning", required=False, help_text="Empty: like output.")
    audio_input = PerMillionField(label="Audio input", required=False, help_text="Empty: audio is refused.")
    audio_cached = PerMillionField(label="Cached audio", required=False)
    audio_output = PerMillionField(label="Audio output", required=False, help_text="Empty: audio is refused.")
    image_input = PerMillionField(label="Image input", required=False, help_text="Empty: like input.")
    image_cached = PerMillionField(label="Cached images", required=False)
    image_output = PerMillionField(label="Image output", required=False, help_text="Empty: like output.")
    request = _per_piece("Calls, $ per 1,000", 1000)
    image = _per_piece("Images sent, $ per 1,000", 1000)
    picture = _per_piece("Images made, $ each", 1, help_text="For models that are paid by the piece.")
    web_search = _per_piece("Web searches, $ per 1,000", 1000, help_text="Empty: web search is refused.")
    file_search = _per_piece("File searches, $ per 1,000", 1000, help_text="Empty: file search is refused.")
    code_session = _per_piece("Code sessions, $ each", 1, help_text="Empty: the code interpreter is refused.")

    class Meta:
        model = Price
        fields = ("item", "valid_from", "input", "output", "cached", "cache_write", "tiers", "services")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "item" in self.fields:
            self.fields["item"].help_text = "provider/model as in the list, e.g. openai/gpt-4o-mini"
            self.fields["valid_from"].initial = timezone.now
            self.fields["valid_from"].help_text = "In force for calls admitted from this instant on."
            self.fields["tiers"].help_text = f"USD per token, e.g. {_TIERS_EXAMPLE}"
            self.fields["services"].help_text = f"USD per token, e.g. {_SERVICES_EXAMPLE}"

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        given = {name: cleaned.get(name) for name in EXTRAS}
        self.instance.extras = {name: f"{usd.normalize():f}" for name, usd in given.items() if usd is not None}
        return cleaned


class CorrectionForm(forms.Form):
    """What a call did cost, and how somebody knows."""

    cost = UsdField(label="The call cost (USD)", required=True)
    reason = forms.CharField(
        label="Reason", max_length=500, widget=UnfoldAdminTextInputWidget(), help_text="Kept in the audit trail."
    )
