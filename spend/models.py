"""What it cost: the price book, holds, the ledger and its rollups. All money is integer nano-USD."""

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from keys.models import VirtualKey
from spend.daily_models import (
    DailyLeader,
    DailySums,
    DailyTeam,
    DailyTotal,
    NotedDay,
    OwnerTotal,
    ScopeTotal,
    SummedDay,
)
from spend.late import PostedLate
from spend.price_models import MOST_HOURS, PACKAGED, Markup, Price, PriceReload
from teams.callers import Caller
from teams.models import Customer, Organization, Team, User

__all__ = [
    "MOST_HOURS", "PACKAGED", "Activity", "Attribution", "Crossing", "DailyLeader", "DailyTeam", "DailyTotal", "Hold",
    "LedgerEntry", "Markup", "NotedDay", "OwnerTotal", "Price", "PriceReload", "Refusal", "Rollup", "ScopeTotal",
    "SpendReset", "SummedDay",
]  # fmt: skip


class Attribution(models.Model):
    """Whom a call belongs to, as it was at the instant of admission; never updated afterwards."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+", db_index=False)
    key = models.ForeignKey(VirtualKey, models.PROTECT, related_name="+", db_index=False, null=True)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+", db_index=False, null=True)
    member_id = models.BigIntegerField(null=True)
    user = models.ForeignKey(User, models.PROTECT, related_name="+", db_index=False, null=True)
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+", db_index=False, null=True)
    request_id = models.CharField(max_length=64)
    call_type = models.CharField(max_length=32)
    model = models.CharField(max_length=255)
    deployment = models.CharField(max_length=128)
    provider = models.CharField(max_length=64)
    upstream_model = models.CharField(max_length=255)
    admitted_at = models.DateTimeField()
    token = models.CharField(max_length=64, blank=True, default="")
    tags = models.JSONField(default=list)
    # Empty in most rows, and added to tables that may be long: NULL is the only value that costs nothing there.
    session_id = models.CharField(max_length=255, null=True)
    log_metadata = models.JSONField("notes of the caller", null=True)
    degraded = models.BooleanField("admitted during an outage", default=False)

    class Meta:
        abstract = True


class HoldQuerySet(models.QuerySet["Hold"]):
    def visible_to(self, caller: Caller, route: str = "") -> Self:
        """As the ledger."""
        return self if caller.reads_spend else self.filter(_own(caller, route))

    def in_flight(self, now: datetime) -> Self:
        """Attempts whose worker lives and that are not over."""
        return self.filter(state=Hold.State.PENDING, lease_until__gt=now)

    def failed(self) -> Self:
        """Attempts that were called off: the provider was not reached, or refused, and charged nothing."""
        return self.filter(state=Hold.State.VOID, key__isnull=False)


class Hold(Attribution):
    """A durable intent: the worst-case cost of one attempt, written before the provider is called."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        POSTED = "posted", "Posted"
        VOID = "void", "Void"

    id = models.CharField(max_length=32, primary_key=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    epoch = models.BigIntegerField()
    platform_epoch = models.BigIntegerField(null=True)
    """Epoch of the counters of all organizations, if it is held there too."""
    amount_nano = models.BigIntegerField()
    counters = models.JSONField(default=list)
    scopes = models.JSONField(default=list)
    price = models.ForeignKey(Price, models.PROTECT, related_name="+", db_index=False, null=True)
    input_estimate = models.BigIntegerField(default=0)
    output_cap = models.BigIntegerField(default=0)
    attempt = models.PositiveSmallIntegerField(default=1)
    lease_until = models.DateTimeField()
    # Of attempts that were called off only: when, and what their caller was told. Added to a table that may be long,
    # so without the check that a column of positive numbers would bring, for which every row is read.
    failed_at = models.DateTimeField(null=True)
    error_status = models.SmallIntegerField(null=True)
    error_kind = models.CharField(max_length=64, null=True)
    error_message = models.CharField(max_length=500, null=True)

    objects = HoldQuerySet.as_manager()

    class Meta:
        indexes = [
            # Calls in flight are few, so whoever wants the overdue ones looks at all of them.
            models.Index(fields=["organization"], condition=Q(state="pending"), name="spend_hold_pending"),
            models.Index(fields=["admitted_at"], condition=Q(state="void"), name="spend_hold_void"),
            models.Index(fields=["request_id"], condition=Q(state="void"), name="spend_hold_void_request"),
            models.Index(
                fields=["session_id"], condition=Q(state="void", session_id__isnull=False), name="spend_hold_session"
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount_nano__gte=0), name="spend_hold_not_negative"),
            models.CheckConstraint(condition=Q(state__in=["pending", "posted", "void"]), name="spend_hold_state_known"),
            models.CheckConstraint(condition=Q(state="void") | Q(key__isnull=False), name="spend_hold_has_key"),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.state})"


