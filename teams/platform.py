"""The platform: the one scope above every organization."""

from typing import Self

from django.db import models
from django.db.models import Q

from teams.callers import Caller
from teams.scopes import ScopeKind
from teams.terms import Terms
from teams.validators import validate_zone

PK = 1


class PlatformQuerySet(models.QuerySet["Platform"]):
    def visible_to(self, caller: Caller) -> Self:
        """Platform admins see what everybody together may spend, nobody else does."""
        return self if caller.reads_all else self.none()

    def managed_by(self, caller: Caller) -> Self:
        return self if caller.is_admin else self.none()


class Platform(Terms):
    """What all organizations together may spend, and how fast. One row; `epoch` fences intents as an organization's.

    It counts whatever any organization counts, so no call names it and nothing is added up for it.
    """

    scope_kind = ScopeKind.PLATFORM

    timezone = models.CharField("reporting time zone", max_length=64, default="UTC", validators=[validate_zone])
    epoch = models.BigIntegerField(default=1, editable=False)
    from_file = models.JSONField(default=list, editable=False)
    """Columns that the configuration file set at the last start."""

    objects = PlatformQuerySet.as_manager()

    class Meta(Terms.Meta):
        verbose_name_plural = "platform"
        constraints = [
            *Terms.Meta.constraints,
            models.CheckConstraint(condition=Q(id=PK), name="teams_platform_once"),
        ]

    def __str__(self) -> str:
        return "all organizations"
