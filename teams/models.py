"""Who we are: organizations, teams, people, customers and tags."""

from typing import ClassVar, Self

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.utils import timezone

from teams.access_groups import listed_groups
from teams.callers import Caller, Standing
from teams.invitation import Invitation
from teams.object_field import ObjectField
from teams.platform import Platform
from teams.projects import Project
from teams.scopes import ScopeKind
from teams.terms import Archived, Limits, SharedBudget, Terms, new_public_id
from teams.validators import validate_names, validate_object, validate_validity, validate_zone

__all__ = [
    "Archived", "AuditEvent", "CounterServer", "Customer", "Invitation", "Limits", "Membership", "Organization",
    "OrganizationMembership", "Platform", "PolicyChange", "Project", "SharedBudget", "Tag", "Team",
    "Terms", "User", "new_public_id",
]  # fmt: skip


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def live(self) -> Self:
        """Organizations that have not been deleted."""
        return self.filter(deleted_at__isnull=True)

    def managed_by(self, caller: Caller) -> Self:
        """Organizations whose people and limits the caller may change."""
        if caller.is_admin:
            return self
        return self.filter(pk__in=caller.organizations if Standing.ORG_ADMIN in caller.standings else ())

    def visible_to(self, caller: Caller) -> Self:
        """Platform admins see every organization, everybody else those they belong to."""
        return self if caller.reads_all else self.filter(pk__in=caller.joined_organizations)


class Organization(Archived, Limits):
    """The top of the chain and the unit of sharding. `epoch` fences intents against lost counters."""

    scope_kind = ScopeKind.ORGANIZATION
    organization_path = "pk"

    public_id = models.CharField("organization id", max_length=128, unique=True, default=new_public_id)
    name = models.CharField(max_length=255)
    timezone = models.CharField("reporting time zone", max_length=64, default="UTC", validators=[validate_zone])
    created_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    updated_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    epoch = models.BigIntegerField(default=1, editable=False)
    sql_until = models.DateTimeField("budgets judged in SQL until", null=True, blank=True, editable=False)
    """While it is set, SQL judges this organization's budgets itself: a worker could not reach the counter store."""

    objects = OrganizationQuerySet.as_manager()

    class Meta(Limits.Meta):
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class UserQuerySet(models.QuerySet["User"]):
    def live(self) -> Self:
        """People who have not been deleted; deleted ones stay for the ledger."""
        return self.filter(deleted_at__isnull=True)

    def managed_by(self, caller: Caller) -> Self:
        """People whose role, limits and keys the caller may change: those whose home it administers."""
        if caller.is_admin:
            return self
        homes = caller.organizations if Standing.ORG_ADMIN in caller.standings else ()
        return self.filter(organization__in=homes).exclude(Q(role__startswith=Standing.ADMIN) | Q(is_superuser=True))

    def visible_to(self, caller: Caller) -> Self:
        """Platform admins see everybody, others themselves, those they lead, and the people of their organizations."""
        if caller.reads_all:
            return self
        led = Q(pk__in=Membership.objects.filter(team__in=caller.leads).values("user"))
        inside = Q(pk__in=OrganizationMembership.objects.filter(organization__in=caller.organizations).values("user"))
        return self.filter(Q(pk=caller.user_pk) | led | Q(organization__in=caller.organizations) | inside)


class PeopleManager(UserManager["User"]):
    """Django's manager, so that `createsuperuser` works unchanged, with our queryset."""

    def get_queryset(self) -> UserQuerySet:
        return UserQuerySet(self.model, using=self._db)

    def live(self) -> UserQuerySet:
        return self.get_queryset().live()

    def visible_to(self, caller: Caller) -> UserQuerySet:
        return self.get_queryset().visible_to(caller)

    def managed_by(self, caller: Caller) -> UserQuerySet:
        return self.get_queryset().managed_by(caller)


