"""The OpenAPI document: every route is in it, its examples work, and it changes only on purpose.

`make openapi` plays the examples and writes the answers and the document anew.
"""

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.test import Client
from django.urls import URLPattern
from drf_spectacular.generators import SchemaGenerator

from gateway_project import api, api_document
from gateway_project.api_examples import EXAMPLES, Example
from proxy import services

SNAPSHOT = Path(__file__).with_name("openapi.json")
RENEW = bool(os.environ.get("RENEW_OPENAPI"))
METHODS = ("get", "post", "put", "patch", "delete")
#: What has no example, because it needs something that no other answer tells: a link in a mail, a person who calls.
UNPLAYED = {
    "GET /api/schema/", "GET /openapi.json", "POST /key/{key}/pick_up",
    "POST /team/{team_id}/member/{user_id}/reset_budget", "GET /health/services", "POST /health/test_connection",
    "POST /invitation/update", "POST /onboarding/claim_token", "GET /onboarding/get_token",
    "POST /organization/member_delete",
    "GET /spend/logs/ui/{request_id}", "GET /team/{team_id}/members/me", "POST /user/password/change",
}  # fmt: skip
#: What differs from run to run, and what it is written as.
_VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "2026-01-31T12:00:00Z"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    (re.compile(r"sk-lk-[\w-]{20,}"), "sk-lk-a1b2c3d4-secret"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "7f0e2b34-demo"),
)  # fmt: skip


def test_every_example_works_and_answers_as_the_document_shows(db: None) -> None:
    services.sync_providers()
    answers = _play()
    if RENEW:
        told = json.dumps(answers, indent=1, sort_keys=True, ensure_ascii=False)
        for pattern, written in _VOLATILE:
            told = pattern.sub(written, told)
        api_document.ANSWERS.write_text(told + "\n")
        api_document.answers.cache_clear()
    shown = api_document.answers()
    different = [name for name in answers if _shape(answers[name]) != _shape(shown.get(name))]
    assert different == [], "make openapi records the answers anew"


def test_the_document_changes_only_on_purpose() -> None:
    text = json.dumps(_document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if RENEW:
        SNAPSHOT.write_text(text)
    assert json.loads(text) == json.loads(SNAPSHOT.read_text()), "make openapi writes it anew"


def test_every_route_is_told_with_summary_tag_and_errors() -> None:
    document = _document()
    routed = {re.sub(r"<(\w+:)?(\w+)>", r"{\2}", str(p.pattern)) for p in api.urlpatterns if isinstance(p, URLPattern)}
    assert {f"/{route}" for route in routed} - document["paths"].keys() == {"/api/docs/"}
    operations = _operations(document)
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["tags"], name
        assert {"4XX", "5XX"} <= operation["responses"].keys(), name
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(ids) == len(set(ids))
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_every_operation_has_an_example() -> None:
    played = {example.name for example in EXAMPLES}
    assert set(_operations(_document())) - played == UNPLAYED


def test_the_document_and_its_page_are_served() -> None:
    assert Client().get("/api/docs/").status_code == 200
    answer = Client().get("/api/schema/", headers={"accept": "application/vnd.oai.openapi+json"})
    assert json.loads(answer.content)["info"]["title"] == "Latchkey management API"


def _play() -> dict[str, Any]:
    client, known, answers = Client(raise_request_exception=False), dict[str, str](), dict[str, Any]()
    for example in EXAMPLES:
        answer = _call(client, example, known)
        text = answer.getvalue()
        assert answer.status_code == example.status, f"{example.name}: {answer.status_code} {text.decode()}"
        told = json.loads(text) if text else None
        known |= {name: _inside(told, path) for name, path in example.learns.items()}
        if example.status < 300:
            answers.setdefault(example.name, told)
    return answers


def _call(client: Client, example: Example, known: dict[str, str]) -> Any:
    def filled(value: Any) -> Any:
        return json.loads(re.sub(r"\{(\w+)\}", lambda m: known.get(m[1], m[0]), json.dumps(value)))

    path = example.route.format(**filled(example.at))
    how: dict[str, Any] = {"headers": {"authorization": f"Bearer {settings.MASTER_KEY}"}}
    if example.method == "GET":
        return client.get(path, filled(example.query), **how)
    body = "" if example.body is None else json.dumps(filled(example.body))
    path += f"?{urlencode(example.query)}" if example.query else ""
    return client.generic(example.method, path, body, content_type="application/json", **how)


def _inside(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part)] if part.isdigit() else value[part]
    return value


def _shape(value: Any) -> Any:
    """The fields of an answer; of a list those of its first item."""
    if isinstance(value, dict):
        # Names that are data (hashes, days, models) are no fields.
        return {name: _shape(inner) for name, inner in value.items() if re.fullmatch(r"[A-Za-z_]+", name)}
    return [_shape(value[0])] if isinstance(value, list) and value else type(value).__name__ == "list"


def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(SchemaGenerator().get_schema(public=True), default=str))
    return document


def _operations(document: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{method.upper()} {route}": operations[method]
        for route, operations in document["paths"].items()
        for method in METHODS
        if method in operations
    }