class RefusalQuerySet(models.QuerySet["Refusal"]):
    def visible_to(self, caller: Caller, route: str = "") -> Self:
        """As the ledger."""
        return self if caller.reads_spend else self.filter(_own(caller, route))


class Refusal(Attribution):
    """A call of a known key that was refused before anything was held. Kept for a while only: it is no part of the
    books, and under a flood of refusals not every one is noted."""

    id = models.CharField(max_length=32, primary_key=True)
    status = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=64)
    message = models.CharField(max_length=500)

    objects = RefusalQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["admitted_at"], name="spend_refusal_time"),
            models.Index(fields=["request_id"], name="spend_refusal_request"),
            models.Index(fields=["session_id"], condition=Q(session_id__isnull=False), name="spend_refusal_session"),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.kind} {self.request_id}"


def _own(caller: Caller, route: str) -> Q:
    """Calls of the caller, of the teams and organizations that it leads, and of the teams that grant it `route`."""
    own = Q(team_id__in=caller.leads | caller.may_read_in(route)) | Q(organization_id__in=caller.organizations)
    own |= Q(key_id=caller.key_pk) if caller.key_pk else Q()
    return own | (Q(user_id=caller.user_pk) if caller.user_pk else Q())


class LedgerQuerySet(models.QuerySet["LedgerEntry"]):
    def visible_to(self, caller: Caller, route: str = "") -> Self:
        """Platform admins read the whole ledger; others their own calls, those of what they lead, and those of teams
        that grant them `route`."""
        return self if caller.reads_spend else self.filter(_own(caller, route))

    def of_holds(self, hold_ids: Iterable[str]) -> Self:
        """In no order. Charges have a unique index for this, and the few corrections one of their own."""
        wanted, kind = list(hold_ids), LedgerEntry.Kind
        of_either = Q(kind=kind.CHARGE, hold__in=wanted) | Q(kind=kind.CORRECTION, hold__in=wanted)
        return self.filter(of_either).order_by()


class LedgerEntry(Attribution):
    """One posting. Append-only by database rule: a mistake is mended by a correction, a new entry."""

    class Kind(models.TextChoices):
        CHARGE = "charge", "Charge"
        CORRECTION = "correction", "Correction"

    class UsageSource(models.TextChoices):
        UPSTREAM = "upstream", "Reported by the provider"
        ESTIMATED = "estimated_partial", "Estimated: the provider reported no usage"
        ORPHAN = "estimated_orphan", "Estimated: the outcome is unknown"

    hold = models.ForeignKey(Hold, models.PROTECT, related_name="entries", db_index=False)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.CHARGE)
    amount_nano = models.BigIntegerField("amount (nano-USD)")
    residue_pico = models.SmallIntegerField("rounding residue (pico-USD)", default=0)
    price = models.ForeignKey(Price, models.PROTECT, related_name="+", db_index=False, null=True)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)
    further_usage = models.JSONField(default=dict, blank=True)
    usage_source = models.CharField(max_length=24, choices=UsageSource.choices)
    overrun = models.BooleanField(default=False)
    response_id = models.CharField(max_length=255, blank=True, default="")
    scopes = models.JSONField(default=list)
    finished_at = models.DateTimeField()
    first_byte_at = models.DateTimeField(null=True)
    posted_at = models.DateTimeField(default=timezone.now)

    objects = LedgerQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "ledger entries"
        # Every call pays for each of these. What needs them: logs, exports and ragged windows of ...
        indexes = [
            # an organization, and what its admins see;
            models.Index(fields=["organization", "admitted_at"], name="spend_entry_org"),
            # a team, and what its admins see;
            models.Index(fields=["team", "admitted_at"], condition=Q(team__isnull=False), name="spend_entry_team"),
            # a person, and what everybody sees of their own;
            models.Index(fields=["user", "admitted_at"], condition=Q(user__isnull=False), name="spend_entry_user"),
            # a key, and when it was last used;
            models.Index(fields=["key", "admitted_at"], name="spend_entry_key"),
            # an end user, where a call names one;
            models.Index(
                fields=["customer", "admitted_at"], condition=Q(customer__isnull=False), name="spend_entry_customer"
            ),
            # everybody together.
            models.Index(fields=["admitted_at"], name="spend_entry_at"),
            # A call by the id that we gave it, and by its provider's.
            models.Index(fields=["request_id"], name="spend_entry_request"),
            models.Index(fields=["response_id"], condition=~Q(response_id=""), name="spend_entry_response"),
            # What clients count together.
            models.Index(fields=["session_id"], condition=Q(session_id__isnull=False), name="spend_entry_session"),
            # What few entries are, and somebody wants to see.
            models.Index(fields=["hold"], condition=Q(kind="correction"), name="spend_entry_correction"),
            models.Index(fields=["admitted_at"], condition=Q(kind="correction"), name="spend_entry_corrected"),
            models.Index(
                fields=["admitted_at"], condition=Q(usage_source="estimated_partial"), name="spend_entry_estimated"
            ),
            models.Index(
                fields=["admitted_at"], condition=Q(usage_source="estimated_orphan"), name="spend_entry_orphan"
            ),
            models.Index(
                fields=["posted_at"], condition=Q(PostedLate("posted_at", "admitted_at")), name="spend_entry_late"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["hold"], condition=Q(kind="charge"), name="spend_one_charge_per_hold"),
            models.CheckConstraint(
                condition=Q(kind="correction") | Q(amount_nano__gte=0), name="spend_charge_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(input_tokens__gte=0)
                & Q(output_tokens__gte=0)
                & Q(cached_tokens__gte=0)
                & Q(cache_write_tokens__gte=0)
                & Q(reasoning_tokens__gte=0),
                name="spend_tokens_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Rollup(models.Model):
    """Sums of the ledger per scope, model and quarter of an hour, written in the transaction of each posting.

    Every zone's offset is a multiple of fifteen minutes, so days of every zone add up from these.
    """

    scope = models.CharField(max_length=64)
    model = models.CharField(max_length=255)
    quarter = models.DateTimeField()
    amount_nano = models.BigIntegerField(default=0)
    requests = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["quarter"], name="spend_rollup_quarter")]
        constraints = [models.UniqueConstraint(fields=["scope", "quarter", "model"], name="spend_rollup_once")]

    def __str__(self) -> str:
        return f"{self.scope} {self.quarter:%Y-%m-%d %H:%M}"


