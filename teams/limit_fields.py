"""Fields of request bodies about further budgets and limits per model: USD in, the stored shape out."""

from collections.abc import Callable, Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from teams.api_fields import DurationField, MoneyField, WholeNumberField, wrong_type
from teams.api_types import MISSING
from teams.budgets import INSIDE, SPELLED, SPELLINGS, BadLimits, check_models, check_windows

_AMOUNT, _DURATION = SPELLINGS["max_nano"], SPELLINGS["duration"]


@extend_schema_field({"type": "array", "items": {"type": "object"}})
class BudgetLimitsField(serializers.Field[list[dict[str, Any]], Any, Any, Any]):
    """`[{"budget_duration": "1d", "max_budget": 5}]`: windows that all hold at once. `reset_at` is computed."""

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        if not isinstance(data, list) or not all(isinstance(window, dict) for window in data):
            raise wrong_type('write a list such as [{"budget_duration": "1d", "max_budget": 5}]')
        windows = [
            {"duration": _required(window, _DURATION, _duration), "max_nano": _required(window, _AMOUNT, _money)}
            for window in data
        ]
        _check(check_windows, windows)
        return windows


@extend_schema_field({"type": "object", "additionalProperties": {"type": "object"}})
class ModelBudgetsField(serializers.Field[dict[str, Any], Any, Any, Any]):
    """`{"gpt-4o": {"budget_limit": 5, "time_period": "1d"}}`; the names of a plain budget do as well."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict) or not all(isinstance(limits, dict) for limits in data.values()):
            raise wrong_type('write an object such as {"gpt-4o": {"budget_limit": 5, "time_period": "1d"}}')
        models = {model: self._limits(model, limits) for model, limits in data.items()}
        _check(check_models, models)
        return models

    @staticmethod
    def _limits(model: str, limits: Mapping[str, Any]) -> dict[str, Any]:
        try:
            read = {
                "max_nano": _optional(limits, _AMOUNT, _money),
                "duration": _optional(limits, _DURATION, _duration),
                "rpm": _optional(limits, ("rpm_limit",), _whole),
                "tpm": _optional(limits, ("tpm_limit",), _whole),
            }
        except serializers.ValidationError as error:
            raise serializers.ValidationError({model: error.detail}) from error
        stated = {name: value for name, value in read.items() if value is not None}
        spelled = [
            other for usual, other in SPELLINGS.values() if limits.get(usual) is None and limits.get(other) is not None
        ]
        return stated | ({SPELLED: spelled} if spelled and stated else {})


@extend_schema_field({"type": "object", "additionalProperties": {"type": "integer"}})
class ModelRatesField(serializers.Field[dict[str, int], Any, Any, Any]):
    """`{"gpt-4o": 100}`: requests or tokens per minute of each model."""

    def to_internal_value(self, data: Any) -> dict[str, int]:
        if not isinstance(data, dict):
            raise wrong_type('write an object such as {"gpt-4o": 100}')
        rates = {}
        for model, value in data.items():
            try:
                rates[model] = _whole(value)
            except serializers.ValidationError as error:
                raise serializers.ValidationError({model: error.detail}) from error
        _check(check_models, {model: {"rpm": rate} for model, rate in rates.items()})
        return rates


def merged(
    stored: Mapping[str, Mapping[str, Any]],
    budgets: Mapping[str, Mapping[str, Any]] | None,
    rpm: Mapping[str, int] | None,
    tpm: Mapping[str, int] | None,
) -> dict[str, dict[str, Any]]:
    """`model_limits` after a merge patch: what is None keeps, what is given replaces its kind for every model.

    Rates may also stand inside `budgets`; for a model that `rpm` or `tpm` names too, those count.
    """
    models = {model: dict(limits) for model, limits in stored.items()}
    given = budgets or {}
    if budgets is not None:
        _replace(models, "max_nano", _column(given, "max_nano"))
        _replace(models, "duration", _column(given, "duration"))
        _replace(models, SPELLED, _column(given, SPELLED))
    for name, rates in (("rpm", rpm), ("tpm", tpm)):
        if rates is not None:
            _replace(models, name, {**_column(given, name), **rates})
        else:
            _set(models, name, _column(given, name))
    _mark(models, given, rpm, tpm, anew=budgets is not None)
    return {model: limits for model, limits in models.items() if limits.keys() - {SPELLED}}


def _mark(
    models: dict[str, dict[str, Any]],
    given: Mapping[str, Mapping[str, Any]],
    rpm: Mapping[str, int] | None,
    tpm: Mapping[str, int] | None,
    *,
    anew: bool,
) -> None:
    """Note which rates stand inside a budget: clients that compare want to see what they sent where they sent it."""
    sent = {"rpm": rpm, "tpm": tpm}
    for model, limits in models.items():
        before = () if anew else limits.get(INSIDE, ())
        now = given.get(model, {})
        names = [name for name in sent if name in limits and (name in now or (name in before and sent[name] is None))]
        limits.pop(INSIDE, None)
        if names:
            limits[INSIDE] = names


def _column(models: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any]:
    return {model: limits[name] for model, limits in models.items() if name in limits}


def _replace(models: dict[str, dict[str, Any]], name: str, values: Mapping[str, Any]) -> None:
    for limits in models.values():
        limits.pop(name, None)
    _set(models, name, values)


def _set(models: dict[str, dict[str, Any]], name: str, values: Mapping[str, Any]) -> None:
    for model, value in values.items():
        models.setdefault(model, {})[name] = value


def _money(value: Any) -> int:
    return MoneyField().to_internal_value(value)


def _whole(value: Any) -> int:
    return WholeNumberField().to_internal_value(value)


def _duration(value: Any) -> str:
    return DurationField().to_internal_value(value)


def _optional(values: Mapping[str, Any], names: tuple[str, ...], read: Callable[[Any], Any]) -> Any:
    """The value under the first of its names that is given, or None."""
    for name in names:
        if values.get(name) is not None:
            try:
                return read(values[name])
            except serializers.ValidationError as error:
                raise serializers.ValidationError({name: error.detail}) from error
    return None


def _required(values: Mapping[str, Any], names: tuple[str, ...], read: Callable[[Any], Any]) -> Any:
    value = _optional(values, names, read)
    if value is None:
        raise serializers.ValidationError({names[-1]: "this field is required"}, code=MISSING)
    return value


def _check(check: Callable[[Any], None], value: Any) -> None:
    try:
        check(value)
    except BadLimits as error:
        raise serializers.ValidationError(str(error)) from error
