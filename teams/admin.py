"""Organizations, teams, people, customers, tags and the audit trail in the admin."""

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from teams import departures, services
from teams.actors import Actor
from teams.admin_base import (
    AuditObjectFilter,
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    HugeTableAdmin,
    RangeDateTimeFilter,
    ReadOnlyInline,
    action,
    display,
    may_change,
    short_list,
    when,
)
from teams.admin_limits import BUDGET, LIMITS, MORE, LimitsAdmin, budgets_text, limits_text
from teams.forms import TeamForm, UserForm
from teams.models import (
    AuditEvent,
    Customer,
    Membership,
    Organization,
    OrganizationMembership,
    Project,
    Tag,
    Team,
    User,
)

# The role of a person decides; Django's groups would promise permissions that nothing here asks for.
admin.site.unregister(Group)


class PeopleInline(ReadOnlyInline):
    """The people of a team or an organization, each with its limits there."""

    fields = ("user", "role", "budget", "limits")
    readonly_fields = fields
    verbose_name_plural = "members"
    per_page = 20
    above: ClassVar[str]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("user", self.above, "shared_budget").order_by("pk")

    @display(description="Budget")
    def budget(self, obj: Membership | OrganizationMembership) -> str:
        return budgets_text(obj)

    @display(description="Limits")
    def limits(self, obj: Membership | OrganizationMembership) -> str:
        return limits_text(obj)


class OrganizationPeopleInline(PeopleInline):
    model = OrganizationMembership
    above = "organization"


@admin.register(Organization)
class OrganizationAdmin(LimitsAdmin):
    inlines = (OrganizationPeopleInline,)
    list_display = ("name", "public_id", "budget", "limits", "models_allowed", "timezone", "status")
    search_fields = ("name", "public_id")
    list_filter = ("blocked",)
    list_select_related = ("shared_budget",)
    autocomplete_fields = ("shared_budget",)
    fields_at_creation = ("public_id",)
    actions_detail = ("add_member", "block", "unblock")
    fieldsets = ((None, {"fields": (("name", "public_id"), "timezone")}), BUDGET, LIMITS, MORE)

    def create(self, obj: Organization, form: Any, actor: Actor) -> Organization:
        return services.create_organization(obj, actor=actor)

    def get_inlines(self, request: HttpRequest, obj: Organization | None) -> Any:
        return self.inlines if obj else ()

    @action(description="Add member", permissions=["change"], url_path="add-member", icon="person_add")
    def add_member(self, request: HttpRequest, object_id: str) -> HttpResponse:
        organization = self.row(request, object_id)
        page = reverse("admin:teams_organizationmembership_add")
        return HttpResponseRedirect(f"{page}?organization={organization.pk}")


class MembersInline(PeopleInline):
    model = Membership
    above = "team"


@admin.register(Team)
class TeamAdmin(LimitsAdmin):
    form = TeamForm
    list_display = ("name_shown", "organization", "members_count", "budget", "limits", "models_allowed", "status")
    list_select_related = ("organization", "shared_budget")
    search_fields = ("name", "public_id")
    list_filter = ("blocked", ("organization", AutocompleteSelectFilter))
    autocomplete_fields = ("organization", "shared_budget", "member_budget")
    fields_at_creation = ("public_id", "organization")
    actions_detail = ("add_member", "block", "unblock")
    inlines = (MembersInline,)
    fieldsets = (
        (None, {"fields": (("name", "organization"), "public_id")}),
        BUDGET,
        LIMITS,
        (
            "Every member",
            {"fields": (("member_budget", "member_key_duration"), ("member_permissions", "member_models"))},
        ),
        ("More", {"classes": ("collapse",), "fields": ("model_aliases", "metadata")}),
    )

    def create(self, obj: Team, form: Any, actor: Actor) -> Team:
        return services.create_team(obj, actor=actor)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        counted = Membership.objects.filter(team=OuterRef("pk")).order_by().values("team").annotate(n=Count("pk"))
        number = Coalesce(Subquery(counted.values("n"), output_field=IntegerField()), 0)
        rows: QuerySet[Team] = super().get_queryset(request).annotate(members_count=number)
        return rows

    def get_inlines(self, request: HttpRequest, obj: Team | None) -> Any:
        return self.inlines if obj else ()

    @display(description="Team", ordering="name")
    def name_shown(self, obj: Team) -> str:
        return str(obj)

    @display(description="Members", ordering="members_count")
    def members_count(self, obj: Any) -> int:
        number: int = obj.members_count
        return number

    @action(description="Add member", permissions=["change"], url_path="add-member", icon="person_add")
    def add_member(self, request: HttpRequest, object_id: str) -> HttpResponse:
        team = self.row(request, object_id)
        return HttpResponseRedirect(f"{reverse('admin:teams_membership_add')}?team={team.pk}")


