"""What happens to a call: providers, their credentials, public models and the deployments that serve them."""

from typing import Self

from django.db import models
from django.db.models import Q

from teams.callers import Caller
from teams.models import new_public_id
from teams.validators import validate_object


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
    host = models.CharField(max_length=255, help_text="host[:port] that the secret may be sent to")
    envelope = models.TextField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ModelQuerySet(models.QuerySet["LanguageModel"]):
    def visible_to(self, caller: Caller) -> Self:
        """Which models exist is no secret inside the company; calling them needs a key that allows it."""
        return self if caller.is_authenticated else self.none()


class LanguageModel(models.Model):
    """A public model name that apps ask for; one or more deployments serve it."""

    name = models.CharField("model name", max_length=255, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ModelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = "model"

    def __str__(self) -> str:
        return self.name


class Deployment(models.Model):
    """One way to serve a model: a provider's model at a base URL with a credential."""

    class Mode(models.TextChoices):
        CHAT = "chat", "Chat"
        COMPLETION = "completion", "Legacy completion"
        EMBEDDING = "embedding", "Embedding"

    class Source(models.TextChoices):
        API = "api", "Admin or API"
        CONFIG = "config", "Configuration file"
        DEMO = "demo", "Demo"

    public_id = models.CharField("model id", max_length=128, unique=True, default=new_public_id)
    model = models.ForeignKey(LanguageModel, models.CASCADE, related_name="deployments")
    provider = models.ForeignKey(Provider, models.PROTECT, related_name="deployments")
    upstream_model = models.CharField(max_length=255)
    base_url = models.URLField(max_length=500)
    credential = models.ForeignKey(Credential, models.PROTECT, null=True, blank=True, related_name="deployments")
    mode = models.CharField(max_length=16, choices=Mode.choices, default=Mode.CHAT)
    max_input_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    max_output_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    is_free = models.BooleanField("free of charge", default=False)
    timeout_seconds = models.PositiveIntegerField(default=600)
    max_retries = models.PositiveSmallIntegerField(default=2)
    blocked = models.BooleanField(default=False)
    params = models.JSONField("further parameters", default=dict, blank=True, validators=[validate_object])
    model_info = models.JSONField(default=dict, blank=True, validators=[validate_object])
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.API, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

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
