"""The one module that knows the admin's theme, and what all our admin pages share.

Pages translate and make one call to a service; the role of a person decides, not per-model permissions:
platform admins read and change, read-only admins read.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection, models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from unfold.admin import ModelAdmin as ThemedModelAdmin
from unfold.admin import TabularInline as ThemedTabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter as ThemedSelectFilter
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList as ThemedChangeList

from teams.actors import Actor
from teams.admin_ids import is_id, refuse_odd_choices
from teams.forms import ServiceForm
from teams.models import Archived, AuditEvent, User
from teams.reach import caller_of

__all__ = [
    "ActionVariant", "AuditObjectFilter", "AutocompleteSelectFilter", "ChoicesDropdownFilter", "DropdownFilter",
    "HugeTableAdmin", "RangeDateTimeFilter", "ReadOnlyAdmin", "ReadOnlyInline", "ServiceAdmin", "action",
    "actor_of", "display", "may_change", "may_read", "short_list", "when",
]  # fmt: skip

SERVICE_ERROR = "latchkey_service_error"


def may_read(user: Any) -> bool:
    return isinstance(user, User) and user.is_active and (user.is_superuser or user.role.startswith("proxy_admin"))


def may_change(user: Any) -> bool:
    return may_read(user) and (user.is_superuser or user.role == User.Role.PROXY_ADMIN)


def actor_of(request: HttpRequest) -> Actor:
    user: Any = request.user
    return Actor(label=user.email or user.username, user_id=user.pk)


def when(at: datetime | None) -> str:
    """An instant as lists show it: UTC, sortable by eye."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" if at else "–"


def short_list(names: list[str], empty: str, most: int = 2) -> str:
    """`a, b +3`: as many names as fit a column."""
    if not names:
        return empty
    return ", ".join(names[:most]) + (f" +{len(names) - most}" if len(names) > most else "")


class RolePermissions:
    """Permissions by role; rows are never deleted unless a page says how."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_read(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_read(request.user)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class NeverWrites:
    """Nobody, not even a superuser, changes these rows here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AutocompleteSelectFilter(ThemedSelectFilter):
    """Rows of one other row, which is chosen by typing its name."""

    def __init__(self, field: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(field, request, *args, **kwargs)
        if not all(is_id(one) for one in request.GET.getlist(self.lookup_kwarg) if one):
            raise IncorrectLookupParameters


class PageList(ThemedChangeList):
    """A list that finds out which rows a page has before it joins what they show, and reads that at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            # Nothing is left out, so no link offers to show all.
            self.full_result_count = self.result_count
        found: Any = self.result_list
        pks = list(found.values_list("pk", flat=True))
        self.result_list: list[Any] = list(self.queryset.filter(pk__in=pks))
        self.model_admin.prepare_page(self.result_list)


class BaseAdmin(RolePermissions, ThemedModelAdmin):
    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    list_fullwidth = True
    compressed_fields = True
    show_facets = admin.ShowFacets.NEVER

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows: Any = super().get_queryset(request)
        if issubclass(self.model, Archived):
            rows = rows.filter(deleted_at__isnull=True)
        if not hasattr(rows, "visible_to"):
            return rows  # type: ignore[no-any-return]
        return rows.visible_to(caller_of(request.user))  # type: ignore[no-any-return, arg-type]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PageList]:
        return PageList

    def prepare_page(self, rows: list[Any]) -> None:
        """Hook: read, for all rows of a page together, what columns show beside the rows themselves."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The history of an object is what the audit trail says about it."""
        obj = self.row(request, object_id)
        ids = self.trail_ids(obj)
        # An id that clients chose may have a comma in it; those of which there are several are ours.
        named = {"object_id__in": ",".join(ids)} if len(ids) > 1 else {"object_id": ids[0]}
        query = {"object_type": obj._meta.label, **named}
        return HttpResponseRedirect(f"{reverse('admin:teams_auditevent_changelist')}?{urlencode(query)}")

    def trail_ids(self, obj: Any) -> list[str]:
        """By which ids the audit trail knows a row."""
        return [str(getattr(obj, "public_id", "") or obj.pk)]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        # PostgreSQL fails on it in the place of a text.
        return None if "\0" in object_id else super().get_object(request, object_id, from_field)

    def row(self, request: HttpRequest, object_id: str) -> Any:
        """The row a page is about. Raises Http404."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404(f"There is no such {self.model._meta.verbose_name}.")
        return obj

    def confirm(
        self,
        request: HttpRequest,
        obj: Any,
        *,
        title: str,
        text: str,
        button: str,
        danger: bool = False,
        form: forms.Form | None = None,
    ) -> TemplateResponse:
        """A page that asks before a change; its button posts back to the same address."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts, "object": obj, "title": title, "text": text, "button": button, "danger": danger,
            "form": form, "back": self.page_of(obj),
        }  # fmt: skip
        return TemplateResponse(request, "admin/confirm.html", context)

    def done(self, request: HttpRequest, obj: Any, message: str) -> HttpResponse:
        self.message_user(request, message, messages.SUCCESS)
        return HttpResponseRedirect(self.page_of(obj))

    def page_of(self, obj: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[obj.pk])


