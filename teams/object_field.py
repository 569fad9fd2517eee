"""JSON columns that hold an object, and nothing else."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models


class ObjectField(models.JSONField):
    """Django asks no validators about an empty list, and keeps it; whoever reads the row expects an object.

    `texts`: every value is a text, as of other names. The column is like any other of JSON.
    """

    empty_values = ()

    def __init__(self, *args: Any, texts: bool = False, **kwargs: Any) -> None:
        self.texts = texts
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        return super().clean({} if value is None else value, model_instance)

    def validate(self, value: Any, model_instance: models.Model | None) -> None:
        super().validate(value, model_instance)
        if not isinstance(value, dict):
            raise ValidationError('write an object, e.g. {"name": "value"}')
        if self.texts and not all(isinstance(one, str) and one for one in value.values()):
            raise ValidationError('write a text for every name, e.g. {"name": "other name"}')
