"""The admin's forms for credentials and deployments."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextInputWidget

from proxy.from_litellm import check_kept
from proxy.models import Credential, Deployment, Provider
from proxy.services import host_of
from spend.forms import PerMillionField
from spend.models import Price
from teams.forms import SecretField, ServiceForm


class CredentialForm(ServiceForm):
    """The secret goes in and never comes out; saving a credential always takes the secret again."""

    secret = SecretField(
        label="Secret", max_length=8192, help_text="Encrypted at once, and never shown again. Replaces what is stored."
    )

    class Meta:
        model = Credential
        fields = ("name", "display_name", "provider", "host")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "host" in self.fields:
            self.fields["host"].required = False
            self.fields["host"].help_text = "host[:port] the secret may be sent to. Empty: the provider's own."

    def clean_host(self) -> str:
        host: str = self.cleaned_data["host"].strip().lower()
        provider: Provider | None = self.cleaned_data.get("provider")
        host = host or (host_of(provider.base_url) if provider else "")
        if not host:
            raise ValidationError("this provider has no default address: write its host, e.g. llm.example.com")
        if "/" in host or "@" in host or any(sign.isspace() for sign in host):
            raise ValidationError("write host or host:port alone, e.g. llm.example.com:8443")
        return host


class DeploymentForm(ServiceForm):
    """A model and one way to serve it, with an optional price of its own."""

    error_fields: ClassVar[dict[str, str]] = {"input_cost_per_token": "input_price", "api_base": "base_url"}

    model_name = forms.CharField(
        max_length=255, widget=UnfoldAdminTextInputWidget(), help_text="What apps ask for, e.g. gpt-4o-mini."
    )
    secret = SecretField(
        label="API key", required=False, max_length=8192, help_text="Becomes a credential; or choose a stored one."
    )
    input_price = PerMillionField(label="Input, $ per 1M tokens", required=False, help_text="Empty: the price book's.")
    output_price = PerMillionField(label="Output, $ per 1M tokens", required=False)
    cached_price = PerMillionField(label="Cached input", required=False, help_text="Empty: like input.")
    cache_write_price = PerMillionField(label="Cache write", required=False, help_text="Empty: like input.")

    class Meta:
        model = Deployment
        exclude = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "base_url" in self.fields:
            self.fields["base_url"].required = False
            self.fields["base_url"].help_text = "Empty: the provider's own address."
            self.fields["upstream_model"].help_text = "The provider's name of the model."
        for name in {"timeout_seconds", "max_retries"} & self.fields.keys():
            # What a new model begins with; a stored one shows its own.
            self.fields[name].initial = getattr(settings.CALL_DEFAULTS, name)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        prices = [cleaned.get(name) for name in ("input_price", "output_price")]
        if any(price is not None for price in prices) and None in prices:
            missing = "input_price" if prices[0] is None else "output_price"
            self.add_error(missing, "give both prices, input and output (0 for free)")
        if self.optional_prices_alone(cleaned):
            self.add_error("input_price", "a price for cached input needs a price for input and output")
        if cleaned.get("secret") and cleaned.get("credential"):
            self.add_error("secret", "either a new key or a stored credential, not both")
        self._check_host(cleaned)
        self._check_kept("params", cleaned.get("params"), {})
        self._check_kept("model_info", {}, cleaned.get("model_info"))
        return cleaned

    def _check_kept(self, field: str, params: Any, info: Any) -> None:
        if not isinstance(params, dict) or not isinstance(info, dict):
            return
        try:
            check_kept(params, info)
        except ValidationError as error:
            self.add_error(field, [f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items()])

    def optional_prices_alone(self, cleaned: dict[str, Any]) -> bool:
        extra = cleaned.get("cached_price") is not None or cleaned.get("cache_write_price") is not None
        return extra and cleaned.get("input_price") is None

    def price(self) -> Price | None:
        """The deployment's own price, unsaved, if one was typed."""
        given = self.cleaned_data
        if given.get("input_price") is None:
            return None
        return Price(
            input=given["input_price"],
            output=given["output_price"],
            cached=given.get("cached_price"),
            cache_write=given.get("cache_write_price"),
        )

    def _check_host(self, cleaned: dict[str, Any]) -> None:
        """A credential goes to its own host only."""
        credential: Credential | None = cleaned.get("credential")
        provider: Provider | None = cleaned.get("provider") or getattr(self.instance, "provider", None)
        address = cleaned.get("base_url") or (provider.base_url if provider else "")
        if credential and address and host_of(address) != credential.host:
            self.add_error("credential", f"it may be sent to {credential.host} only, not to {host_of(address)}")
