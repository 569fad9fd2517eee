"""Who we are: organizations, teams, people, and the limits that any of them may carry."""

import uuid
from typing import Any, ClassVar, Self
from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from teams.scopes import MAX_BUDGET_NANO, ScopeKind, scope_name
from teams.windows import BadDuration, parse_budget_duration


def new_public_id() -> str:
    return str(uuid.uuid4())


def validate_duration(value: str) -> None:
    try:
        parse_budget_duration(value)
    except BadDuration as error:
        raise ValidationError(str(error)) from error


def validate_names(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValidationError("must be a list of non-empty strings")


def validate_object(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValidationError("must be an object")


def validate_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError(f"'{value}' is not a time zone of the IANA database, e.g. 'Europe/Berlin'")


def _between(field: str, top: int | None = None) -> Q:
    bounds = Q(**{f"{field}__gte": 0}) & (Q(**{f"{field}__lte": top}) if top is not None else Q())
    return Q(**{f"{field}__isnull": True}) | bounds


class Limits(models.Model):
    """What one scope may do. Money in nano-USD, rates per minute; null means this scope sets no limit."""

    scope_kind: ClassVar[ScopeKind]

    max_budget_nano = models.BigIntegerField("maximum budget (nano-USD)", null=True, blank=True)
    soft_budget_nano = models.BigIntegerField("soft budget (nano-USD)", null=True, blank=True)
    budget_duration = models.CharField(max_length=16, blank=True, default="", validators=[validate_duration])
    budget_started_at = models.DateTimeField(default=timezone.now, editable=False)
    rpm_limit = models.BigIntegerField("requests per minute", null=True, blank=True)
    tpm_limit = models.BigIntegerField("tokens per minute", null=True, blank=True)
    max_parallel_requests = models.BigIntegerField("parallel requests", null=True, blank=True)
    allowed_models = models.JSONField("models", default=list, blank=True, validators=[validate_names])
    metadata = models.JSONField(default=dict, blank=True, validators=[validate_object])
    blocked = models.BooleanField(default=False)
    version = models.BigIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=_between("max_budget_nano", MAX_BUDGET_NANO) & _between("soft_budget_nano", MAX_BUDGET_NANO),
                name="%(app_label)s_%(class)s_budget_in_range",
                violation_error_message="a budget lies between 0 and 9,000,000 USD",
            ),
            models.CheckConstraint(
                condition=_between("rpm_limit") & _between("tpm_limit") & _between("max_parallel_requests"),
                name="%(app_label)s_%(class)s_limits_not_negative",
                violation_error_message="a limit is never negative",
            ),
        ]

    @property
    def scope(self) -> str:
        return scope_name(self.scope_kind, self.pk)


class Organization(Limits):
    """The top of the chain and the unit of sharding. `epoch` fences intents against lost counters."""

    scope_kind = ScopeKind.ORGANIZATION

    public_id = models.CharField("organization id", max_length=128, unique=True, default=new_public_id)
    name = models.CharField(max_length=255)
    timezone = models.CharField("reporting time zone", max_length=64, default="UTC", validators=[validate_zone])
    epoch = models.BigIntegerField(default=1, editable=False)

    class Meta(Limits.Meta):
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class PeopleManager(UserManager["User"]):
    """Django's manager, kept under our name so that `createsuperuser` works unchanged."""


class User(AbstractUser, Limits):
    """A person. Limits on a user govern that user's personal keys, not keys of a team."""

    scope_kind = ScopeKind.USER

    class Role(models.TextChoices):
        PROXY_ADMIN = "proxy_admin", "Platform admin"
        PROXY_ADMIN_VIEWER = "proxy_admin_viewer", "Platform admin (read only)"
        INTERNAL_USER = "internal_user", "Developer"
        INTERNAL_USER_VIEWER = "internal_user_viewer", "Viewer"

    public_id = models.CharField("user id", max_length=128, unique=True, default=new_public_id)
    alias = models.CharField(max_length=255, blank=True, default="")
    role = models.CharField(max_length=32, choices=Role.choices, default=Role.INTERNAL_USER)
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="users", null=True, blank=True)

    objects: ClassVar[PeopleManager] = PeopleManager()

    class Meta(Limits.Meta):
        ordering = ["username"]
        constraints = [
            *Limits.Meta.constraints,
            models.UniqueConstraint(fields=["email"], condition=~Q(email=""), name="teams_user_email_unique"),
            models.CheckConstraint(
                condition=Q(role__in=["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"]),
                name="teams_user_role_known",
            ),
        ]

    def __str__(self) -> str:
        return self.email or self.alias or self.username


class Team(Limits):
    """People who share keys and a budget inside one organization."""

    scope_kind = ScopeKind.TEAM

    public_id = models.CharField("team id", max_length=128, unique=True, default=new_public_id)
    name = models.CharField("team alias", max_length=255, blank=True, default="")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="teams")
    members = models.ManyToManyField(User, through="Membership", related_name="teams")
    model_aliases = models.JSONField(default=dict, blank=True, validators=[validate_object])

    class Meta(Limits.Meta):
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name or self.public_id


class Membership(Limits):
    """One person in one team, with limits of its own for that person's keys in the team."""

    scope_kind = ScopeKind.MEMBER

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


class Customer(Limits):
    """An end user of an app, named by the app in the request's `user` field."""

    scope_kind = ScopeKind.CUSTOMER

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="customers")
    public_id = models.CharField("customer id", max_length=255)
    alias = models.CharField(max_length=255, blank=True, default="")

    class Meta(Limits.Meta):
        ordering = ["public_id"]
        constraints = [
            *Limits.Meta.constraints,
            models.UniqueConstraint(fields=["organization", "public_id"], name="teams_customer_once"),
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
    """Announces that a scope's policy changed; gateway workers read the newest rows every second."""

    scope = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.scope


class AuditQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, user: User) -> Self:
        """Platform admins read the whole trail; nobody else reads any of it."""
        return self if user.is_superuser or user.role.startswith(User.Role.PROXY_ADMIN) else self.none()


class AuditEvent(models.Model):
    """Who did what to which object, written in the transaction of the change. Append-only."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=255)
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
