"""Fields of request bodies: strict where JSON is lax, and exact about money."""

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from teams.api_types import WRONG_TYPE
from teams.budgets import MOST_PER_MINUTE
from teams.money import limit_from_usd
from teams.scopes import MAX_BUDGET_NANO
from teams.windows import BadDuration, duration_delta, parse_budget_duration

_MASK = "********"
_MOST_INSTEAD = 20
_SECRET_WORDS = ("secret", "password", "token", "api_key", "apikey", "private", "credential", "headers")

#: No double is smaller: who writes such an amount means something else.
_SMALLEST = -324
_TOP_USD = MAX_BUDGET_NANO // 10**9
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NUMBER = re.compile(r"^[+-]?[0-9]{1,30}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,4})?$")


def wrong_type(remedy: str) -> serializers.ValidationError:
    """What a field says of a value of another JSON type than it takes."""
    return serializers.ValidationError(remedy, code=WRONG_TYPE)


@extend_schema_field(OpenApiTypes.DOUBLE)
class MoneyField(serializers.Field[int, Any, Any, Any]):
    """USD in the body, nano-USD in the model: a limit, never above what was written."""

    def to_internal_value(self, data: Any) -> int:
        usd = _number(data)
        if usd is None and not _is_no_amount(data):
            raise wrong_type("write an amount in USD as a number")
        if usd is None or not usd.is_finite() or not 0 <= usd <= _TOP_USD or usd.adjusted() < _SMALLEST:
            raise serializers.ValidationError(f"an amount lies between 0 and {_TOP_USD:,} USD")
        return limit_from_usd(usd)


@extend_schema_field(OpenApiTypes.INT64)
class WholeNumberField(serializers.Field[int, Any, Any, Any]):
    """A limit: not negative, and exact in the counter store."""

    def to_internal_value(self, data: Any) -> int:
        number = _number(data)
        if number is None or not number.is_finite() or number != number.to_integral_value():
            raise wrong_type("write a whole number that is not negative")
        if not 0 <= number <= MOST_PER_MINUTE:
            raise serializers.ValidationError("write a whole number that is not negative")
        return int(number)


class SwitchField(serializers.BooleanField):
    """Yes or no."""

    def to_internal_value(self, data: Any) -> bool:
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise wrong_type("write true or false") from error


def refuse_control(text: str) -> str:
    """The text, unless it has control characters (Cc), which break the lines of logs and exports. ValidationError."""
    if _CONTROL.search(text):
        raise serializers.ValidationError("must not contain control characters, such as a line break")
    return text


class FreeTextField(serializers.CharField):
    """Text is text: numbers and booleans are not turned into it. It may have several lines."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise wrong_type("write a string")
        return super().to_internal_value(data)


class TextField(FreeTextField):
    """A name or a value, in one line."""

    def to_internal_value(self, data: Any) -> str:
        return refuse_control(super().to_internal_value(data))


class MailField(TextField, serializers.EmailField):
    """An e-mail address."""


class ObjectSerializer(serializers.Serializer[Any]):
    """One object inside a body, or a list of them."""

    def validate_empty_values(self, data: Any) -> Any:
        # DRF hands on to what is in a list that the list itself may be null.
        if data is None and isinstance(self.parent, serializers.ListSerializer):
            raise wrong_type("write an object")
        return super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise wrong_type("write an object")
        return super().to_internal_value(data)


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class NamesField(serializers.Field[list[str], Any, Any, Any]):
    """A list of non-empty strings, e.g. of models."""

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list) or not all(isinstance(item, str) for item in data):
            raise wrong_type("write a list of non-empty strings")
        if not all(item.strip() for item in data):
            raise serializers.ValidationError("write a list of non-empty strings")
        if len(data) > 1000 or any(len(item) > 255 for item in data):
            raise serializers.ValidationError("at most 1000 names of at most 255 characters each")
        refuse_control("".join(data))
        return list(dict.fromkeys(data))


@extend_schema_field(OpenApiTypes.OBJECT)
class ObjectField(serializers.Field[dict[str, Any], Any, Any, Any]):
    """A free JSON object that is kept as it is."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise wrong_type("write an object")
        plain: dict[str, Any] = plain_json(data)
        return plain


