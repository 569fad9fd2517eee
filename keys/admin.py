"""Virtual keys in the admin. A secret is shown once, on the page that answers the request that made it."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from keys import services
from keys.forms import KeyForm, RegenerateForm
from keys.making import ABOVE, above, fill_bounds
from keys.models import MASTER_ID, VirtualKey
from keys.rights import COLUMNS, changed_columns
from teams.actors import Actor
from teams.admin_base import (
    ActionVariant,
    AutocompleteSelectFilter,
    DropdownFilter,
    PageList,
    action,
    actor_of,
    display,
)
from teams.admin_blocking import STATUS_COLORS
from teams.admin_ids import is_id
from teams.admin_limits import BUDGET, LIMITS, LimitsAdmin
from teams.models import User

ISSUED = "latchkey_issued_secret"
#: People by whose name a search finds keys.
_MOST_OWNERS = 1000


class StatusFilter(DropdownFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name.capitalize()) for name in ("active", "blocked", "expired", "deleted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[VirtualKey]) -> QuerySet[VirtualKey]:
        """Deleted keys are shown only where somebody asks for them."""
        over = Q(expires_at__lte=timezone.now())
        by_status = {
            "active": Q(deleted_at=None, blocked=False) & ~over,
            "blocked": Q(deleted_at=None, blocked=True),
            "expired": Q(deleted_at=None, blocked=False) & over,
            "deleted": Q(deleted_at__isnull=False),
        }
        return queryset.filter(by_status.get(self.value() or "", Q(deleted_at=None)))


class KeyList(PageList):
    """Without the row of the master key, which stands in the books alone; its calls lead to it."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        return super().get_queryset(request, exclude_parameters).exclude(public_id=MASTER_ID)