class ReadOnlyAdmin(NeverWrites, BaseAdmin):
    """Browsing only."""

    actions = None


class HugeTableAdmin(ReadOnlyAdmin):
    """Browsing a table too big to count."""

    paginator = InfinitePaginator


class ReadOnlyInline(NeverWrites, RolePermissions, ThemedTabularInline):
    extra = 0
    can_delete = False
    show_change_link = True


class ServiceAdmin(BaseAdmin):
    """Browsing and editing; every write is one call to a service, whose refusals become form errors."""

    form = ServiceForm
    warn_unsaved_form = True
    fields_at_creation: ClassVar[tuple[str, ...]] = ()
    """Fields that can be set only when the object is made."""
    for_readers: ClassVar[dict[str, str]] = {}
    """What somebody who may not change an object sees instead of a field; '' hides it."""

    def create(self, obj: Any, form: Any, actor: Actor) -> Any:
        raise NotImplementedError

    def update(self, obj: Any, form: Any, actor: Actor) -> Any:
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        (self.update if change else self.create)(obj, form, actor_of(request))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """What a form is about to change is read under its lock: it undoes nothing that is done meanwhile."""
        obj = super().get_object(request, object_id, from_field)
        if obj is None or request.method != "POST" or not connection.in_atomic_block:
            return obj
        self.lock_above(obj)
        rows = self.model._default_manager.filter(pk=obj.pk).order_by("pk")
        list(rows.select_for_update(no_key=True).values_list("pk"))
        return super().get_object(request, object_id, from_field)

    def lock_above(self, obj: Any) -> None:
        """Hook: lock what services lock before such a row; in another order two would wait for each other."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = self.fields_at_creation if obj is not None else ()
        return (*super().get_readonly_fields(request, obj), *fixed)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        return [(title, {**rest, "fields": self._readable(rest["fields"])}) for title, rest in fieldsets]

    def _readable(self, names: Any) -> tuple[Any, ...]:
        shown = (
            self._readable(name) if isinstance(name, tuple) else self.for_readers.get(name, name) for name in names
        )
        return tuple(name for name in shown if name)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        known = {"service_error": getattr(request, SERVICE_ERROR, None), "editor": request.user}
        return type(form.__name__, (form,), known)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Shows the form again with what the service refused; its transaction is rolled back by then."""
        if request.method == "POST":
            refuse_odd_choices(self.get_form(request, change=object_id is not None).base_fields, request.POST)
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ValidationError as error:
            setattr(request, SERVICE_ERROR, error)
        except IntegrityError:
            message = "Somebody else saved something that is in the way; look at it and try again."
            setattr(request, SERVICE_ERROR, ValidationError(message))
        return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.remove(obj, actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        for obj in queryset:
            self.remove(obj, actor_of(request))

    def remove(self, obj: Any, actor: Actor) -> None:
        raise NotImplementedError

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ValidationError as error:
            return self.refused(request, error)

    def response_action(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> Any:
        if not all(map(is_id, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            return self.refused(request, ValidationError("Choose rows from the list."))
        try:
            return super().response_action(request, queryset)
        except ValidationError as error:
            return self.refused(request, error)

    def refused(self, request: HttpRequest, error: ValidationError) -> HttpResponse:
        self.message_user(request, " ".join(error.messages), messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    def log_addition(self, *args: Any) -> None:
        """The services write the audit trail; a second, weaker log would only disagree with it."""

    log_change = log_deletions = log_addition

    def refuse_unless(self, allowed: bool) -> None:
        if not allowed:
            raise PermissionDenied

    def each(self, request: HttpRequest, rows: models.QuerySet[Any], change: Callable[[Any], Any], verb: str) -> None:
        """Apply a service to every selected row and say how many."""
        count = sum(1 for row in rows if change(row) is not None)
        names = self.opts.verbose_name if count == 1 else self.opts.verbose_name_plural
        self.message_user(request, f"{count} {names} {verb}.", messages.SUCCESS)


class AuditObjectFilter(DropdownFilter):
    """The kinds of objects the admin knows, instead of a scan of the trail."""

    title = "object"
    parameter_name = "object_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        known = [model._meta for model in model_admin.admin_site._registry if model is not AuditEvent]
        return sorted(((meta.label, str(meta.verbose_name)) for meta in known), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(object_type=self.value()) if self.value() else queryset
