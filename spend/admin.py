"""Prices, holds, the ledger and its sums in the admin. Money that was posted is only ever read."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from spend import book, services
from spend.forms import CorrectionForm, PriceForm, per_million
from spend.models import Crossing, Hold, LedgerEntry, Price, Rollup
from teams.actors import Actor
from teams.admin_base import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    HugeTableAdmin,
    RangeDateTimeFilter,
    ServiceAdmin,
    action,
    actor_of,
    display,
    may_change,
    when,
)
from teams.money import format_usd

STATE_COLORS = {"pending": "warning", "posted": "success", "void": "default"}
WHO = (("organization", "team", "user"), ("key", "customer"))
WHAT = (("model", "call_type", "deployment"), ("provider", "upstream_model"))
#: Sections of a page that are there where one of these fields says something.
_SELDOM = {"Said about it": ("session_id", "log_metadata"), "Failure": ("failed_at",)}
_RELATED = ("organization", "key", "team", "user", "customer")
#: Entries of one call that a search shows: clients may name all their calls alike.
_MOST_FOUND = 1000
_FURTHER = (
    ("reasoning", "cache_write_1h"),
    ("audio_input", "audio_cached", "audio_output"),
    ("image_input", "image_cached", "image_output"),
    ("request", "image", "picture"),
    ("web_search", "file_search", "code_session"),
)
_SHOWN = (("input_shown", "output_shown"), ("cached_shown", "write_shown"))


@admin.register(Price)
class PriceAdmin(ServiceAdmin):
    """Prices are added, never changed: entries keep the price they were charged with."""

    form = PriceForm
    list_display = ("item", "input_shown", "output_shown", "cached_shown", "write_shown", "from_shown", "source")
    search_fields = ("item",)
    search_help_text = "openai/gpt-4o-mini"
    list_filter = ("source",)
    actions = None
    add_fieldsets = (
        (None, {"fields": ("item", "valid_from", ("input", "output"), ("cached", "cache_write"))}),
        ("Further classes", {"classes": ("collapse",), "fields": _FURTHER}),
        ("Long inputs and service tiers", {"classes": ("collapse",), "fields": ("tiers", "services")}),
    )
    fieldsets = ((None, {"fields": (("item", "valid_from", "source"), *_SHOWN, "extras", "tiers", "services")}),)
    readonly_fields = (*_SHOWN[0], *_SHOWN[1])

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def create(self, obj: Price, form: Any, actor: Actor) -> Price:
        return book.set_price(obj, actor=actor)

    @display(description="Valid from (UTC)", ordering="valid_from")
    def from_shown(self, obj: Price) -> str:
        return when(obj.valid_from)

    @display(description="Input / 1M", ordering="input")
    def input_shown(self, obj: Price) -> str:
        return per_million(obj.input)

    @display(description="Output / 1M", ordering="output")
    def output_shown(self, obj: Price) -> str:
        return per_million(obj.output)

    @display(description="Cached / 1M", ordering="cached")
    def cached_shown(self, obj: Price) -> str:
        return per_million(obj.cached)

    @display(description="Cache write / 1M", ordering="cache_write")
    def write_shown(self, obj: Price) -> str:
        return per_million(obj.cache_write)


class AmountAdmin(HugeTableAdmin):
    """Rows that carry an amount, in the one order that an index has for each of their filters."""

    ordering: tuple[str, ...] = ("-pk",)
    sortable_by = ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Without what most calls have nothing of."""
        given = super().get_fieldsets(request, obj)
        return [one for one in given if one[0] not in _SELDOM or any(getattr(obj, n, None) for n in _SELDOM[one[0]])]

    @display(description="Admitted (UTC)")
    def admitted(self, obj: Any) -> str:
        return when(obj.admitted_at)

    @display(description="Amount")
    def amount(self, obj: Any) -> str:
        return format_usd(obj.amount_nano)


@admin.register(Hold)
class HoldAdmin(AmountAdmin):
    list_display = ("admitted", "state_shown", "amount", "model", "key", "team", "organization", "lease")
    list_select_related = _RELATED
    search_fields = ("pk__exact",)
    search_help_text = "Hold id"
    list_filter = (("state", ChoicesDropdownFilter), ("organization", AutocompleteSelectFilter))
    fieldsets = (
        (None, {"fields": (("id", "state"), ("amount", "amount_nano"), ("admitted_at", "lease_until"))}),
        ("Whose", {"fields": WHO}),
        ("What", {"fields": (*WHAT, ("request_id", "attempt"), ("input_estimate", "output_cap", "price"))}),
        ("Said about it", {"fields": ("session_id", "log_metadata")}),
        ("Failure", {"fields": (("failed_at", "error_status", "error_kind"), "error_message")}),
        ("Counters", {"classes": ("collapse",), "fields": (("epoch", "scopes"), "counters")}),
    )
    readonly_fields = ("amount",)

    @display(description="Lease until (UTC)")
    def lease(self, obj: Hold) -> str:
        return when(obj.lease_until)

    @display(description="State", label=STATE_COLORS)
    def state_shown(self, obj: Hold) -> str:
        return obj.state