@admin.register(Membership)
class MembershipAdmin(LimitsAdmin):
    list_display = ("user", "team", "role_shown", "budget", "limits", "models_allowed", "status")
    list_select_related = ("user", "team__organization", "shared_budget")
    search_fields = ("user__email", "user__username", "user__alias", "team__name")
    list_filter = ("blocked", "role", ("team", AutocompleteSelectFilter))
    autocomplete_fields = ("team", "user", "shared_budget")
    fields_at_creation = ("team", "user")
    fieldsets = ((None, {"fields": (("user", "team"), "role")}), BUDGET, LIMITS, MORE)

    def create(self, obj: Membership, form: Any, actor: Actor) -> Membership:
        return services.add_member(obj, actor=actor)

    def remove(self, obj: Membership, actor: Actor) -> None:
        departures.remove_member(obj, actor=actor)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request.user)

    @display(description="Role", label={"Team admin": "info"})
    def role_shown(self, obj: Membership) -> str:
        return obj.get_role_display()


@admin.register(OrganizationMembership)
class OrganizationMembershipAdmin(LimitsAdmin):
    list_display = ("user", "organization", "role_shown", "budget", "limits", "models_allowed", "status")
    list_select_related = ("user", "organization", "shared_budget")
    search_fields = ("user__email", "user__username", "user__alias", "organization__name")
    list_filter = ("blocked", "role", ("organization", AutocompleteSelectFilter))
    autocomplete_fields = ("organization", "user", "shared_budget")
    fields_at_creation = ("organization", "user")
    fieldsets = ((None, {"fields": (("user", "organization"), "role")}), BUDGET, LIMITS, MORE)

    def create(self, obj: OrganizationMembership, form: Any, actor: Actor) -> OrganizationMembership:
        return services.join_organization(obj, actor=actor)

    def remove(self, obj: OrganizationMembership, actor: Actor) -> None:
        services.leave_organization(obj, actor=actor)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request.user)

    @display(description="Role", label={"Organization admin": "info"})
    def role_shown(self, obj: OrganizationMembership) -> str:
        return obj.get_role_display()


@admin.register(User)
class UserAdmin(LimitsAdmin):
    form = UserForm
    list_display = ("name_shown", "role_shown", "organization", "budget", "limits", "active", "status", "seen")
    list_select_related = ("organization", "shared_budget")
    search_fields = ("email", "username", "alias", "public_id")
    list_filter = ("is_active", "blocked", ("role", ChoicesDropdownFilter), ("organization", AutocompleteSelectFilter))
    autocomplete_fields = ("organization", "shared_budget")
    readonly_fields = ("last_login",)
    fields_at_creation = ("public_id", "organization")
    fieldsets = (
        (None, {"fields": (("email", "alias"), ("username", "public_id"), ("role", "organization"))}),
        ("Sign-in", {"fields": (("new_password", "is_active"), "last_login")}),
        ("Budget of personal keys", BUDGET[1]),
        ("Limits of personal keys", LIMITS[1]),
        MORE,
    )

    def create(self, obj: User, form: Any, actor: Actor) -> User:
        self._staff_by_role(obj)
        return services.create_user(obj, actor=actor, password=form.cleaned_data["new_password"] or None)

    def update(self, obj: User, form: Any, actor: Actor) -> User:
        self._staff_by_role(obj)
        services.update_limits(obj, actor=actor)
        if form.cleaned_data["new_password"]:
            services.set_password(obj, form.cleaned_data["new_password"], actor=actor)
        return obj

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if "username" in form.base_fields:
            form.base_fields["username"].required = False
            form.base_fields["username"].help_text = "To sign in with. Empty: the e-mail address."
        return form

    def _staff_by_role(self, user: User) -> None:
        """The role decides who may open these pages."""
        user.is_staff = user.is_superuser or user.role.startswith(User.Role.PROXY_ADMIN)

    @display(description="User", ordering="email", header=True)
    def name_shown(self, obj: User) -> list[str]:
        name = str(obj)
        second = obj.alias if obj.alias != name else ""
        return [name, second or (obj.username if obj.username != name else "")]

    @display(
        description="Role",
        ordering="role",
        label={"Platform admin": "warning", "Platform admin (read only)": "info"},
    )
    def role_shown(self, obj: User) -> str:
        return obj.get_role_display()

    @display(description="Last sign-in", ordering="last_login")
    def seen(self, obj: User) -> str:
        return when(obj.last_login)

    @display(description="Signs in", boolean=True, ordering="is_active")
    def active(self, obj: User) -> bool:
        return obj.is_active


