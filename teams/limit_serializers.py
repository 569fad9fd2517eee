"""The part of request bodies that every scope shares: from the contract's names to columns, validated."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar, TypeVar, cast
from zoneinfo import ZoneInfo

from django.db import models
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from teams.actors import SYSTEM
from teams.api_fields import (
    DayOrInstantField,
    DurationField,
    MetadataField,
    MoneyField,
    NamesField,
    SwitchField,
    TextField,
    UntilField,
    WholeNumberField,
)
from teams.api_types import ApiError
from teams.callers import Caller
from teams.limit_fields import BudgetLimitsField, ModelBudgetsField, ModelRatesField, merged
from teams.models import Limits, SharedBudget, Terms
from teams.rows import doubled_row, terms_row, zone_of
from teams.sent_back import instant, is_sent_back
from teams.services import default_zone
from teams.windows import window_at

T = TypeVar("T", bound=Terms)

#: Clients may write these inside `metadata`, where LiteLLM keeps them; we keep them in columns.
INSIDE_METADATA = ("model_rpm_limit", "model_tpm_limit", "temp_budget_increase", "temp_budget_expiry")
_FAR_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)


class TermsSerializer(serializers.Serializer[Any]):
    """How much and how fast. Omitted keeps, null clears; unknown fields are ignored."""

    max_budget = MoneyField(source="max_budget_nano", required=False, allow_null=True)
    soft_budget = MoneyField(source="soft_budget_nano", required=False, allow_null=True)
    budget_duration = DurationField(required=False, allow_null=True)
    budget_limits = BudgetLimitsField(required=False, allow_null=True)
    model_max_budget = ModelBudgetsField(required=False, allow_null=True)
    model_rpm_limit = ModelRatesField(required=False, allow_null=True)
    model_tpm_limit = ModelRatesField(required=False, allow_null=True)
    rpm_limit = WholeNumberField(required=False, allow_null=True)
    tpm_limit = WholeNumberField(required=False, allow_null=True)
    max_parallel_requests = WholeNumberField(required=False, allow_null=True)
    budget_reset_at = DayOrInstantField(required=False, allow_null=True)

    #: Model fields that this body sets as they are.
    columns: ClassVar[frozenset[str]] = frozenset(
        {
            "max_budget_nano", "soft_budget_nano", "budget_duration", "budget_limits", "rpm_limit", "tpm_limit",
            "max_parallel_requests",
        }
    )  # fmt: skip
    #: Of these null means "leave it": unblocking by accident would be a hole.
    null_keeps: ClassVar[frozenset[str]] = frozenset()

    def apply(self, instance: T) -> T:
        """Set the sent fields on an instance; a null becomes the field's empty value."""
        values = self.validated_data
        before = instance.budget_duration
        for name, value in values.items():
            if name not in self.columns or (value is None and name in self.null_keeps):
                continue
            setattr(instance, name, _empty_of(instance, name) if value is None else value)
        budgets = (values["model_max_budget"] or {}) if "model_max_budget" in values else None
        rates = values.get("model_rpm_limit"), values.get("model_tpm_limit")
        instance.model_limits = merged(instance.model_limits, budgets, *rates)
        self._begins = instance.budget_duration != before
        return instance

    def refuse_other_reset(self, terms: Terms, zone: ZoneInfo) -> None:
        """ApiError 400 for a `budget_reset_at` that is not when the window ends, as what was applied has it.

        What was read before, or is over by now, asks for nothing.
        """
        sent, now = self.validated_data.get("budget_reset_at"), timezone.now()
        if sent is None or is_sent_back(self.initial_data, terms):
            return
        at = sent if isinstance(sent, datetime) else datetime.combine(sent, time(), zone)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        duration, anchor = terms.schedule
        end = window_at(duration, now, zone=zone, anchor=now if self._begins else anchor).end
        is_over = self.instance is not None and at <= now
        if at != end and not is_over:
            ends = f"ends at {end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if end else "does not end"
            told = f"budget_reset_at: windows are computed from budget_duration, and this one {ends}; leave it out"
            raise ApiError(400, told, param="budget_reset_at")


class BudgetSerializer(TermsSerializer):
    """POST /budget/new, and as a merge patch /budget/update."""

    budget_id = TextField(source="public_id", max_length=128, required=False, allow_null=True)

    def budget(self) -> SharedBudget:
        """An unsaved, validated shared budget."""
        public_id = self.validated_data.get("public_id")
        if public_id and SharedBudget.objects.filter(public_id=public_id).exists():
            raise ApiError(400, f"budget_id: Budget '{public_id}' already exists", param="budget_id")
        budget = self.apply(SharedBudget(public_id=public_id) if public_id else SharedBudget())
        self.refuse_other_reset(budget, default_zone())
        budget.full_clean()
        return budget


