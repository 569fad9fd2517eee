"""What the pages of all scopes share: budgets, limits, blocking; and the shared budgets themselves."""

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from teams import platform_services, services
from teams.actors import Actor
from teams.admin_base import ActionVariant, ServiceAdmin, action, actor_of, display, short_list, when
from teams.admin_blocking import BlockableAdmin
from teams.budgets import Budget
from teams.forms import LimitsForm, SharedBudgetForm, TermsForm
from teams.limit_text import model_parts
from teams.models import Limits, Platform, SharedBudget, Terms
from teams.money import format_usd

BUDGET = (
    "Budget",
    {
        "fields": (
            ("max_budget_nano", "budget_duration"), "budget_limits", ("soft_budget_nano", "raise_nano"), "raise_until",
            "shared_budget",
        )
    },
)  # fmt: skip
LIMITS = (
    "Limits",
    {"fields": (("rpm_limit", "tpm_limit"), "max_parallel_requests", "model_limits", "allowed_models")},
)
MORE = ("More", {"classes": ("collapse",), "fields": ("metadata",)})


def hard_budgets(terms: Terms) -> list[Budget]:
    """The budgets that refuse calls, the main one first."""
    return [budget for budget in terms.budgets() if budget.limit_nano is not None]


def budget_text(budget: Budget) -> str:
    """`$50.00 / 30d`, `gpt-4o: $5.00 total`"""
    amount = format_usd(budget.limit_nano or 0)
    period = f"{amount} / {budget.duration}" if budget.duration else f"{amount} total"
    return f"{budget.model}: {period}" if budget.model else period


def budgets_text(terms: Terms) -> str:
    """`$50.00 / 30d +2`, or a dash where nothing is limited here."""
    return short_list([budget_text(budget) for budget in hard_budgets(terms)], "–", most=1)


def limits_text(terms: Terms) -> str:
    columns = (("rpm_limit", "rpm"), ("tpm_limit", "tpm"), ("max_parallel_requests", "parallel"))
    rates = ((terms.effective(column), unit) for column, unit in columns)
    return " · ".join(f"{value:,} {unit}" for value, unit in rates if value is not None) or "–"


class TermsAdmin(ServiceAdmin):
    """What shared budgets and scopes have in common: how much, and how fast."""

    for_readers: ClassVar[dict[str, str]] = {
        "max_budget_nano": "budgets_in_full",
        "budget_duration": "",
        "soft_budget_nano": "soft_budget",
        "budget_limits": "",
        "raise_nano": "raised",
        "raise_until": "",
        "model_limits": "models_limited",
        "allowed_models": "models_in_full",
        "new_password": "",
    }

    @display(description="Budget", ordering="max_budget_nano")
    def budget(self, obj: Terms) -> str:
        return budgets_text(obj)

    @display(description="Budgets")
    def budgets_in_full(self, obj: Terms) -> SafeString | str:
        return _lines([budget_text(budget) for budget in hard_budgets(obj)])

    @display(description="Soft budget")
    def soft_budget(self, obj: Terms) -> str:
        soft = obj.effective("soft_budget_nano")
        return "–" if soft is None else format_usd(soft)

    @display(description="Temporary raise")
    def raised(self, obj: Terms) -> str:
        nano, until = obj.raised
        return f"{format_usd(nano)} until {when(until)}" if nano else "–"

    @display(description="Limits")
    def limits(self, obj: Terms) -> str:
        return limits_text(obj)

    @display(description="Limits per model")
    def models_limited(self, obj: Terms) -> SafeString | str:
        models = sorted(obj.limits_by_model.items())
        return _lines([f"{model}: {', '.join(model_parts(limits))}" for model, limits in models])


class LimitsAdmin(BlockableAdmin, TermsAdmin):
    """What every scope's page has: its budget and limits, and blocking it as a whole."""

    form = LimitsForm

    def set_blocked(self, obj: Any, blocked: bool, actor: Actor) -> Any:
        return services.set_blocked(obj, blocked, actor=actor)

    def update(self, obj: Any, form: Any, actor: Actor) -> Any:
        return services.update_limits(obj, actor=actor)

    @display(description="Models")
    def models_in_full(self, obj: Limits) -> str:
        return ", ".join(obj.allowed_models) or "all"

    @display(description="Models")
    def models_allowed(self, obj: Limits) -> str:
        return short_list(obj.allowed_models, "all")


@admin.register(SharedBudget)
class SharedBudgetAdmin(TermsAdmin):
    form = SharedBudgetForm
    list_display = ("public_id", "budget", "limits", "changed")
    search_fields = ("public_id",)
    fields_at_creation = ("public_id",)
    actions = None
    actions_detail = ("delete_budget",)
    readonly_fields = ("created_by", "updated_by")
    fieldsets = (
        (None, {"fields": ("public_id", ("created_by", "updated_by"))}),
        ("Budget", {"fields": (("max_budget_nano", "budget_duration"), "budget_limits", "soft_budget_nano")}),
        ("Limits", {"fields": (("rpm_limit", "tpm_limit"), "max_parallel_requests", "model_limits")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who made it is known once it is made."""
        fieldsets = super().get_fieldsets(request, obj)
        return fieldsets if obj else [(None, {"fields": ("public_id",)}), *fieldsets[1:]]

    def create(self, obj: SharedBudget, form: Any, actor: Actor) -> SharedBudget:
        return services.create_budget(obj, actor=actor)

    def update(self, obj: SharedBudget, form: Any, actor: Actor) -> SharedBudget:
        return services.update_budget(obj, actor=actor)

    @action(
        description="Delete", permissions=["change"], url_path="remove", icon="delete", variant=ActionVariant.DANGER
    )
    def delete_budget(self, request: HttpRequest, object_id: str) -> HttpResponse:
        budget = self.row(request, object_id)
        if request.method == "POST":
            try:
                services.delete_budget(budget, actor=actor_of(request))
            except ValidationError as error:
                return self.refused(request, error)
            except IntegrityError:
                return self.refused(request, ValidationError(f"somebody was given “{budget}” at this moment"))
            self.message_user(request, f"“{budget}” is deleted.")
            return HttpResponseRedirect(reverse("admin:teams_sharedbudget_changelist"))
        text = "Only a budget that nothing uses can be deleted."
        return self.confirm(request, budget, title=f"Delete “{budget}”?", text=text, button="Delete", danger=True)

    @display(description="Changed", ordering="updated_at")
    def changed(self, obj: SharedBudget) -> str:
        return when(obj.updated_at)


@admin.register(Platform)
class PlatformAdmin(TermsAdmin):
    """One row: what all organizations together may spend. What the configuration file sets, it sets at every start."""

    form = TermsForm
    list_display = ("name", "budget", "limits", "timezone")
    actions = None
    fieldsets = (
        (None, {"fields": ("timezone",)}),
        ("Budget", {"fields": (("max_budget_nano", "budget_duration"), "budget_limits", "soft_budget_nano")}),
        ("Limits", {"fields": (("rpm_limit", "tpm_limit"), "max_parallel_requests", "model_limits")}),
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def update(self, obj: Platform, form: Any, actor: Actor) -> Platform:
        return platform_services.update_platform(obj, actor=actor)

    @display(description="Platform")
    def name(self, obj: Platform) -> str:
        return str(obj)


def _lines(lines: list[str]) -> SafeString | str:
    return format_html_join(mark_safe("<br>"), "{}", ((line,) for line in lines)) if lines else "–"
