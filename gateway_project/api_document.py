"""What the OpenAPI document says beyond what endpoints declare: summaries, examples, errors."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from gateway_project.api_examples import EXAMPLES, Example

#: Answers to the examples, as a test recorded them (CONTRIBUTING.md says how to renew them).
ANSWERS = Path(__file__).with_name("api_answers.json")
_METHODS = ("get", "post", "put", "patch", "delete")
_TAGS = {
    "Keys": ("key",),
    "Teams": ("team", "project"),
    "People": ("user", "invitation", "onboarding"),
    "Organizations": ("organization",),
    "Customers": ("customer", "end_user"),
    "Tags": ("tag",),
    "Budgets": ("budget",),
    "Models": (
        "model",
        "model_group",
        "access_group",
        "unified_access_group",
        "credentials",
        "reload",
        "schedule",
        "fallback",
        "router",
    ),
    "Spend": ("spend", "global", "cost"),
    "Audit": ("audit",),
    "Server": (
        "health",
        "routes",
        "get",
        "update",
        "provider",
        "active",
        "config",
        "api",
        "openapi.json",
        "callbacks",
        "alerting",
        "guardrails",
        "policies",
        "cache",
    ),
}
_TAG_OF = {segment: tag for tag, segments in _TAGS.items() for segment in segments}
_ERROR = {
    "oneOf": [
        {"$ref": "#/components/schemas/Error"},
        {"$ref": "#/components/schemas/DetailError"},
        {"$ref": "#/components/schemas/ValidationError"},
    ]
}
_SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": ["string", "null"]},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": "string", "description": "The status, as text."},
                },
            }
        },
    },
    "DetailError": {
        "type": "object",
        "required": ["detail"],
        "properties": {"detail": {"oneOf": [{"type": "string"}, {"type": "object"}]}},
    },
    "ValidationError": {
        "type": "object",
        "required": ["detail"],
        "properties": {
            "detail": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string"},
                        "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                        "msg": {"type": "string"},
                    },
                },
            }
        },
    },
}
_REFUSALS = {
    "4XX": "Refused: the message names the field at fault and the remedy.",
    "5XX": "Something that is needed is away; 503 comes with Retry-After.",
}


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Finish the document that drf-spectacular generated."""
    first: dict[str, Example] = {}
    for example in EXAMPLES:
        first.setdefault(example.name, example)
    for route, operations in result["paths"].items():
        for method in _METHODS:
            if method in operations:
                _finish(operations[method], route, method, first.get(f"{method.upper()} {route}"))
    result["components"].setdefault("schemas", {}).update(_SCHEMAS)
    result["tags"] = [{"name": tag} for tag in _TAGS]
    return result


def _finish(operation: dict[str, Any], route: str, method: str, example: Example | None) -> None:
    segments = [part for part in route.split("/") if part and part not in ("v1", "v2")]
    is_report = "activity" in segments or "spend" in segments
    operation["tags"] = ["Spend" if is_report else _TAG_OF[segments[0]]]
    operation["operationId"] = f"{method}_{route.strip('/')}".translate(str.maketrans("/-.", "___", "{}"))
    operation["summary"] = example.summary if example else _first_sentence(operation) or operation["operationId"]
    for status, description in _REFUSALS.items():
        operation["responses"][status] = {"description": description, "content": _json({"schema": _ERROR})}
    if example is not None:
        _show(operation, example)


def _show(operation: dict[str, Any], example: Example) -> None:
    """Put an example's call and its answer where the document has room for them."""
    given = example.query | example.at
    named = {parameter["name"]: parameter for parameter in operation.setdefault("parameters", [])}
    for name in example.query:
        if name not in named:
            named[name] = {"name": name, "in": "query", "schema": {"type": "string"}}
            operation["parameters"].append(named[name])
    for name, value in given.items():
        named[name]["example"] = value
    if example.body is not None and "requestBody" in operation:
        for content in operation["requestBody"]["content"].values():
            content["example"] = example.body
    answer = answers().get(example.name)
    if example.status < 300:
        shown = operation["responses"].pop("200", None) or {"content": _json({"schema": {}})}
        operation["responses"][str(example.status)] = shown
        shown.setdefault("description", "")
        if answer is None:
            shown.pop("content", None)
        else:
            shown["content"] = _json({"schema": _schema_of(answer), "example": answer})


@cache
def answers() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ANSWERS.read_text()) if ANSWERS.exists() else {}
    return found


def _schema_of(answer: Any) -> dict[str, Any]:
    """What is promised of an answer: that it is an object or a list; its fields are shown by the example."""
    return (
        {"type": "array", "items": {}} if isinstance(answer, list) else {"type": "object", "additionalProperties": {}}
    )


def _json(content: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": content}


def _first_sentence(operation: dict[str, Any]) -> str:
    text: str = operation.get("description", "")
    return text.partition("\n")[0].strip().rstrip(".")