@extend_schema_field(OpenApiTypes.STR)
class SharedBudgetField(serializers.Field[SharedBudget, Any, Any, Any]):
    """The id of a shared budget: one that the scope has already, or that the caller of the context may name."""

    def to_internal_value(self, data: Any) -> SharedBudget:
        public_id = TextField(max_length=128).run_validation(data)
        caller, stored = self.context.get("caller"), getattr(self.parent.instance, f"{self.source}_id", None)
        nameable = SharedBudget.objects.nameable_by(caller or Caller(SYSTEM))
        budget = SharedBudget.objects.filter(public_id=public_id).first()
        if budget is None or not (budget.pk == stored or nameable.filter(pk=budget.pk).exists()):
            raise serializers.ValidationError(f"Budget '{public_id}' does not exist; create it with /budget/new")
        return budget


class LimitsSerializer(TermsSerializer):
    """The fields that every scope has."""

    budget_id = SharedBudgetField(source="shared_budget", required=False, allow_null=True)
    temp_budget_increase = MoneyField(source="raise_nano", required=False, allow_null=True)
    temp_budget_expiry = UntilField(required=False, allow_null=True)
    models = NamesField(source="allowed_models", required=False, allow_null=True)
    metadata = MetadataField(required=False, allow_null=True)
    blocked = SwitchField(required=False, allow_null=True)

    #: Fields that may stand inside `metadata`.
    inside: ClassVar[tuple[str, ...]] = INSIDE_METADATA
    #: Fields that other scopes refuse, as nothing would keep to them (see `teams.promises`).
    keeps: ClassVar[frozenset[str]] = frozenset()
    columns = TermsSerializer.columns | {"shared_budget", "raise_nano", "allowed_models", "metadata", "blocked"}
    null_keeps = frozenset({"blocked", "raise_nano"})

    def to_internal_value(self, data: Any) -> Any:
        stored = {} if self.instance is None else self.doubled(self.instance)
        return super().to_internal_value(_lifted(data, self.inside, stored) if isinstance(data, dict) else data)

    def doubled(self, instance: Any) -> dict[str, Any]:
        """What rows of the instance show of `inside` beside their `metadata`, too."""
        return doubled_row(instance, terms_row(instance))

    def apply(self, instance: T, *, owner: Limits | None = None) -> T:
        """As above; days end in the time zone of `owner`, where the instance is not placed yet."""
        super().apply(instance)
        expiry = self.validated_data.get("temp_budget_expiry")
        limits = cast("Limits", instance)
        if expiry is not None:
            limits.raise_until = end_of(expiry, owner or limits, "temp_budget_expiry")
        if limits.raise_nano and limits.raise_until is None:
            raise serializers.ValidationError({"temp_budget_expiry": "say when temp_budget_increase ends"})
        return instance


def end_of(value: date | datetime, owner: Limits, field: str) -> datetime:
    """An instant in UTC; a date means through that day in the organization's time zone. ApiError 400."""
    if isinstance(value, datetime):
        at = value if value.tzinfo else value.replace(tzinfo=UTC)
    else:
        at = datetime.combine(value, time(23, 59, 59), zone_of(owner))
    try:
        at = at.astimezone(UTC)
    except OverflowError as error:
        raise ApiError(400, f"{field}: out of range", param=field) from error
    if at >= _FAR_FUTURE:
        raise ApiError(400, f"{field}: out of range", param=field)
    return at


def _lifted(data: dict[str, Any], names: Collection[str], stored: Mapping[str, Any]) -> dict[str, Any]:
    """The body with what belongs in columns taken out of `metadata`; a field of its own wins, unless it says nothing.

    Rows that are sent back say it in both places. The place that says what is stored is the one that was left alone.
    """
    metadata = data.get("metadata")
    if not isinstance(metadata, dict):
        return data
    inner = {name: metadata[name] for name in names if name in metadata}
    rest = {name: value for name, value in metadata.items() if name not in inner}
    given = {name: value for name, value in data.items() if name not in inner or not _is_said(value, stored.get(name))}
    return {**inner, **given, "metadata": rest}


def _is_said(sent: Any, stored: Any) -> bool:
    """Whether a field says nothing, or what is stored; an instant as answers write it."""
    if isinstance(stored, datetime):
        return sent is None or instant(sent) == stored
    return sent is None or bool(sent == stored)


def _empty_of(instance: models.Model, name: str) -> Any:
    """What "nothing" means for a column: null where it may be null, else its default."""
    field = cast("models.Field[Any, Any]", instance._meta.get_field(name))
    return None if field.null else field.get_default()
