"""Pools: what all calls to a provider, or to the models of an access group, may spend together."""

from typing import Self

from django.db import models

from teams.callers import Caller
from teams.scopes import ScopeKind
from teams.terms import Terms


class PoolQuerySet(models.QuerySet["Pool"]):
    def visible_to(self, caller: Caller) -> Self:
        """Platform admins see them, nobody else does."""
        return self if caller.reads_all else self.none()


class Pool(Terms):
    """One amount for everybody's calls to a provider, or to the models of an access group.

    It counts the calls that were admitted since it was made. Its counters are kept beside the platform's.
    """

    class Kind(models.TextChoices):
        PROVIDER = "provider", "Provider"
        ACCESS_GROUP = "access_group", "Access group"

    scope_kind = ScopeKind.POOL

    kind = models.CharField("counts calls to", max_length=16, choices=Kind.choices)
    name = models.CharField(max_length=255, help_text="a provider's short name, such as openai, or an access group's")
    is_from_file = models.BooleanField("from the configuration file", default=False, editable=False)
    created_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    updated_by = models.CharField(max_length=255, blank=True, default="", editable=False)

    objects = PoolQuerySet.as_manager()

    class Meta(Terms.Meta):
        ordering = ["kind", "name"]
        constraints = [
            *Terms.Meta.constraints,
            models.UniqueConstraint(
                fields=["kind", "name"], name="proxy_pool_once",
                violation_error_message="there is a budget for it already; change that one",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.get_kind_display().lower()} '{self.name}'"
