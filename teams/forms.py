"""Form fields and forms that the admin and the portal share."""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from teams.budgets import BadLimits, check_models, check_windows
from teams.callers import MEMBER_ROUTES
from teams.limit_text import models_from, models_text, windows_from, windows_text
from teams.models import User
from teams.money import BadAmount, nano_from_usd, parse_decimal, plain, usd_from_nano
from teams.scopes import MAX_BUDGET_NANO


class UsdField(forms.CharField):
    """Typed in USD, kept as exact integer nano-USD; empty means no amount (None)."""

    def __init__(self, *, required: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault("widget", UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "placeholder": "none"}))
        super().__init__(required=required, max_length=64, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return plain(usd_from_nano(value)).replace(",", "") if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            nano = nano_from_usd(parse_decimal(text))
        except BadAmount as error:
            raise ValidationError(str(error)) from error
        except ValueError as error:
            raise ValidationError("an amount in USD has at most nine decimals") from error
        if nano > MAX_BUDGET_NANO:
            raise ValidationError("an amount is at most 9,000,000 USD")
        return nano

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "") != (data or ""))


class LinesField(forms.CharField):
    """A list of names, one per line."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", UnfoldAdminTextareaWidget(attrs={"rows": 3}))
        super().__init__(required=False, max_length=20_000, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        return _names_in(super().clean(value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or []) != _names_in(data or "")


def _names_in(text: str) -> list[str]:
    return list(dict.fromkeys(filter(None, map(str.strip, text.splitlines()))))


class RaiseField(UsdField):
    """A temporary raise: empty means none, which is zero."""

    def prepare_value(self, value: Any) -> Any:
        return super().prepare_value(value or None)

    def clean(self, value: Any) -> Any:
        return super().clean(value) or 0


class LimitLinesField(forms.CharField):
    """Structured limits as lines of text. `read` and `write` translate; `check` says what a column accepts."""

    def __init__(
        self, *, read: Callable[[str], Any], write: Callable[[Any], str], check: Callable[[Any], None], **kwargs: Any
    ) -> None:
        example = kwargs.pop("example")
        kwargs.setdefault("widget", UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": example}))
        super().__init__(required=False, max_length=60_000, **kwargs)
        self.read, self.write, self.check = read, write, check

    def prepare_value(self, value: Any) -> Any:
        return self.write(value) if isinstance(value, list | dict) else value

    def clean(self, value: Any) -> Any:
        try:
            limits = self.read(super().clean(value))
            self.check(limits)
        except BadLimits as error:
            raise ValidationError(str(error)) from error
        return limits

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "").split() != (data or "").split())


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose object a service saves; what the service refuses appears beside the fields.

    `service_error` and `editor` are set by the admin on a subclass made for the request.
    """

    service_error: ClassVar[ValidationError | None] = None
    editor: ClassVar[User | None] = None
    #: Names a service uses for a field, where they differ from the form's own.
    error_fields: ClassVar[dict[str, str]] = {}

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        error = self.service_error
        if error is None:
            return
        named = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.error_list}
        for name, errors in named.items():
            field = self.error_fields.get(name, name)
            self.add_error(field if field in self.fields else None, errors)


class TermsForm(ServiceForm):
    """How much and how fast: what shared budgets and every scope have in common."""

    max_budget_nano = UsdField(
        label="Budget (USD)", help_text="Hard ceiling per period. Empty: no ceiling here; 0: nothing may be spent."
    )
    soft_budget_nano = UsdField(label="Soft budget (USD)", help_text="Notes when it is crossed, never refuses.")
    budget_limits = LimitLinesField(
        label="Further budgets", read=windows_from, write=windows_text, check=check_windows, example="5.00 per 1d",
        help_text="One per line, in force all at once: 5.00 per 1d, or 5.00 per rolling 24h for any 24 hours.",
    )  # fmt: skip
    model_limits = LimitLinesField(
        label="Limits per model", read=models_from, write=models_text, check=check_models,
        example="openai/*: 5.00 per 1d, 10 rpm",
        help_text="One model per line, openai/* means all of a provider: gpt-4o: 5.00 per 1d, 10 rpm, 20000 tpm.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "budget_duration" in self.fields:
            self.fields["budget_duration"].label = "Budget period"
            self.fields[
                "budget_duration"
            ].help_text = "1h, 1d, 7d, 30d (a month) …, or rolling 24h for any 24 hours. Empty: once, for ever."
        for name in ("rpm_limit", "tpm_limit", "max_parallel_requests"):
            if name in self.fields:
                self.fields[name].widget.attrs.update(min=0, placeholder="none")


class LimitsForm(TermsForm):
    """The limits that organizations, teams, people, keys, customers and tags have in common."""

    raise_nano = RaiseField(label="Temporary raise (USD)", help_text="On top of the budget, until it ends.")
    allowed_models = LinesField(
        label="Models", help_text="One per line; openai/* opens a provider's models. Empty: all models."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "raise_until" in self.fields:
            self.fields["raise_until"].required = False
        if "shared_budget" in self.fields:
            self.fields["shared_budget"].help_text = "Counts where nothing is set here; many may share one."

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("raise_nano") and not cleaned.get("raise_until") and "raise_until" not in self.errors:
            self.add_error("raise_until", "say when the raise ends")
        return cleaned


class TeamForm(LimitsForm):
    """A team's page."""

    member_permissions = LinesField(
        label="What members may do", help_text="One route per line that members may use on the team's keys."
    )
    member_models = LinesField(label="Models of new members", help_text="One per line. Empty: all of the team's.")

    def clean_member_permissions(self) -> list[str]:
        routes: list[str] = self.cleaned_data["member_permissions"]
        unknown = [route for route in routes if route not in MEMBER_ROUTES]
        if unknown:
            raise ValidationError(f"'{unknown[0]}' cannot be granted to members; there are {', '.join(MEMBER_ROUTES)}")
        return routes


class SharedBudgetForm(TermsForm):
    """A shared budget's page."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "public_id" in self.fields:
            self.fields["public_id"].help_text = "What clients call it: budget_id. It stays as it is."


class SecretField(forms.CharField):
    """Typed, never shown again: the value is not rendered back, not even beside an error."""

    def __init__(self, **kwargs: Any) -> None:
        widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False)
        super().__init__(widget=widget, strip=True, **kwargs)


class UserForm(LimitsForm):
    """A person's page. The password is set here and never shown."""

    new_password = SecretField(
        label="Password",
        required=False,
        max_length=256,
        help_text="Empty: leave it as it is; a new person then has none.",
    )

    def clean_username(self) -> str:
        """Without a name a person signs in with the e-mail address."""
        given: str = self.cleaned_data.get("username") or self.instance.username
        return given or self.cleaned_data.get("email") or self.instance.public_id

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        others = User.objects.live().exclude(pk=self.instance.pk)
        if email and others.filter(email__iexact=email).exists():
            raise ValidationError("somebody else has this e-mail address already")
        return email

    def clean_public_id(self) -> str:
        public_id: str = self.cleaned_data["public_id"]
        if User.objects.live().exclude(pk=self.instance.pk).filter(public_id=public_id).exists():
            raise ValidationError("somebody else has this user id already")
        return public_id

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        if password:
            validate_password(password, self.instance)
        return password

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance.pk is None or self.editor is None or self.instance.pk != self.editor.pk:
            return cleaned
        if cleaned.get("role", self.editor.role) != self.editor.role:
            raise ValidationError({"role": "somebody else has to change your own role"})
        if not cleaned.get("is_active", True):
            raise ValidationError({"is_active": "you cannot switch yourself off"})
        return cleaned
