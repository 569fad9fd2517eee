"""Projects: parts of a team's work, each with limits of its own for the keys that are made for it."""

from typing import Self

from django.db import models

from teams.callers import Caller, Standing
from teams.scopes import ScopeKind
from teams.terms import Archived, Limits, new_public_id


class ProjectQuerySet(models.QuerySet["Project"]):
    def live(self) -> Self:
        """Projects that have not been deleted; deleted ones stay for the ledger."""
        return self.filter(deleted_at__isnull=True)

    def visible_to(self, caller: Caller) -> Self:
        """Platform admins see every project, others those of their teams and of organizations they administer."""
        if caller.reads_all:
            return self
        own = models.Q(team__in=caller.teams) | models.Q(team=caller.key_team)
        return self.filter(own | models.Q(team__organization__in=caller.organizations))

    def managed_by(self, caller: Caller) -> Self:
        """Projects that the caller may change: those of teams it leads."""
        if caller.is_admin:
            return self
        leads = caller.leads if Standing.TEAM_ADMIN in caller.standings else ()
        organizations = caller.organizations if Standing.ORG_ADMIN in caller.standings else ()
        return self.filter(models.Q(team__in=leads) | models.Q(team__organization__in=organizations))

    def with_owners(self) -> Self:
        return self.select_related("team__organization", "team__shared_budget", "shared_budget")


class Project(Archived, Limits):
    """A scope between a team (and its member) and the keys that name it. It never moves to another team."""

    scope_kind = ScopeKind.PROJECT
    organization_path = "team__organization"

    public_id = models.CharField("project id", max_length=128, unique=True, default=new_public_id)
    name = models.CharField("project alias", max_length=255, blank=True, default="")
    description = models.TextField(blank=True, default="")
    team = models.ForeignKey("teams.Team", models.PROTECT, related_name="projects")
    created_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    updated_by = models.CharField(max_length=255, blank=True, default="", editable=False)

    objects = ProjectQuerySet.as_manager()

    class Meta(Limits.Meta):
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name or self.public_id
