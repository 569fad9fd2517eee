"""What happens to a call: providers, their credentials, public models and the deployments that serve them."""

from collections.abc import Iterable, Sequence
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from keys.grants import ScopePolicy
from keys.loading import load_grants, policy_of
from keys.models import VirtualKey
from proxy import fallback_rules
from proxy.fallback_rules import Fallbacks
from proxy.pool_models import Pool
from proxy.runtime import permit
from proxy.runtime.catalog import Catalog
from teams.callers import Caller, Standing
from teams.models import Team, new_public_id
from teams.object_field import ObjectField
from teams.validators import validate_names, validate_object

__all__ = [
    "AccessGroup", "Credential", "Deployment", "Fallback", "HealthCheck", "LanguageModel", "Pool", "Provider",
]  # fmt: skip


class Provider(models.Model):
    """A kind of upstream; `slug` picks the adapter in `proxy.providers`."""

    slug = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=255)
    base_url = models.URLField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name


class Credential(models.Model):
    """A provider's secret, encrypted for this row and bound to the one host it may be sent to."""

    name = models.CharField(max_length=255, unique=True)
    provider = models.ForeignKey(Provider, models.PROTECT, related_name="credentials")
    display_name = models.CharField(max_length=255, blank=True, default="")
    host = models.CharField(max_length=255, help_text="host[:port] that the secret may be sent to")
    envelope = models.TextField(editable=False)
    base_url = models.URLField(max_length=500, blank=True, default="")
    params = ObjectField("further values", default=dict, blank=True, validators=[validate_object])
    info = ObjectField(default=dict, blank=True, validators=[validate_object])
    is_own = models.BooleanField("made with a model", default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.display_name if self.is_own and self.display_name else self.name


class LanguageModel(models.Model):
    """A public model name that apps ask for; one or more deployments serve it."""

    name = models.CharField("model name", max_length=255, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        verbose_name = "model"

    def __str__(self) -> str:
        return self.name


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    def visible_to(self, caller: Caller) -> Self:
        """Platform admins see all; others what the calling key may call, and what they manage."""
        if caller.reads_all:
            return self
        managed = Q(team__in=caller.leads) | Q(team__organization__in=caller.organizations)
        return self.filter(Q(pk__in=_callable_by(caller)) | managed)

    def addressed_to(self, caller: Caller) -> Self:
        """Deployments whose address the spend log tells the caller: platform admins and viewers all. Others may see
        calls of deployments that they may not call themselves."""
        return self if caller.reads_all else self.none()

    def managed_by(self, caller: Caller) -> Self:
        """Deployments that the caller may change: those of the teams it leads; platform admins all."""
        if caller.is_admin:
            return self
        leads = caller.leads if Standing.TEAM_ADMIN in caller.standings else frozenset()
        organizations = caller.organizations if Standing.ORG_ADMIN in caller.standings else frozenset()
        return self.filter(Q(team__in=leads) | Q(team__organization__in=organizations))

    def of_team(self, team: Team) -> Self:
        """Deployments that keys of a team may call, as far as the team and its organization say."""
        epoch = team.organization.epoch
        chain = policy_of(team.organization, epoch=epoch), policy_of(team, epoch=epoch)
        return self.filter(pk__in=_allowed(Deployment.objects.select_related("model"), team.pk, chain))

    def with_owners(self) -> Self:
        return self.select_related("model", "provider", "credential", "team")


class Deployment(models.Model):
    """One way to serve a model: a provider's model at a base URL with a credential.

    With a `team` only keys of that team may call it, and they get it before what serves the name for everybody.
    """

    class Mode(models.TextChoices):
        CHAT = "chat", "Chat"
        COMPLETION = "completion", "Legacy completion"
        EMBEDDING = "embedding", "Embedding"
        IMAGE = "image_generation", "Image"
        MODERATION = "moderation", "Moderation"

    class Source(models.TextChoices):
        API = "api", "Admin or API"
        CONFIG = "config", "Configuration file"
        DEMO = "demo", "Demo"

    public_id = models.CharField("model id", max_length=128, unique=True, default=new_public_id)
    model = models.ForeignKey(LanguageModel, models.CASCADE, related_name="deployments")
    provider = models.ForeignKey(Provider, models.PROTECT, related_name="deployments")
    upstream_model = models.CharField(max_length=255)
    base_url = models.URLField(max_length=500, blank=True)
    credential = models.ForeignKey(Credential, models.PROTECT, null=True, blank=True, related_name="deployments")
    awaited_credential = models.CharField("waits for", max_length=255, blank=True, default="", editable=False)
    mode = models.CharField(max_length=16, choices=Mode.choices, default=Mode.CHAT)
    max_input_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    max_output_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    is_free = models.BooleanField("free of charge", default=False)
    timeout_seconds = models.PositiveIntegerField(default=600)
    max_retries = models.PositiveSmallIntegerField(default=2)
    stated = models.JSONField(default=dict, blank=True, editable=False)
    blocked = models.BooleanField(default=False)
    team = models.ForeignKey(Team, models.CASCADE, null=True, blank=True, related_name="own_models")
    access_groups = models.JSONField(default=list, blank=True, validators=[validate_names])
    params = ObjectField("further parameters", default=dict, blank=True, validators=[validate_object])
    model_info = ObjectField(default=dict, blank=True, validators=[validate_object])
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.API, editable=False)
    created_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    updated_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ["model__name", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(timeout_seconds__gte=1) & Q(max_retries__lte=10),
                name="proxy_deployment_limits",
                violation_error_message="a timeout is at least one second, and at most ten retries are made",
            )
        ]

    def __str__(self) -> str:
        return f"{self.model.name} ({self.upstream_model})"

    @property
    def price_item(self) -> str:
        """Name of this deployment's own price in the price book."""
        return f"deployment:{self.public_id}"

    @property
    def groups(self) -> frozenset[str]:
        """Access groups it is in: those that were added here, and those that the configuration file names."""
        return frozenset(self.listed_groups)

    @property
    def listed_groups(self) -> list[str]:
        """The same, each once and in the order it was named: tools compare what they read with what they sent."""
        return list(dict.fromkeys([*(self.model_info.get("access_groups") or ()), *self.access_groups]))

    @property
    def credential_name(self) -> str:
        """The stored credential that it is called with, or waits for; empty if it has none, or one of its own."""
        return self.credential.name if self.credential and not self.credential.is_own else self.awaited_credential

    @property
    def shown_model(self) -> str:
        """The upstream model as whoever made this wrote it: tools compare what they read with what they sent."""
        bare = self.params.get("model") == self.upstream_model
        return self.upstream_model if bare else f"{self.provider.slug}/{self.upstream_model}"

    @property
    def is_wildcard(self) -> bool:
        return "*" in self.model.name

    def status(self) -> str:
        """One of blocked, waits, active. One that waits for its credential is not called either."""
        if self.blocked:
            return "blocked"
        return "waits" if self.awaited_credential else "active"


