"""Adds to the admin's lists what only the upper apps know: what each scope has spent."""

from dataclasses import dataclass, replace
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from keys.admin import VirtualKeyAdmin
from keys.models import VirtualKey
from proxy.models import LanguageModel
from spend.spent import spent_by_window, spent_now
from teams.admin import (
    CustomerAdmin,
    MembershipAdmin,
    OrganizationAdmin,
    OrganizationMembershipAdmin,
    TagAdmin,
    TeamAdmin,
    UserAdmin,
)
from teams.admin_base import display
from teams.admin_limits import budget_text, hard_budgets
from teams.budgets import Budget
from teams.models import Customer, Membership, Organization, OrganizationMembership, Tag, Team, User
from teams.money import format_usd, short_usd

_TIGHT, _SPENT_UP = 80, 100


class WithSpend:
    """Puts the column `spent` behind the budget; one or two queries for a whole page."""

    def get_list_display(self, request: Any) -> tuple[str, ...]:
        columns = list(super().get_list_display(request))  # type: ignore[misc]
        columns.insert(columns.index("budget") + 1, "spent")
        return tuple(columns)

    def prepare_page(self, rows: list[Any]) -> None:
        now, limited = timezone.now(), {row.scope: hard_budgets(row) for row in rows}
        used = spent_by_window([row for row in rows if limited[row.scope]], now=now)
        spent = spent_now([row for row in rows if not limited[row.scope]], now=now)
        for row in rows:
            row.usages = [
                Usage(one, one.limit_at(now) or 0, used[row.scope, one.model, one.duration])
                for one in limited[row.scope]
            ]
            row.spent_nano = spent.get(row.scope, 0)

    @display(description="Spent now")
    def spent(self, obj: Any) -> SafeString:
        return spent_bar(obj.spent_nano, obj.usages)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one budget has used of its limit in its current window; nano-USD."""

    budget: Budget
    limit_nano: int
    spent_nano: int

    @property
    def percent(self) -> int:
        return 100 if self.limit_nano == 0 else min(100, max(0, self.spent_nano * 100 // self.limit_nano))

    def __str__(self) -> str:
        return f"{format_usd(self.spent_nano)} of {budget_text(replace(self.budget, limit_nano=self.limit_nano))}"


def spent_bar(spent_nano: int, usages: list[Usage]) -> SafeString:
    """The amount, and how much of the tightest budget it is; every budget's exact amount on hover."""
    if not usages:
        return format_html('<span class="lk-spent" title="{}">{}</span>', format_usd(spent_nano), short_usd(spent_nano))
    tightest = max(usages, key=lambda usage: usage.percent)
    tone = "full" if tightest.percent >= _SPENT_UP else "tight" if tightest.percent >= _TIGHT else "fine"
    return format_html(
        '<span class="lk-spent" title="{}">{}<span class="lk-bar lk-{}"><i style="width:{}%"></i></span></span>',
        "\n".join(map(str, usages)), short_usd(tightest.spent_nano), tone, tightest.percent,
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
        OrganizationMembership: _with_spend(OrganizationMembershipAdmin),
        User: _with_spend(UserAdmin),
        Customer: _with_spend(CustomerAdmin),
        Tag: _with_spend(TagAdmin),
    }
    for model, page in pages.items():
        admin.site.unregister(model)
        admin.site.register(model, page)