class MetadataField(ObjectField):
    """A free object, except for the secrets of logging callbacks: nobody calls these here, and every reader of the
    object, and the audit log, would see them. References such as 'os.environ/NAME' stay."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        callbacks = values.get("logging")
        for callback in [*(callbacks if isinstance(callbacks, list) else []), values.get("callback_settings")]:
            if isinstance(callback, dict) and isinstance(callback.get("callback_vars"), dict):
                callback["callback_vars"] = {
                    name: _MASK if _is_secret(name, value) else value
                    for name, value in callback["callback_vars"].items()
                }
        return values


def _is_secret(name: str, value: Any) -> bool:
    told = any(word in name.lower() for word in _SECRET_WORDS)
    return told and value is not None and not str(value).startswith("os.environ/")


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class AliasesField(ObjectField):
    """Requested model name -> the one that is served."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        if not all(isinstance(value, str) and value for value in values.values()):
            raise wrong_type('write an object of model names, e.g. {"fast": "gpt-4o-mini"}')
        refuse_control("".join((*values, *values.values())))
        return values


class InsteadField(ObjectField):
    """Model -> models that take its place, in order."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        if not all(isinstance(names, list) and _are_names(names) for names in values.values()):
            raise wrong_type('write an object of models with lists of models, e.g. {"gpt-4o": ["gpt-4o-mini"]}')
        if len(values) > _MOST_INSTEAD or any(len(names) > _MOST_INSTEAD for names in values.values()):
            raise serializers.ValidationError(f"at most {_MOST_INSTEAD} models, and as many for each")
        return values


def _are_names(names: list[Any]) -> bool:
    return all(isinstance(name, str) and 0 < len(name) <= 255 for name in names)


class DurationField(TextField):
    """A budget window such as '30d' or 'rolling 24h'."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            parse_budget_duration(text)
        except BadDuration as error:
            raise serializers.ValidationError(str(error)) from error
        return text


class ValidityField(TextField):
    """How long a key is valid: '30d', or '-1' for ever."""

    def to_internal_value(self, data: Any) -> str | None:  # type: ignore[override]
        text = super().to_internal_value(data)
        if text == "-1":
            return None
        try:
            duration_delta(text)
        except BadDuration as error:
            raise serializers.ValidationError(str(error)) from error
        return text


class DayOrInstantField(TextField):
    """'2026-12-31' or '2026-12-31T18:00:00Z'; a date stays a date, because its end depends on the time zone."""

    def to_internal_value(self, data: Any) -> date | datetime:  # type: ignore[override]
        text = super().to_internal_value(data)
        try:
            return date.fromisoformat(text) if len(text) == 10 else _instant(text)
        except ValueError as error:
            raise serializers.ValidationError(
                "write a date or an instant, e.g. '2026-12-31' or '2026-12-31T18:00:00Z'"
            ) from error


class UntilField(DayOrInstantField):
    """As above, or how long from now on: '10d'."""

    def to_internal_value(self, data: Any) -> date | datetime:  # type: ignore[override]
        try:
            return timezone.now() + duration_delta(TextField().to_internal_value(data))
        except (BadDuration, OverflowError):
            return super().to_internal_value(data)


def money_of(value: Any, field: str) -> int:
    """An amount of a body in nano-USD, outside a serializer. ValidationError naming the field."""
    try:
        nano: int = MoneyField().run_validation(value)
    except serializers.ValidationError as error:
        raise serializers.ValidationError({field: error.detail}) from error
    return nano


def plain_json(value: Any) -> Any:
    """Values of a parsed body as a JSON column takes them: decimals become floats again."""
    if isinstance(value, dict):
        return {key: plain_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_json(item) for item in value]
    if isinstance(value, Decimal):
        number = float(value) if value.adjusted() < 308 else float("inf")
        if number in (float("inf"), float("-inf")):
            raise serializers.ValidationError("a number is out of range")
        return number
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise serializers.ValidationError("a whole number is out of range (64 bits)")
    return value


def _number(data: Any) -> Decimal | None:
    """The exact number in `data`, whether written as a JSON number or as a string; None if it is none."""
    if isinstance(data, bool):
        return None
    if isinstance(data, Decimal):
        return data
    if isinstance(data, int):
        return Decimal(data)
    try:
        return Decimal(data) if isinstance(data, str) and _NUMBER.match(data.strip()) else None
    except InvalidOperation:
        return None


def _is_no_amount(data: Any) -> bool:
    """Text that other readers take for a float, though it is no amount of anything."""
    return isinstance(data, str) and data.strip().lstrip("+-").lower() in ("nan", "inf", "infinity")


def _instant(text: str) -> datetime:
    at = parse_datetime(text)
    if at is None:
        raise ValueError(text)
    return at