class AccessGroup(models.Model):
    """Models that an admin adds to what keys and teams may call, beside the models they list themselves."""

    public_id = models.CharField("access group id", max_length=128, unique=True, default=new_public_id)
    name = models.CharField("access group", max_length=255, unique=True)
    description = models.TextField(blank=True, default="")
    model_names = models.JSONField(default=list, blank=True, validators=[validate_names])
    teams = models.ManyToManyField(Team, related_name="access_groups", blank=True)
    keys = models.ManyToManyField(VirtualKey, related_name="access_groups", blank=True)
    created_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    updated_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def granted() -> dict[str, tuple[str, ...]]:
        """Models that groups add to each scope's own list, by scope."""
        found: dict[str, tuple[str, ...]] = {}
        for group in AccessGroup.objects.prefetch_related("teams", "keys"):
            for scope in (*group.teams.all(), *group.keys.all()):
                found[scope.scope] = (*found.get(scope.scope, ()), *group.model_names)
        return found


class Fallback(models.Model):
    """Models that take over from another one; wins over what the configuration file says about it."""

    class Kind(models.TextChoices):
        GENERAL = fallback_rules.GENERAL, "Any failure"
        CONTEXT_WINDOW = fallback_rules.CONTEXT_WINDOW, "Too long for the model"
        CONTENT_POLICY = fallback_rules.CONTENT_POLICY, "Against the provider's content policy"

    model_name = models.CharField("model", max_length=255)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.GENERAL)
    fallback_models = models.JSONField(default=list, validators=[validate_names])
    created_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    updated_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["model_name", "kind"]
        constraints = [models.UniqueConstraint(fields=["model_name", "kind"], name="proxy_fallback_once")]

    def __str__(self) -> str:
        return f"{self.model_name} -> {', '.join(self.fallback_models)}"

    @classmethod
    def over(cls, file: Fallbacks) -> Fallbacks:
        """All fallbacks: those of the file, and over them those that are stored."""
        return file.beneath(cls.objects.values_list("model_name", "kind", "fallback_models"))


class HealthCheck(models.Model):
    """What came of asking one deployment's provider. Rows name the deployment, so they outlive it."""

    deployment_id = models.CharField("model id", max_length=128)
    model_name = models.CharField(max_length=255)
    problem = models.CharField(max_length=255, blank=True, default="")
    milliseconds = models.PositiveIntegerField(default=0)
    checked_at = models.DateTimeField(db_index=True)
    checked_by = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["deployment_id", "-id"], name="proxy_health_latest")]

    def __str__(self) -> str:
        return f"{self.model_name}: {self.problem or 'healthy'}"


def _callable_by(caller: Caller) -> list[int]:
    """Deployments that the calling key may call; of a person without one, what its teams and everybody share."""
    rows = Deployment.objects.filter(blocked=False).select_related("model")
    grant = load_grants([caller.token]).get(caller.token) if caller.token else None
    if grant is None:
        return [row.pk for row in rows if row.team_id is None or row.team_id in caller.teams]
    return _allowed(rows, grant.owners.team_id, grant.chain)


def _allowed(rows: Iterable[Deployment], team: int | None, chain: Sequence[ScopePolicy]) -> list[int]:
    """Those of everybody and of a team that every list of a chain covers."""
    granted = Catalog(granted=AccessGroup.granted())
    return [
        row.pk
        for row in rows
        if row.team_id in (None, team)
        and all(permit.allows(policy, row.model.name, _names_of(row), granted) for policy in chain)
    ]


def _names_of(row: Deployment) -> frozenset[str]:
    """By which further names lists may mean its model."""
    aliases: frozenset[str] = settings.MODEL_ALIASES.of(row.model.name)
    return row.groups | aliases
