"""Adds to the admin's lists what only the upper apps know: what each scope has spent."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from keys.admin import VirtualKeyAdmin
from keys.models import VirtualKey
from proxy.models import LanguageModel
from spend.spent import spent_now
from teams.admin import CustomerAdmin, MembershipAdmin, OrganizationAdmin, TagAdmin, TeamAdmin, UserAdmin
from teams.admin_base import display
from teams.models import Customer, Limits, Membership, Organization, Tag, Team, User
from teams.money import format_usd, short_usd

_TIGHT, _SPENT_UP = 80, 100


class WithSpend:
    """Puts the column `spent` behind the budget; one or two queries for a whole page."""

    def get_list_display(self, request: Any) -> tuple[str, ...]:
        columns = list(super().get_list_display(request))  # type: ignore[misc]
        columns.insert(columns.index("budget") + 1, "spent")
        return tuple(columns)

    def prepare_page(self, rows: list[Any]) -> None:
        spent = spent_now(rows, now=timezone.now())
        for row in rows:
            row.spent_nano = spent[row.scope]

    @display(description="Spent now")
    def spent(self, obj: Any) -> SafeString:
        return spent_bar(obj, obj.spent_nano)


def spent_bar(limits: Limits, spent: int) -> SafeString:
    """The amount, and how much of the budget it is; the exact amount on hover."""
    budget = limits.max_budget_nano
    if budget is None:
        return format_html('<span class="lk-spent" title="{}">{}</span>', format_usd(spent), short_usd(spent))
    share = 100 if budget == 0 else min(100, max(0, spent * 100 // budget))
    tone = "full" if share >= _SPENT_UP else "tight" if share >= _TIGHT else "fine"
    return format_html(
        '<span class="lk-spent" title="{} of {}">{}<span class="lk-bar lk-{}"><i style="width:{}%"></i></span></span>',
        format_usd(spent), format_usd(budget), short_usd(spent), tone, share,
    )  # fmt: skip


class KeyAdmin(WithSpend, VirtualKeyAdmin):
    def example_model(self, key: VirtualKey) -> str:
        """A key that may use all models gets an example with one that exists."""
        if key.allowed_models:
            return super().example_model(key)
        return LanguageModel.objects.values_list("name", flat=True).first() or super().example_model(key)


def _with_spend(base: type[Any]) -> type[Any]:
    return type(base.__name__, (WithSpend, base), {})


def register() -> None:
    """Replace the plain pages of the lower apps."""
    pages: dict[type[Model], type[Any]] = {
        VirtualKey: KeyAdmin,
        Organization: _with_spend(OrganizationAdmin),
        Team: _with_spend(TeamAdmin),
        Membership: _with_spend(MembershipAdmin),
        User: _with_spend(UserAdmin),
        Customer: _with_spend(CustomerAdmin),
        Tag: _with_spend(TagAdmin),
    }
    for model, page in pages.items():
        admin.site.unregister(model)
        admin.site.register(model, page)
