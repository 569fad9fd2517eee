"""What columns accept, whoever writes them: services, the admin's forms and the management API alike."""

from typing import Any
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError

from teams.budgets import BadLimits, check_models, check_windows
from teams.windows import BadDuration, duration_delta, parse_budget_duration


def validate_duration(value: str) -> None:
    try:
        parse_budget_duration(value)
    except BadDuration as error:
        raise ValidationError(str(error)) from error


def validate_validity(value: str) -> None:
    try:
        duration_delta(value)
    except BadDuration as error:
        raise ValidationError(str(error)) from error


def validate_windows(value: Any) -> None:
    try:
        check_windows(value)
    except BadLimits as error:
        raise ValidationError(str(error)) from error


def validate_model_limits(value: Any) -> None:
    try:
        check_models(value)
    except BadLimits as error:
        raise ValidationError(str(error)) from error


def validate_names(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValidationError("must be a list of non-empty strings")


def validate_object(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValidationError("must be an object")


def validate_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError(f"'{value}' is not a time zone of the IANA database, e.g. 'Europe/Berlin'")
