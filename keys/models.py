"""Virtual keys: who may call."""

from datetime import datetime
from typing import Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Prefetch, Q
from django.utils import timezone

from teams.access_groups import RELATION, listed_groups
from teams.callers import Caller, Standing
from teams.json_checks import names_in
from teams.models import Limits, Organization, Project, SharedBudget, Team, User
from teams.object_field import ObjectField
from teams.scopes import ScopeKind
from teams.validators import validate_names, validate_object
from teams.windows import BadDuration, duration_delta

#: Public id of the row that the master key's calls are attributed to.
MASTER_ID = "master"

#: The rows above a key in its chain, and the limits that they share with others.
OWNERS = (
    "organization__shared_budget", "team__shared_budget", "project__shared_budget", "user__shared_budget",
    "shared_budget", "end_user_budget", "sponsor",
)  # fmt: skip


class KeyQuerySet(models.QuerySet["VirtualKey"]):
    def live(self) -> Self:
        """Keys that have not been deleted; deleted ones stay for the ledger."""
        return self.filter(deleted_at__isnull=True).exclude(public_id=MASTER_ID)

    def visible_to(self, caller: Caller, route: str = "") -> Self:
        """Platform admins see every key; others their own, the calling one, those they manage or may list, and those
        of teams that grant them `route`."""
        if caller.reads_all:
            return self
        own = Q(pk=caller.key_pk) | (Q(user=caller.user_pk) if caller.user_pk else Q())
        listed = caller.may_read_in("/key/list", route)
        return self.filter(own | Q(team__in=listed | caller.leads) | Q(organization__in=caller.organizations))

    def described_to(self, caller: Caller) -> Self:
        """Keys whose limits and spend the caller may read: visible ones, and those of the teams it is in."""
        if caller.reads_all:
            return self
        seen = VirtualKey.objects.visible_to(caller).values("pk")
        teams = caller.teams | ({caller.key_team} if caller.key_team else set())
        return self.filter(Q(pk__in=seen) | Q(team__in=teams))

    def led_by(self, caller: Caller, route: str = "") -> Self:
        """Keys of teams and organizations that the caller leads, and of those that grant it `route`."""
        if caller.is_admin:
            return self
        standings = caller.standings
        leads = caller.leads if Standing.TEAM_ADMIN in standings else frozenset()
        organizations = caller.organizations if Standing.ORG_ADMIN in standings else frozenset()
        return self.filter(Q(team__in=leads | caller.may_write_in(route)) | Q(organization__in=organizations))

    def managed_by(self, caller: Caller, route: str) -> Self:
        """Keys that the caller may change by `route`: own ones, and those of teams and organizations it leads.

        A plain member of a team gets at the team's keys only by the routes that the team grants.
        """
        if caller.is_admin or not caller.personal or Standing.USER not in caller.standings:
            return self.led_by(caller, route)
        led = VirtualKey.objects.led_by(caller, route).values("pk")
        return self.filter(Q(user=caller.user_pk, team__isnull=True) | Q(pk__in=led))

    def with_owners(self) -> Self:
        return self.select_related(*OWNERS)

    def sharing_owners(self) -> Self:
        """The same for rows of many keys, of which many have the same owners: those are read once each."""
        return self.prefetch_related(*OWNERS, RELATION)

    def with_names(self) -> Self:
        """What a row of a list shows of its owners: no more than how they are called, and the organization's clocks."""
        return self.prefetch_related(
            Prefetch("organization", Organization.objects.only("public_id", "timezone")),
            Prefetch("team", Team.objects.only("public_id")),
            Prefetch("project", Project.objects.only("public_id")),
            Prefetch("user", User.objects.only("public_id")),
            "shared_budget",
            "end_user_budget",
            listed_groups(),
        )


