"""How much and how fast: the columns that every scope with limits has, and limits that many share by name."""

import uuid
from datetime import datetime
from typing import Any, ClassVar, Self

from django.apps import apps
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from teams.budgets import Budget, without_doubles
from teams.callers import Caller
from teams.json_checks import is_json
from teams.object_field import ObjectField
from teams.scopes import MAX_BUDGET_NANO, ScopeKind, scope_name
from teams.validators import (
    validate_duration,
    validate_model_limits,
    validate_names,
    validate_object,
    validate_windows,
)

#: Columns by which a row gives a shared budget to others, and to whom.
HANDED_OUT = {"member_budget": "members", "end_user_budget": "customers"}


def new_public_id() -> str:
    return str(uuid.uuid4())


def _between(field: str, top: int | None = None) -> Q:
    bounds = Q(**{f"{field}__gte": 0}) & (Q(**{f"{field}__lte": top}) if top is not None else Q())
    return Q(**{f"{field}__isnull": True}) | bounds


class Terms(models.Model):
    """How much and how fast. Money in nano-USD, rates per minute; null means no limit is set here.

    `budget_limits` and `model_limits` are further budgets beside the main one, as `teams.budgets` describes.
    """

    scope_kind: ClassVar[ScopeKind]

    max_budget_nano = models.BigIntegerField("maximum budget (nano-USD)", null=True, blank=True)
    soft_budget_nano = models.BigIntegerField("soft budget (nano-USD)", null=True, blank=True)
    budget_duration = models.CharField(max_length=16, blank=True, default="", validators=[validate_duration])
    budget_started_at = models.DateTimeField(default=timezone.now, editable=False)
    budget_limits = models.JSONField("further budgets", default=list, blank=True, validators=[validate_windows])
    model_limits = models.JSONField("limits per model", default=dict, blank=True, validators=[validate_model_limits])
    rpm_limit = models.BigIntegerField("requests per minute", null=True, blank=True)
    tpm_limit = models.BigIntegerField("tokens per minute", null=True, blank=True)
    max_parallel_requests = models.BigIntegerField("parallel requests", null=True, blank=True)
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
            models.CheckConstraint(
                condition=is_json("budget_limits", "array") & is_json("model_limits", "object"),
                name="%(app_label)s_%(class)s_limits_well_formed",
                violation_error_message="further budgets are a list, limits per model an object",
            ),
        ]

    @property
    def scope(self) -> str:
        return scope_name(self.scope_kind, self.pk)

    def effective(self, name: str) -> Any:
        """The value in force of one of the columns above."""
        return getattr(self, name)

    @property
    def schedule(self) -> tuple[str, datetime]:
        """Duration of the main budget in force, and the instant that places its windows."""
        return self.budget_duration, self.budget_started_at

    @property
    def limits_by_model(self) -> dict[str, dict[str, Any]]:
        """Limits per model in force."""
        models: dict[str, dict[str, Any]] = self.model_limits
        return models

    @property
    def raised(self) -> tuple[int, datetime | None]:
        """Temporary raise of the main budget, and when it ends."""
        return 0, None

    def budgets(self) -> tuple[Budget, ...]:
        """Every budget in force: the main one, further windows, models. Their order is fixed."""
        limit, soft = self.effective("max_budget_nano"), self.effective("soft_budget_nano")
        duration, anchor = self.schedule
        main = Budget(duration, limit, anchor, "", *self.raised, soft)
        windows = [Budget(w["duration"], w["max_nano"], self.created_at) for w in self.effective("budget_limits")]
        models = [
            Budget(limits.get("duration", ""), limits["max_nano"], self.created_at, model)
            for model, limits in sorted(self.limits_by_model.items())
            if "max_nano" in limits
        ]
        has_main = limit is not None or soft is not None
        return without_doubles([*((main,) if has_main else ()), *windows, *models])

    @property
    def sets_nothing(self) -> bool:
        """Whether there is no limit here, of money or of rates."""
        rates = (self.effective(name) for name in ("rpm_limit", "tpm_limit", "max_parallel_requests"))
        return not self.budgets() and not self.limits_by_model and all(rate is None for rate in rates)