@admin.register(VirtualKey)
class VirtualKeyAdmin(LimitsAdmin):
    form = KeyForm
    list_display = (
        "name_shown", "status", "owner", "team", "models_allowed", "budget", "expires_shown",
    )  # fmt: skip
    list_select_related = ("organization", "team", "user", "shared_budget")
    search_fields = ("alias", "masked", "public_id__exact", "service_account")
    search_help_text = "Alias, last four, id or owner"
    list_filter = (
        StatusFilter,
        ("team", AutocompleteSelectFilter),
        ("user", AutocompleteSelectFilter),
        ("organization", AutocompleteSelectFilter),
        ("known_to", AutocompleteSelectFilter),
    )
    autocomplete_fields = ("organization", "team", "project", "user", "shared_budget", "end_user_budget")
    readonly_fields = (
        "masked_shown", "public_id", "created_by", "created_at", "updated_by", "deleted_by", "sponsor", "known_shown",
    )  # fmt: skip
    actions = ("block_selected", "unblock_selected", "delete_selected_keys")
    actions_detail = ("regenerate", "block", "unblock", "archive")
    ordering = ("-pk",)
    add_fieldsets = (
        (None, {"fields": ("alias", ("team", "user"), ("project", "service_account"), "organization", "expires_at")}),
        BUDGET,
        LIMITS,
        (
            "More",
            {
                "classes": ("collapse",),
                "fields": (
                    ("output_cap_policy", "end_user_budget"),
                    ("auto_rotate", "rotation_interval"),
                    "tags",
                    "allowed_routes",
                    "aliases",
                    "metadata",
                ),
            },
        ),
    )
    fieldsets = (
        (
            "Key",
            {
                "fields": (
                    ("masked_shown", "public_id"),
                    ("created_by", "created_at"),
                    ("updated_by", "sponsor"),
                    "known_shown",
                )
            },
        ),
        *add_fieldsets,
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PageList]:
        return KeyList

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A deleted key is history, and the master key is not made here."""
        fixed = isinstance(obj, VirtualKey) and (obj.deleted_at is not None or obj.public_id == MASTER_ID)
        return super().has_change_permission(request, obj) and not fixed

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[VirtualKey], search_term: str
    ) -> tuple[QuerySet[VirtualKey], bool]:
        """A masked key may be pasted as shown. Owners are looked up first, rather than joined to every key."""
        term = search_term.removeprefix("sk-...")
        found, may_repeat = super().get_search_results(request, queryset, term)
        if not term:
            return found, may_repeat
        owners = User.objects.filter(Q(email__icontains=term) | Q(username__icontains=term)).order_by()
        return found | queryset.filter(user__in=list(owners.values_list("pk", flat=True)[:_MOST_OWNERS])), may_repeat

    # --- Changes --------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.names_organization = obj.names_organization or "organization" in form.changed_data
        self._keep_to_bounds(obj, change)
        if change:
            services.update_key(obj, actor=actor_of(request))
        else:
            setattr(request, ISSUED, services.issue_key(obj, actor=actor_of(request)))

    @staticmethod
    def _keep_to_bounds(key: VirtualKey, change: bool) -> None:
        """Raises ValidationError naming what is above its upper bound, which a new key gets where it sets nothing."""
        now, changed = timezone.now(), COLUMNS
        if change:
            changed = changed_columns(key, VirtualKey.objects.get(pk=key.pk))
        else:
            fill_bounds(key, now=now)
        if wrong := above(key, changed, now=now):
            raise ValidationError(dict.fromkeys(wrong, ABOVE))

    def trail_ids(self, obj: VirtualKey) -> list[str]:
        return [*super().trail_ids(obj), *obj.retired_secrets.public_ids()]

    def set_blocked(self, obj: Any, blocked: bool, actor: Actor) -> Any:
        return (services.block_key if blocked else services.unblock_key)(obj, actor=actor)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """No redirect and no message: the secret exists in this one answer."""
        return self.issued_page(request, obj, getattr(request, ISSUED), "created")

    def issued_page(self, request: HttpRequest, key: VirtualKey, secret: str, verb: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts, "key": key, "secret": secret, "title": f"Key {verb}", "back": self.page_of(key),
            "base_url": request.build_absolute_uri("/v1"), "model": self.example_model(key),
        }  # fmt: skip
        response = TemplateResponse(request, "admin/keys/virtualkey/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def example_model(self, key: VirtualKey) -> str:
        """A model for the example calls: one that the key may use."""
        exact = (name for name in key.allowed_models if "*" not in name)
        return next(exact, "name-of-a-model")

    @action(description="Regenerate", permissions=["change"], url_path="regenerate", icon="autorenew")
    def regenerate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self._living(request, object_id)
        form = RegenerateForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            secret = services.regenerate_key(key, actor=actor_of(request), grace=form.grace)
            return self.issued_page(request, key, secret, "regenerated")
        text = "The key gets a new secret, shown once on the next page. Its budget, limits and history go on."
        return self.confirm(
            request, key, title=f"Regenerate “{key}”?", text=text, button="Regenerate", form=form, danger=True
        )

    @action(
        description="Delete", permissions=["change"], url_path="archive", icon="delete", variant=ActionVariant.DANGER
    )
    def archive(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self._living(request, object_id)
        if request.method == "POST":
            services.delete_key(key, actor=actor_of(request))
            return self.done(request, key, f"“{key}” is deleted.")
        text = "It stops working at its next call, for good. Its row stays for the ledger and the audit trail."
        return self.confirm(request, key, title=f"Delete “{key}”?", text=text, button="Delete", danger=True)

    @admin.action(description="Delete", permissions=["change"])
    def delete_selected_keys(self, request: HttpRequest, queryset: Any) -> None:
        actor = actor_of(request)
        self.each(request, queryset.live(), lambda key: services.delete_key(key, actor=actor), "deleted")

    def _living(self, request: HttpRequest, object_id: str) -> VirtualKey:
        key: VirtualKey = self.row(request, object_id)
        self.refuse_unless(self.has_change_permission(request, key))
        return key

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        is_live = is_id(object_id) and VirtualKey.objects.live().filter(pk=object_id).exists()
        return super().get_actions_detail(request, object_id) if is_live else []

    # --- Columns --------------------------------------------------------------------------------

    @display(description="Key", header=True, ordering="alias")
    def name_shown(self, obj: VirtualKey) -> list[str]:
        return [obj.alias or "No alias", obj.masked]

    @display(description="Key")
    def masked_shown(self, obj: VirtualKey) -> SafeString:
        return format_html('<code class="lk-code">{}</code>', obj.masked)

    @admin.display(description="Also known to")
    def known_shown(self, obj: VirtualKey) -> str:
        others = obj.known_to.exclude(pk=obj.user_id or 0).order_by("public_id")
        names = ", ".join(f"{one.public_id} (deleted)" if one.deleted_at else str(one) for one in others)
        rule = "In the management API the key does only what all of them may; regenerate it to end that."
        return f"{names}. {rule}" if names else "nobody"

    @display(description="Owner")
    def owner(self, obj: VirtualKey) -> str:
        return str(obj.user) if obj.user else obj.service_account or ("the team" if obj.team_id else "–")

    @display(description="Status", label=STATUS_COLORS, ordering="blocked")
    def status(self, obj: VirtualKey) -> str:
        return obj.status()

    @display(description="Expires", ordering="expires_at")
    def expires_shown(self, obj: VirtualKey) -> str:
        return f"{obj.expires_at:%Y-%m-%d}" if obj.expires_at else "never"