class User(AbstractUser, Archived, Limits):
    """A person. Limits on a user govern that user's personal keys, not keys of a team.

    The id and the e-mail of somebody deleted are free again; who takes them is another person to the ledger.
    """

    scope_kind = ScopeKind.USER

    class Role(models.TextChoices):
        PROXY_ADMIN = "proxy_admin", "Platform admin"
        PROXY_ADMIN_VIEWER = "proxy_admin_viewer", "Platform admin (read only)"
        INTERNAL_USER = "internal_user", "Developer"
        INTERNAL_USER_VIEWER = "internal_user_viewer", "Viewer"

    public_id = models.CharField("user id", max_length=128, default=new_public_id)
    sso_id = models.CharField("SSO user id", max_length=255, blank=True, default="")
    alias = models.CharField(max_length=255, blank=True, default="")
    role = models.CharField(max_length=32, choices=Role.choices, default=Role.INTERNAL_USER)
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="users", null=True, blank=True)
    password_known_to = models.ManyToManyField("self", symmetrical=False, related_name="+", editable=False)

    objects: ClassVar[PeopleManager] = PeopleManager()

    class Meta(Limits.Meta):
        ordering = ["username"]
        constraints = [
            *Limits.Meta.constraints,
            models.UniqueConstraint(
                fields=["public_id"],
                condition=Q(deleted_at__isnull=True),
                name="teams_user_id_unique",
                violation_error_message="somebody else has this user id already",
            ),
            models.UniqueConstraint(
                # As `iexact` compares, which finds people by this index.
                Upper("email"),
                condition=~Q(email="") & Q(deleted_at__isnull=True),
                name="teams_user_email_unique",
                violation_error_message="somebody else has this e-mail address already",
            ),
            models.UniqueConstraint(
                fields=["sso_id"],
                condition=~Q(sso_id="") & Q(deleted_at__isnull=True),
                name="teams_user_sso_unique",
                violation_error_message="somebody else has this SSO user id already",
            ),
            models.CheckConstraint(
                condition=Q(role__in=["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"]),
                name="teams_user_role_known",
            ),
        ]

    def __str__(self) -> str:
        return self.email or self.alias or self.username