@admin.register(Customer)
class CustomerAdmin(LimitsAdmin):
    list_display = ("public_id", "alias", "organization", "budget", "limits", "status")
    list_select_related = ("organization", "shared_budget")
    search_fields = ("public_id", "alias")
    list_filter = ("blocked", ("organization", AutocompleteSelectFilter))
    autocomplete_fields = ("organization", "shared_budget")
    fields_at_creation = ("public_id", "organization")
    fieldsets = (
        (None, {"fields": (("public_id", "alias"), "organization", ("allowed_region", "default_model"))}),
        BUDGET,
        LIMITS,
        MORE,
    )

    def create(self, obj: Customer, form: Any, actor: Actor) -> Customer:
        return services.create_customer(obj, actor=actor)


@admin.register(Project)
class ProjectAdmin(LimitsAdmin):
    list_display = ("name_shown", "team", "budget", "limits", "models_allowed", "status")
    list_select_related = ("team__organization", "shared_budget")
    search_fields = ("name", "public_id")
    list_filter = ("blocked", ("team", AutocompleteSelectFilter))
    autocomplete_fields = ("team", "shared_budget")
    fields_at_creation = ("public_id", "team")
    fieldsets = ((None, {"fields": (("name", "team"), "public_id", "description")}), BUDGET, LIMITS, MORE)

    def create(self, obj: Project, form: Any, actor: Actor) -> Project:
        return services.create_project(obj, actor=actor)

    @display(description="Project", ordering="name")
    def name_shown(self, obj: Project) -> str:
        return str(obj)


@admin.register(Tag)
class TagAdmin(LimitsAdmin):
    list_display = ("name", "description", "organization", "budget", "limits", "status")
    list_select_related = ("organization", "shared_budget")
    search_fields = ("name", "description")
    list_filter = ("blocked", ("organization", AutocompleteSelectFilter))
    autocomplete_fields = ("organization", "shared_budget")
    fields_at_creation = ("name", "organization")
    fieldsets = ((None, {"fields": (("name", "organization"), "description")}), BUDGET, LIMITS, MORE)

    def create(self, obj: Tag, form: Any, actor: Actor) -> Tag:
        return services.create_tag(obj, actor=actor)


@admin.register(AuditEvent)
class AuditEventAdmin(HugeTableAdmin):
    list_display = ("at_shown", "actor", "action_shown", "object_type", "object_id", "what_changed")
    list_display_links = ("at_shown",)
    search_fields = ("actor", "action", "object_id")
    search_help_text = "Actor, action or object id"
    list_filter = (AuditObjectFilter, ("at", RangeDateTimeFilter))
    list_filter_submit = True
    ordering = ("-pk",)
    sortable_by = ("at_shown",)
    fields = ("at", "actor", "action", "object_type", "object_id", "before_shown", "after_shown")
    readonly_fields = fields

    @display(description="At (UTC)", ordering="pk")
    def at_shown(self, obj: AuditEvent) -> str:
        return when(obj.at)

    @display(description="Action", label=True)
    def action_shown(self, obj: AuditEvent) -> str:
        return obj.action

    @display(description="Fields")
    def what_changed(self, obj: AuditEvent) -> str:
        return short_list(sorted(obj.before.keys() | obj.after.keys()), "–", most=3)

    @display(description="Before")
    def before_shown(self, obj: AuditEvent) -> SafeString:
        return _as_json(obj.before)

    @display(description="After")
    def after_shown(self, obj: AuditEvent) -> SafeString:
        return _as_json(obj.after)


def _as_json(value: dict[str, Any]) -> SafeString:
    return format_html('<pre class="lk-json">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False))