class VirtualKey(Limits):
    """A prepaid card: opens only its models, spends only its budget. The secret itself is never stored."""

    class OutputCapPolicy(models.TextChoices):
        CLAMP = "clamp", "Lower it to a fair share of the budget"
        REJECT = "reject", "Refuse the call, and name a cap that fits"

    scope_kind = ScopeKind.KEY

    public_id = models.CharField(max_length=16, unique=True, editable=False)
    token = models.CharField("token (SHA-256)", max_length=64, unique=True, editable=False)
    seal = models.CharField(max_length=128, editable=False)
    masked = models.CharField("key", max_length=16, editable=False)
    alias = models.CharField("key alias", max_length=255, null=True, blank=True)
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="keys")
    names_organization = models.BooleanField(default=False, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="keys", null=True, blank=True)
    project = models.ForeignKey(Project, models.PROTECT, related_name="keys", null=True, blank=True)
    user = models.ForeignKey(User, models.PROTECT, related_name="keys", null=True, blank=True)
    service_account = models.CharField(max_length=255, blank=True, default="")
    sponsor = models.ForeignKey(
        User,
        models.PROTECT,
        related_name="sponsored_keys",
        null=True,
        blank=True,
        editable=False,
        verbose_name="spends within the limits of",
    )
    known_to = models.ManyToManyField(User, related_name="known_keys", editable=False)
    """Who else may know the secret: with it nobody does what one of them may not."""
    end_user_budget = models.ForeignKey(
        SharedBudget,
        models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        verbose_name="budget of new customers",
    )
    aliases = ObjectField("model aliases", texts=True, default=dict, blank=True, validators=[validate_object])
    tags = models.JSONField(default=list, blank=True, validators=[validate_names])
    allowed_routes = models.JSONField(default=list, blank=True, validators=[validate_names])
    output_cap_policy = models.CharField(
        "output cap if a call has none",
        max_length=8,
        choices=OutputCapPolicy.choices,
        default=OutputCapPolicy.CLAMP,
    )
    auto_rotate = models.BooleanField("rotate by itself", default=False)
    rotation_interval = models.CharField("rotate every", max_length=16, blank=True, default="")
    rotate_at = models.DateTimeField("next rotation", null=True, blank=True, editable=False)
    rotated_at = models.DateTimeField("last rotation", null=True, blank=True, editable=False)
    rotation_count = models.PositiveIntegerField(default=0, editable=False)
    extras = models.JSONField("kept for clients", default=dict, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    expiry_noted_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    updated_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_by = models.CharField(max_length=255, blank=True, default="", editable=False)

    objects = KeyQuerySet.as_manager()

    class Meta(Limits.Meta):
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["team", "-id"], name="keys_by_team"),
            models.Index(fields=["user", "-id"], name="keys_by_user"),
            models.Index(fields=["created_by", "-id"], condition=Q(deleted_at__isnull=True), name="keys_by_maker"),
            models.Index(fields=["expires_at"], name="keys_by_expiry"),
            models.Index(
                fields=["expires_at"],
                condition=Q(expiry_noted_at__isnull=True, deleted_at__isnull=True),
                name="keys_expiring",
            ),
            # Orders of lists.
            *(
                models.Index(fields=[column, "id"], condition=Q(deleted_at__isnull=True), name=f"keys_by_{column}")
                for column in ("updated_at", "max_budget_nano", "rpm_limit", "tpm_limit")
            ),
            models.Index(fields=["rotate_at"], condition=Q(rotate_at__isnull=False), name="keys_by_rotation"),
        ]
        constraints = [
            *Limits.Meta.constraints,
            models.UniqueConstraint(
                fields=["alias"],
                condition=Q(deleted_at__isnull=True),
                name="keys_alias_once",
                violation_error_message="another key has this alias already",
            ),
            models.CheckConstraint(
                condition=Q(user__isnull=True) | Q(service_account=""),
                name="keys_one_owner",
                violation_error_message="a key belongs to a person or to a service account, never to both",
            ),
            models.CheckConstraint(
                condition=Q(user__isnull=True) | Q(sponsor__isnull=True),
                name="keys_sponsored_if_nobodys",
                violation_error_message="a key of a person spends within that person's limits",
            ),
            models.CheckConstraint(
                condition=Q(auto_rotate=False) | ~Q(rotation_interval=""),
                name="keys_rotation_has_interval",
                violation_error_message="say in rotation_interval how often the key is rotated",
            ),
        ]

    def __str__(self) -> str:
        return self.alias or self.masked

    def clean(self) -> None:
        if self.project is not None and self.project.team_id != self.team_id:
            raise ValidationError({"project": "a key belongs to the team of its project; name a project of its team"})
        try:
            duration_delta(self.rotation_interval or "1d")
        except BadDuration as error:
            raise ValidationError({"rotation_interval": str(error)}) from error
        if self.auto_rotate and not self.rotation_interval:
            raise ValidationError({"rotation_interval": "say how often the key is rotated, e.g. '30d'"})

    @property
    def holder_id(self) -> int | None:
        """By whose place in the team and the organization the key is limited: its owner's, or of who made it for all.

        A program's key that a plain member of the team made spends within that member's limits, as they add up.
        """
        return self.user_id or self.sponsor_id

    @property
    def enforced_params(self) -> list[str]:
        """Fields that every call has to bring, `metadata.x` for one inside `metadata`."""
        return names_in(self.metadata.get("enforced_params"))

    def status(self, now: datetime | None = None) -> str:
        """One of deleted, blocked, expired, active."""
        if self.deleted_at:
            return "deleted"
        if self.blocked:
            return "blocked"
        return "expired" if self.expires_at and self.expires_at <= (now or timezone.now()) else "active"


class RetiredQuerySet(models.QuerySet["RetiredSecret"]):
    def public_ids(self) -> list[str]:
        """By which ids keys were known that have others now."""
        return list(self.exclude(public_id="").values_list("public_id", flat=True))

    def newest_token(self) -> str | None:
        """Of the secret that was replaced last."""
        return self.order_by("-pk").values_list("token", flat=True).first()

    def with_owners(self) -> Self:
        return self.select_related(*(f"key__{name}" for name in OWNERS))


class RetiredSecret(models.Model):
    """A rotated-out secret: kept for the history, and valid until the end of its grace period."""

    key = models.ForeignKey(VirtualKey, models.CASCADE, related_name="retired_secrets")
    # The trail knows the key by it until then; empty for one that was rotated out before it was kept.
    public_id = models.CharField(max_length=16, blank=True, default="", db_index=True)
    token = models.CharField(max_length=64, unique=True)
    seal = models.CharField(max_length=128)
    known_to = models.ManyToManyField(User, related_name="known_retired_secrets")
    retired_at = models.DateTimeField(default=timezone.now)
    valid_until = models.DateTimeField()

    objects = RetiredQuerySet.as_manager()

    def __str__(self) -> str:
        return f"retired secret of key {self.key_id}"


class WaitingSecret(models.Model):
    """The new secret of a key that was rotated by itself, encrypted, until its owner fetches it."""

    key = models.OneToOneField(VirtualKey, models.CASCADE, related_name="waiting_secret")
    envelope = models.TextField()
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"waiting secret of key {self.key_id}"


class GivenAnswer(models.Model):
    """The answer to a request that named itself with `Idempotency-Key`, encrypted, until it expires."""

    name = models.CharField(max_length=64, unique=True)
    asked = models.CharField("SHA-256 of the request", max_length=64)
    status = models.PositiveSmallIntegerField(default=200)
    envelope = models.TextField(blank=True, default="")
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.name