class OrganizationMembership(Limits):
    """One person in one organization: a role there, and limits of all keys that the person has there, also in teams."""

    scope_kind = ScopeKind.ORGANIZATION_MEMBER

    class Role(models.TextChoices):
        ADMIN = "org_admin", "Organization admin"
        USER = "internal_user", "Member"
        VIEWER = "internal_user_viewer", "Viewer"

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="organization_memberships")
    role = models.CharField(max_length=32, choices=Role.choices, default=Role.USER)

    class Meta(Limits.Meta):
        ordering = ["organization", "pk"]
        constraints = [
            *Limits.Meta.constraints,
            models.UniqueConstraint(fields=["organization", "user"], name="teams_org_membership_once"),
            models.CheckConstraint(
                condition=Q(role__in=["org_admin", "internal_user", "internal_user_viewer"]),
                name="teams_org_membership_role_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization}"


class TeamQuerySet(models.QuerySet["Team"]):
    def live(self) -> Self:
        """Teams that have not been deleted; deleted ones stay for the ledger."""
        return self.filter(deleted_at__isnull=True)

    def visible_to(self, caller: Caller) -> Self:
        """Platform admins see every team, others those they are in and those of the organizations they administer."""
        if caller.reads_all:
            return self
        own = Q(pk__in=caller.teams) | Q(pk=caller.key_team)
        return self.filter(own | Q(organization__in=caller.organizations))

    def managed_by(self, caller: Caller, route: str = "") -> Self:
        """Teams whose people, keys and limits the caller may change, and those that grant it `route`."""
        if caller.is_admin:
            return self
        leads = caller.leads if Standing.TEAM_ADMIN in caller.standings else frozenset()
        organizations = caller.organizations if Standing.ORG_ADMIN in caller.standings else ()
        return self.filter(Q(pk__in=leads | caller.may_write_in(route)) | Q(organization__in=organizations))

    def with_owners(self) -> Self:
        """What a team's row shows beside the team and its people: read once each, as many teams share it."""
        return self.prefetch_related("organization__shared_budget", "shared_budget", "member_budget", listed_groups())


class Team(Archived, Limits):
    """People who share keys and a budget inside one organization. The id of a deleted one is never given again."""

    scope_kind = ScopeKind.TEAM

    public_id = models.CharField("team id", max_length=128, unique=True, default=new_public_id)
    name = models.CharField("team alias", max_length=255, blank=True, default="")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="teams")
    members = models.ManyToManyField(User, through="Membership", related_name="teams")
    model_aliases = ObjectField(texts=True, default=dict, blank=True, validators=[validate_object])
    member_permissions = models.JSONField(
        "what members may do",
        default=list,
        blank=True,
        validators=[validate_names],
        help_text="Routes that plain members may use on the team's keys, e.g. /key/generate.",
    )
    member_budget = models.ForeignKey(
        SharedBudget,
        models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        help_text="Limits of every member who has none of their own; each member spends alone.",
    )
    member_key_duration = models.CharField(
        "validity of members' keys", max_length=16, blank=True, default="", validators=[validate_validity]
    )
    member_models = models.JSONField(
        "models of new members",
        default=list,
        blank=True,
        validators=[validate_names],
        help_text="What somebody who joins may call of the team's models. Empty: all of them.",
    )

    objects = TeamQuerySet.as_manager()

    class Meta(Limits.Meta):
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name or self.public_id


class Membership(Limits):
    """One person in one team, with limits of its own for that person's keys in the team."""

    scope_kind = ScopeKind.MEMBER
    organization_path = "team__organization"

    class Role(models.TextChoices):
        ADMIN = "admin", "Team admin"
        USER = "user", "Member"

    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.USER)

    class Meta(Limits.Meta):
        ordering = ["team", "pk"]
        constraints = [
            *Limits.Meta.constraints,
            models.UniqueConstraint(fields=["team", "user"], name="teams_membership_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"


class CustomerQuerySet(models.QuerySet["Customer"]):
    def live(self) -> Self:
        """Customers that have not been deleted; deleted ones stay for the ledger."""
        return self.filter(deleted_at__isnull=True)

    def visible_to(self, caller: Caller) -> Self:
        """Platform admins see every customer, organization admins those of their organizations."""
        if caller.reads_all:
            return self
        return self.filter(organization__in=caller.organizations if Standing.ORG_ADMIN in caller.standings else ())


class Customer(Archived, Limits):
    """An end user of an app, named by the app in the request's `user` field."""

    scope_kind = ScopeKind.CUSTOMER

    class Region(models.TextChoices):
        EU = "eu", "European Union"
        US = "us", "United States"

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="customers")
    public_id = models.CharField("customer id", max_length=255)
    alias = models.CharField(max_length=255, blank=True, default="")
    allowed_region = models.CharField(
        "only in", max_length=8, choices=Region.choices, blank=True, default="",
        help_text="Calls go to deployments of this region alone.",
    )  # fmt: skip
    default_model = models.CharField(
        max_length=255, blank=True, default="", help_text="Called instead of a model that the region has not got."
    )

    objects = CustomerQuerySet.as_manager()

    class Meta(Limits.Meta):
        ordering = ["public_id"]
        constraints = [
            *Limits.Meta.constraints,
            models.UniqueConstraint(
                fields=["organization", "public_id"],
                condition=Q(deleted_at__isnull=True),
                name="teams_customer_once",
            ),
            models.CheckConstraint(condition=Q(allowed_region__in=["", "eu", "us"]), name="teams_customer_region"),
        ]

    def __str__(self) -> str:
        return self.alias or self.public_id


class Tag(Limits):
    """A label on calls (a project, a cost centre) that may carry a budget."""

    scope_kind = ScopeKind.TAG

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="tags")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")

    class Meta(Limits.Meta):
        ordering = ["name"]
        constraints = [
            *Limits.Meta.constraints,
            models.UniqueConstraint(fields=["organization", "name"], name="teams_tag_once"),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyChange(models.Model):
    """Announces that a scope's policy changed; gateway workers read the newest rows a few times a second."""

    scope = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.scope


class CounterServer(models.Model):
    """The run of the counter store that the published epochs belong to. One row."""

    run_id = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.run_id


class AuditQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, caller: Caller) -> Self:
        """Platform admins read the whole trail; nobody else reads any of it."""
        return self if caller.reads_all else self.none()


class AuditEvent(models.Model):
    """Who did what to which object, written in the transaction of the change. Append-only."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=255)
    actor_key = models.CharField("key that it was done with (SHA-256)", max_length=64, blank=True, default="")
    action = models.CharField(max_length=64, db_index=True)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=255)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["object_type", "object_id"], name="teams_audit_object")]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"
