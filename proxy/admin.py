"""Models, deployments, providers, their pools and credentials in the admin."""

from itertools import chain
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from proxy import pool_services, services, stated, team_lists
from proxy.forms import CredentialForm, DeploymentForm
from proxy.models import Credential, Deployment, LanguageModel, Pool, Provider
from spend import book
from spend.forms import shown_price
from teams import platform_services
from teams.actors import Actor
from teams.admin_base import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    ServiceAdmin,
    actor_of,
    display,
    may_change,
    when,
)
from teams.admin_blocking import STATUS_COLORS, BlockableAdmin
from teams.admin_limits import TermsAdmin
from teams.forms import TermsForm
from teams.money import format_usd

PRICES = (("input_price", "output_price"), ("cached_price", "cache_write_price"), "is_free")
CALLS = (("timeout_seconds", "max_retries"), ("max_input_tokens", "max_output_tokens"), "params", "model_info")


@admin.register(Provider)
class ProviderAdmin(ReadOnlyAdmin):
    list_display = ("name", "slug", "base_url")
    search_fields = ("name", "slug")
    fields = ("name", "slug", "base_url")


@admin.register(Credential)
class CredentialAdmin(ServiceAdmin):
    form = CredentialForm
    for_readers: ClassVar[dict[str, str]] = {"secret": ""}
    list_display = ("name", "provider", "host", "used_by", "updated")
    list_select_related = ("provider",)
    search_fields = ("name", "host")
    list_filter = (("provider", AutocompleteSelectFilter),)
    fieldsets = ((None, {"fields": (("name", "display_name"), ("provider", "host"), "secret")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        rows: QuerySet[Credential] = super().get_queryset(request).annotate(uses=Count("deployments"))
        return rows

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        services.store_credential(obj, form.cleaned_data["secret"], actor=actor_of(request))

    def remove(self, obj: Credential, actor: Actor) -> None:
        services.delete_credential(obj, actor=actor)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request.user)

    @display(description="Updated (UTC)", ordering="updated_at")
    def updated(self, obj: Credential) -> str:
        return when(obj.updated_at)

    @display(description="Deployments", ordering="uses")
    def used_by(self, obj: Any) -> int:
        number: int = obj.uses
        return number


class DeploymentsInline(ReadOnlyInline):
    model = Deployment
    fields = ("provider", "upstream_model", "base_url", "blocked")
    readonly_fields = fields
    verbose_name_plural = "deployments"


@admin.register(LanguageModel)
class LanguageModelAdmin(ReadOnlyAdmin):
    """Public names; they come and go with their deployments."""

    list_display = ("name", "served_by", "created")
    search_fields = ("name",)
    fields = ("name", "created_at")
    inlines = (DeploymentsInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LanguageModel]:
        rows: QuerySet[LanguageModel] = super().get_queryset(request).annotate(served=Count("deployments"))
        return rows

    @display(description="Created (UTC)", ordering="created_at")
    def created(self, obj: LanguageModel) -> str:
        return when(obj.created_at)

    @display(description="Deployments", ordering="served")
    def served_by(self, obj: Any) -> int:
        number: int = obj.served
        return number


@admin.register(Deployment)
class DeploymentAdmin(BlockableAdmin):
    form = DeploymentForm
    told_to_block = (
        "It is not called any more, from the next call on, on every worker. Other deployments of its model are."
    )
    told_to_unblock = "It is called again, from the next call of its model on."
    for_readers: ClassVar[dict[str, str]] = dict.fromkeys(chain.from_iterable(PRICES[:2]), "")
    list_display = ("model_shown", "provider", "upstream_model", "host", "credential_shown", "mode", "price", "status")
    list_select_related = ("model", "provider", "credential")
    search_fields = ("model__name", "upstream_model", "public_id")
    list_filter = (
        "blocked",
        ("provider", AutocompleteSelectFilter),
        ("mode", ChoicesDropdownFilter),
        ("source", ChoicesDropdownFilter),
    )
    autocomplete_fields = ("credential",)
    readonly_fields = ("model", "public_id", "price", "source", "team", "access_groups_shown", "awaited_credential")
    add_fieldsets = (
        (None, {"fields": ("model_name", ("provider", "upstream_model"), ("base_url", "mode"))}),
        ("Access", {"fields": (("secret", "credential"),)}),
        ("Price", {"fields": PRICES}),
        ("Calls", {"classes": ("collapse",), "fields": CALLS}),
    )
    fieldsets = (
        (None, {"fields": (("model", "public_id"), ("provider", "upstream_model"), ("base_url", "mode"))}),
        ("Access", {"fields": (("credential", "awaited_credential"), ("team", "access_groups_shown"))}),
        ("Price", {"fields": ("price", *PRICES)}),
        ("Calls", {"classes": ("collapse",), "fields": (*CALLS, "source")}),
    )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if obj is not None:
            for name in ("model_name", "secret"):
                form.base_fields.pop(name, None)
        return form

    def create(self, obj: Deployment, form: Any, actor: Actor) -> Deployment:
        given = form.cleaned_data
        obj.stated = stated.retold(obj, form.changed_data)
        return services.add_deployment(
            obj, given["model_name"], actor=actor, now=timezone.now(), secret=given["secret"], price=form.price()
        )

    def update(self, obj: Deployment, form: Any, actor: Actor) -> Deployment:
        obj.stated = stated.retold(obj, form.changed_data)
        obj.base_url = (obj.base_url or obj.provider.base_url).rstrip("/")
        services.update_deployment(obj, actor=actor)
        if (price := form.price()) is not None:
            services.set_own_price(obj, price, actor=actor, now=timezone.now())
        return obj

    def set_blocked(self, obj: Deployment, blocked: bool, actor: Actor) -> Deployment:
        return services.set_blocked(obj, blocked, actor=actor)

    def lock_above(self, obj: Deployment) -> None:
        team_lists.lock(Deployment.objects.filter(pk=obj.pk))

    def remove(self, obj: Deployment, actor: Actor) -> None:
        services.delete_deployment(obj, actor=actor)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request.user)

    @display(description="Status", label=STATUS_COLORS, ordering="blocked")
    def status(self, obj: Deployment) -> str:
        return obj.status()

    @display(description="Model", ordering="model__name")
    def model_shown(self, obj: Deployment) -> str:
        return obj.model.name

    @display(description="Credential", ordering="credential__name")
    def credential_shown(self, obj: Deployment) -> str:
        """Also the one that it waits for; the name of one of its own says nothing."""
        return "its own" if obj.credential and obj.credential.is_own else obj.credential_name or "–"

    @display(description="Access groups")
    def access_groups_shown(self, obj: Deployment) -> str:
        return ", ".join(sorted(obj.groups)) or "–"

    @display(description="Host")
    def host(self, obj: Deployment) -> str:
        return services.host_of(obj.base_url)

    @display(description="Price per 1M, in / out")
    def price(self, obj: Deployment) -> str:
        if obj.is_free:
            return "free"
        own = services.price_item(obj)
        cards = obj.cards if hasattr(obj, "cards") else book.cards_at(timezone.now(), [obj.price_item, own])
        card = cards.get(obj.price_item) or cards.get(own)
        if card is None:
            return "no price"
        return shown_price(card.base)

    def prepare_page(self, rows: list[Deployment]) -> None:
        items = [item for row in rows for item in (row.price_item, services.price_item(row))]
        cards = book.cards_at(timezone.now(), items)
        for row in rows:
            row.cards = cards  # type: ignore[attr-defined]


@admin.register(Pool)
class PoolAdmin(TermsAdmin):
    """Providers' budgets that the configuration file names are set by it at every start."""

    form = TermsForm
    list_display = ("pool", "budget", "spent", "limits", "changed")
    list_filter = (("kind", ChoicesDropdownFilter),)
    search_fields = ("name",)
    fields_at_creation = ("kind", "name")
    actions = None
    fieldsets = (
        (None, {"fields": (("kind", "name"),)}),
        ("Budget", {"fields": (("max_budget_nano", "budget_duration"), "budget_limits", "soft_budget_nano")}),
        ("Limits", {"fields": (("rpm_limit", "tpm_limit", "max_parallel_requests"), "model_limits")}),
    )

    def create(self, obj: Pool, form: Any, actor: Actor) -> Pool:
        return pool_services.save_pool(obj, actor=actor, now=timezone.now())

    update = create

    def lock_above(self, obj: Pool) -> None:
        platform_services.platform(locked=True)

    def remove(self, obj: Pool, actor: Actor) -> None:
        pool_services.delete_pool(obj, actor=actor)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request.user)

    def prepare_page(self, rows: list[Pool]) -> None:
        spent = pool_services.spending(rows, timezone.now())
        for row in rows:
            row.spending = spent[row.scope]  # type: ignore[attr-defined]

    @display(description="Everybody's calls to", ordering="name")
    def pool(self, obj: Pool) -> str:
        return str(obj)

    @display(description="Spent in the present period")
    def spent(self, obj: Any) -> str:
        until = f" until {when(obj.spending.until)}" if obj.spending.until else ""
        return f"{format_usd(obj.spending.nano)}{until}"

    @display(description="Changed", ordering="updated_at")
    def changed(self, obj: Pool) -> str:
        return when(obj.updated_at)