class SharedBudgetQuerySet(models.QuerySet["SharedBudget"]):
    def nameable_by(self, caller: Caller) -> Self:
        """Budgets that a caller may give to something: those that something which concerns the caller has already."""
        if caller.is_admin:
            return self
        known = Q(pk__in=())
        for model in apps.get_models():
            if issubclass(model, Limits):
                columns = {field.name for field in model._meta.concrete_fields}
                rows: models.QuerySet[Any] = model._default_manager.filter(_concerning(model, caller))
                rows = rows.filter(deleted_at=None) if "deleted_at" in columns else rows
                for column in columns & {"shared_budget", *HANDED_OUT}:
                    known |= Q(Exists(rows.filter(**{column: OuterRef("pk")})))
        return self.filter(known)


class SharedBudget(Terms):
    """A named set of limits that many scopes share by reference; each keeps a counter of its own."""

    scope_kind = ScopeKind.BUDGET

    public_id = models.CharField("budget id", max_length=128, unique=True, default=new_public_id)
    created_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    updated_by = models.CharField(max_length=255, blank=True, default="", editable=False)

    objects = SharedBudgetQuerySet.as_manager()

    class Meta(Terms.Meta):
        ordering = ["public_id"]
        verbose_name = "budget"

    def __str__(self) -> str:
        return self.public_id


class Limits(Terms):
    """What one scope may do. What it sets itself counts; where it sets nothing, its shared budget does."""

    #: Where rows of this kind name their organization.
    organization_path: ClassVar[str] = "organization"

    raise_nano = models.BigIntegerField("temporary raise (nano-USD)", default=0, blank=True)
    raise_until = models.DateTimeField("raised until", null=True, blank=True)
    shared_budget = models.ForeignKey(SharedBudget, models.PROTECT, related_name="+", null=True, blank=True)
    allowed_models = models.JSONField("models", default=list, blank=True, validators=[validate_names])
    metadata = ObjectField(default=dict, blank=True, validators=[validate_object])
    blocked = models.BooleanField(default=False)

    class Meta(Terms.Meta):
        abstract = True
        constraints = [
            *Terms.Meta.constraints,
            models.CheckConstraint(
                condition=Q(raise_nano=0) | Q(raise_nano__range=(1, MAX_BUDGET_NANO), raise_until__isnull=False),
                name="%(app_label)s_%(class)s_raise_ends",
                violation_error_message="a temporary raise lies between 0 and 9,000,000 USD, and ends one day",
            ),
        ]

    def effective(self, name: str) -> Any:
        """The own value of a column of `Terms` where it is set, else the shared budget's."""
        own = getattr(self, name)
        if own not in (None, "", [], {}) or self.shared_budget is None:
            return own
        return getattr(self.shared_budget, name)

    @property
    def schedule(self) -> tuple[str, datetime]:
        shared = self.shared_budget
        return super().schedule if self.budget_duration or shared is None else shared.schedule

    @property
    def limits_by_model(self) -> dict[str, dict[str, Any]]:
        """Limits per model in force; a model that is named here is not looked up in the shared budget."""
        shared = self.shared_budget.model_limits if self.shared_budget else {}
        return {**shared, **self.model_limits}

    @property
    def raised(self) -> tuple[int, datetime | None]:
        return self.raise_nano, self.raise_until


def _concerning(model: type[Limits], caller: Caller) -> Q:
    """Rows of a kind that are the caller's own, that it leads, and teams, projects and organizations that it is in."""
    person = caller.user_pk or 0
    led, own = Q(team__in=caller.leads), Q(user=person)
    of_kind = {
        ScopeKind.ORGANIZATION: Q(pk__in=caller.joined_organizations),
        ScopeKind.ORGANIZATION_MEMBER: own & Q(organization__in=caller.joined_organizations),
        ScopeKind.TEAM: Q(pk__in=caller.teams),
        ScopeKind.MEMBER: led | (own & Q(team__in=caller.teams)),
        ScopeKind.PROJECT: Q(team__in=caller.teams),
        ScopeKind.USER: Q(pk=person if caller.personal else 0),
        ScopeKind.KEY: led | Q(pk=caller.key_pk or 0) | (own if caller.personal else Q(pk__in=())),
    }
    administered = Q(**{f"{model.organization_path}__in": caller.organizations})
    return administered | of_kind.get(model.scope_kind, Q(pk__in=()))


class Archived(models.Model):
    """A row that stays for the ledger when it is deleted: it is shown nowhere and lets nobody in any more."""

    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_by = models.CharField(max_length=255, blank=True, default="", editable=False)

    class Meta:
        abstract = True