class ActivityQuerySet(models.QuerySet["Activity"]):
    def visible_to(self, caller: Caller, route: str = "") -> Self:
        """As the ledger."""
        return self if caller.reads_spend else self.filter(_own(caller, route))


class Activity(DailySums):
    """Sums of the ledger per UTC day and everything that reports tell apart; written with each posting.

    The row whose `tag` is empty counts every call once; further rows count it for each of its tags. Owners are
    primary keys, 0 for none, as SQL takes no two NULLs for the same.
    """

    team_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    customer_id = models.BigIntegerField()
    tag = models.CharField(max_length=255)

    objects = ActivityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "activity"
        # What a report of ... needs:
        indexes = [
            # everybody, page by page, and how many rows there are;
            models.Index(fields=["-day", "-id"], condition=Q(tag=""), name="spend_activity_page"),
            # tags, and customers, which few calls have;
            models.Index(fields=["day"], condition=~Q(tag=""), name="spend_activity_tagged"),
            models.Index(fields=["customer_id", "day"], condition=Q(customer_id__gt=0), name="spend_activity_customer"),
            # whom callers see, and who is named.
            models.Index(fields=["organization_id", "day"], name="spend_activity_org"),
            models.Index(fields=["team_id", "day"], name="spend_activity_team"),
            models.Index(fields=["user_id", "day"], name="spend_activity_user"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "key_id", "day", "model", "upstream_model", "provider", "call_type", "tag", "customer_id",
                    "user_id", "team_id", "organization_id",
                ],
                name="spend_activity_once",
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.day} key:{self.key_id} {self.model}"


class CrossingQuerySet(models.QuerySet["Crossing"]):
    def visible_to(self, caller: Caller) -> Self:
        """Platform admins see all of them; nobody else any."""
        return self if caller.reads_all else self.none()


class Crossing(models.Model):
    """A budget window in which what was spent reached a mark. Noted once, by whoever finds it first."""

    class Kind(models.TextChoices):
        SOFT = "soft", "Soft budget"

    scope = models.CharField(max_length=64)
    counter = models.CharField(max_length=400)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.SOFT)
    amount_nano = models.BigIntegerField("mark (nano-USD)")
    at = models.DateTimeField()

    objects = CrossingQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["scope", "-id"], name="spend_crossing_scope")]
        constraints = [
            models.UniqueConstraint(fields=["counter", "kind"], name="spend_crossing_once"),
            models.CheckConstraint(condition=Q(amount_nano__gte=0), name="spend_crossing_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.scope}"


class SpendReset(models.Model):
    """Nano-USD that no longer count in one window of a scope; below 0: that count in addition, spent elsewhere.

    Append-only, like the ledger that it leaves alone.
    """

    scope = models.CharField(max_length=64)
    counter = models.CharField(max_length=400)
    slice = models.BigIntegerField("slice of a rolling window", default=0)
    amount_nano = models.BigIntegerField("forgiven (nano-USD)")
    at = models.DateTimeField()
    by = models.CharField(max_length=255)

    class Meta:
        indexes = [models.Index(fields=["counter"], name="spend_reset_counter")]
        constraints = [models.CheckConstraint(condition=~Q(amount_nano=0), name="spend_reset_not_zero")]

    def __str__(self) -> str:
        return f"reset of {self.scope}"
