"""Reading and writing JSON without surprises: one meaning per body, exact numbers both ways."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any

import orjson
from django.conf import settings
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from teams.api_types import ApiError, Misshapen

MAX_DEPTH = 100


class BadJSON(ValueError):
    """The text is not a body we accept; the message says what is wrong, `field` in which top-level field, if in one."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        # What cannot be written in an answer names nothing.
        self.field = field if field.isprintable() else ""


class NotJSON(BadJSON):
    """The text is no JSON at all."""


@dataclass(frozen=True, slots=True)
class _NoNumber:
    """Stands for what Python's reader takes for a number and JSON has not."""

    name: str


class _JSONParser(BaseParser):
    """JSON as the RFC has it, minus what two readers may understand differently."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise ApiError(413, f"the body is larger than {limit} bytes")
        try:
            return loads(raw)
        except NotJSON as error:
            raise Misshapen("", f"Invalid JSON body: {error}", code="json_invalid") from error
        except BadJSON as error:
            field = error.field[:100] or None
            raise ApiError(400, f"Invalid JSON body: {error}", param=field) from error


class StrictJSONParser(_JSONParser):
    """The body of a request that says what it sends."""

    media_type = "application/json"


class MiscalledJSONParser(_JSONParser):
    """The same of a request that says it sends something else, or nothing: `curl --data` says a form."""

    media_type = "*/*"


class ExactJSONRenderer(JSONRenderer):
    """JSON whose decimals are written digit by digit, never through a binary float."""

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else dumps(data)


def dumps(data: Any) -> bytes:
    return orjson.dumps(data, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS)


def loads(raw: bytes) -> Any:
    """Parse strictly; floats become Decimal. Raises BadJSON."""
    try:
        text = raw.decode()
        value = json.loads(text, object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_NoNumber)
    except UnicodeDecodeError as error:
        raise NotJSON("it is not UTF-8") from error
    except RecursionError as error:
        raise BadJSON(f"it is nested deeper than {MAX_DEPTH} levels") from error
    except json.JSONDecodeError as error:
        raise NotJSON(f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except BadJSON:
        raise
    except (ValueError, ArithmeticError) as error:
        raise BadJSON("a number has too many digits") from error
    for path, item, depth in _walk(value):
        if depth > MAX_DEPTH and isinstance(item, dict | list):
            raise BadJSON(f"it is nested deeper than {MAX_DEPTH} levels")
        _check_value(path, item)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise BadJSON(f"the key {key[:100]!a} occurs twice")
        result[key] = value
    return result


def _walk(value: Any) -> Iterator[tuple[str, Any, int]]:
    """Every key and value with the name of the top-level field it is in, and its depth. No recursion."""
    todo: list[tuple[str, Any, int]] = [("", value, 1)]
    while todo:
        path, item, depth = todo.pop()
        yield path, item, depth
        inner = depth + 1
        if isinstance(item, dict):
            for key, child in item.items():
                yield path or key, key, depth
                todo.append((path or key, child, inner))
        elif isinstance(item, list):
            todo.extend((path, child, inner) for child in item)


def _check_value(path: str, item: Any) -> None:
    where = f" in {path[:100]!a}" if path else ""
    if isinstance(item, _NoNumber):
        raise BadJSON(f"{item.name}{where} is not a JSON number", path)
    if not isinstance(item, str):
        return
    if "\0" in item:
        raise BadJSON(f"a string{where} contains the character NUL", path)
    try:
        item.encode()
    except UnicodeEncodeError as error:
        raise BadJSON(f"a string{where} contains a lone surrogate", path) from error


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        text = format(value.normalize(), "f")
        # A whole amount is a float too: `5.0`, as clients with types expect money.
        return orjson.Fragment(text if "." in text else text + ".0")
    return str(value)