@admin.register(LedgerEntry)
class LedgerEntryAdmin(AmountAdmin):
    ordering = ("-admitted_at", "-pk")
    list_display = (
        "admitted", "amount", "kind_shown", "model", "tokens", "key", "team", "user", "source_shown",
    )  # fmt: skip
    list_select_related = _RELATED
    search_fields = ("request_id__exact",)
    search_help_text = "Request id, session or hold id"
    list_filter = (
        ("admitted_at", RangeDateTimeFilter),
        ("key", AutocompleteSelectFilter),
        ("team", AutocompleteSelectFilter),
        ("user", AutocompleteSelectFilter),
        ("organization", AutocompleteSelectFilter),
        ("kind", ChoicesDropdownFilter),
        ("usage_source", ChoicesDropdownFilter),
    )
    list_filter_submit = True
    fieldsets = (
        (None, {"fields": (("amount", "amount_nano", "residue_pico"), ("kind", "usage_source", "overrun"))}),
        ("Whose", {"fields": (*WHO, "tags")}),
        ("What", {"fields": (*WHAT, ("request_id", "response_id"), ("hold", "price"))}),
        ("Said about it", {"fields": ("session_id", "log_metadata")}),
        (
            "Tokens",
            {
                "fields": (
                    ("input_tokens", "cached_tokens", "cache_write_tokens"),
                    ("output_tokens", "reasoning_tokens"),
                    "further_usage",
                )
            },
        ),
        ("When", {"fields": (("admitted_at", "first_byte_at"), ("finished_at", "posted_at"))}),
    )
    readonly_fields = ("amount",)
    actions_detail = ("correct",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[LedgerEntry], search_term: str
    ) -> tuple[QuerySet[LedgerEntry], bool]:
        """By any of three ids, of which each has an index of its own."""
        if not search_term:
            return queryset, False
        of_call = LedgerEntry.objects.filter(request_id=search_term).order_by()
        of_session = LedgerEntry.objects.filter(session_id=search_term).order_by()
        of_hold = LedgerEntry.objects.of_holds([search_term])
        some = (rows.values_list("pk", flat=True)[:_MOST_FOUND] for rows in (of_call, of_session, of_hold))
        return queryset.filter(pk__in={pk for pks in some for pk in pks}), False

    def has_correct_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request.user)

    @action(description="Correct", permissions=["correct"], url_path="correct", icon="balance")
    def correct(self, request: HttpRequest, object_id: str) -> HttpResponse:
        entry = self.row(request, object_id)
        stands = services.settled_amounts([entry.hold_id])[entry.hold_id]
        form = CorrectionForm(request.POST or None, initial={"cost": stands})
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            try:
                added = services.correct_to(
                    entry, given["cost"], reason=given["reason"], actor=actor_of(request), now=timezone.now()
                )
                return self.done(request, added, f"The call costs {format_usd(given['cost'])} now.")
            except ValidationError as error:
                form.add_error(None, error)
        text = (
            f"In all its entries it costs {format_usd(stands)}. The difference is added as a new entry, in the windows "
            "that the call counted in, and budgets and reports follow. No entry is ever changed."
        )
        return self.confirm(
            request, entry, title=f"Correct what call {entry.request_id} cost", text=text, button="Correct", form=form
        )

    @display(description="Kind", label={"correction": "warning"})
    def kind_shown(self, obj: LedgerEntry) -> str:
        return obj.kind

    @display(description="Tokens in / out")
    def tokens(self, obj: LedgerEntry) -> str:
        return f"{obj.input_tokens:,} / {obj.output_tokens:,}"

    @display(description="Usage", label={"upstream": "success", "estimated": "warning", "orphan": "danger"})
    def source_shown(self, obj: LedgerEntry) -> str:
        return {"estimated_partial": "estimated", "estimated_orphan": "orphan"}.get(obj.usage_source, obj.usage_source)


@admin.register(Rollup)
class RollupAdmin(AmountAdmin):
    ordering = ("-quarter", "-pk")
    list_display = ("quarter_shown", "scope", "model", "amount", "requests_shown", "input_shown", "output_shown")
    search_fields = ("scope__exact",)
    search_help_text = "Scope, e.g. team:3"
    list_filter = (("quarter", RangeDateTimeFilter),)
    list_filter_submit = True
    fields = ("scope", "model", "quarter", "amount", "amount_nano", "requests", "input_tokens", "output_tokens")
    readonly_fields = ("amount",)

    @display(description="Quarter hour (UTC)")
    def quarter_shown(self, obj: Rollup) -> str:
        return when(obj.quarter)

    @display(description="Calls")
    def requests_shown(self, obj: Rollup) -> str:
        return f"{obj.requests:,}"

    @display(description="Tokens in")
    def input_shown(self, obj: Rollup) -> str:
        return f"{obj.input_tokens:,}"

    @display(description="Tokens out")
    def output_shown(self, obj: Rollup) -> str:
        return f"{obj.output_tokens:,}"


@admin.register(Crossing)
class CrossingAdmin(AmountAdmin):
    list_display = ("at_shown", "scope", "kind_shown", "amount", "counter")
    search_fields = ("scope__exact",)
    search_help_text = "Scope, e.g. team:3"
    list_filter = (("at", RangeDateTimeFilter),)
    list_filter_submit = True
    fields = (("at", "kind"), ("scope", "counter"), ("amount", "amount_nano"))
    readonly_fields = ("amount",)

    @display(description="Crossed at (UTC)")
    def at_shown(self, obj: Crossing) -> str:
        return when(obj.at)

    @display(description="Mark", label={"Soft budget": "warning"})
    def kind_shown(self, obj: Crossing) -> str:
        return obj.get_kind_display()
