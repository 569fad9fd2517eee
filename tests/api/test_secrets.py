"""Secrets are shown once, to whom they are for; afterwards they are nowhere, also not in pieces or disguised."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from keys.secrets import token_of
from proxy import services as models
from tests.api.conftest import Api
from tests.api.test_matrix import ROUTES, _path, world

PROVIDER = 'sk-provider/9Qz+"7Lm4=Vx2Tc8'


def _disguises(secret: str) -> set[str]:
    """The secret, any twelve characters of it, and what encodings make of it."""
    core = secret.removeprefix("sk-lk-")[8:] if secret.startswith("sk-lk-") else secret
    pieces = {core[start : start + 12] for start in range(0, len(core) - 11, 4)}
    encoded = base64.b64encode(secret.encode()).decode()
    return pieces | {secret, encoded[4:28], quote(secret, safe=""), json.dumps(secret)[1:-1]}


def _tables() -> str:
    """Everything that is stored."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            found.append(f"{table}: {cursor.fetchall()}")
    return "\n".join(found)


@pytest.fixture
def secrets(api: Api) -> dict[str, str]:
    """Every kind of secret that the API takes or makes, by where it comes from."""
    models.sync_providers()
    own = world("ownly", "own")
    made = api.key(alias="x", team_id=own.team.public_id, metadata={"a": 1})
    custom = api.key(key="sk-custom-Hq83nYvT0aPw5LzR")["key"]
    new = api.post("/key/regenerate", {"key": made["token"]}).json["key"]
    person = api.post("/user/new", {"user_email": "new@example.com"}).json["key"]
    model = {
        "model_name": "m", "litellm_params": {
            "model": "openai/m", "api_key": PROVIDER, "api_base": "https://llm.example.com/v1",
            "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6,
        },
    }  # fmt: skip
    assert api.post("/model/new", model).status == 200
    credential = {
        "credential_name": "c", "credential_info": {"custom_llm_provider": "openai"},
        "credential_values": {"api_key": PROVIDER + "2", "api_base": "https://llm.example.com/v1"},
    }  # fmt: skip
    assert api.post("/credentials", credential).status in (200, 201)
    return {
        "generated": made["key"], "custom": custom, "regenerated": new, "of a person": person, "provider": PROVIDER,
        "credential": PROVIDER + "2", "master": settings.MASTER_KEY, "salt": settings.SALT_KEY,
        "django": settings.SECRET_KEY,
    }  # fmt: skip


def test_no_secret_is_read_back_stored_or_logged(
    api: Api, secrets: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    names: dict[str, Any] = {
        "key": "custom", "id": "d-own", "team_id": "own", "user_id": "own", "end_user_id": "c-own", "name": "c",
    }  # fmt: skip
    texts = {"stored": _tables()}
    for pattern in ROUTES:
        view, path = pattern.callback.view_class, _path(pattern, names)  # type: ignore[attr-defined]
        for method in ("get", "put", "patch", "delete", "post"):
            if hasattr(view, method):
                send = getattr(api.client, method)
                headers = {"authorization": f"Bearer {settings.MASTER_KEY}"}
                body = () if method == "get" else (json.dumps({"credential_name": "c"}), "application/json")
                texts[f"{method} {path}"] = send(path, *body, headers=headers).getvalue().decode()
    assert token_of(secrets["custom"]) in texts["stored"]
    assert "d-own" in texts["get /model/info"]
    texts |= {"stored afterwards": _tables(), "logged": caplog.text}
    shown = [
        f"{name} secret in {place}"
        for name, secret in secrets.items()
        for disguise in _disguises(secret)
        for place, text in texts.items()
        if disguise in text
    ]
    assert shown == []


def test_a_refusal_does_not_repeat_the_secret_it_was_sent(api: Api, secrets: dict[str, str]) -> None:
    wrong = []
    for pattern in ROUTES:
        for method in ("get", "post"):
            if hasattr(pattern.callback.view_class, method):  # type: ignore[attr-defined]
                path = _path(pattern, {"key": "k", "id": "i", "team_id": "t", "end_user_id": "e"})
                for bearer in ("sk-wrong-5Tn2QxVb8Lw", secrets["custom"][:-1] + "!"):
                    answer = api.get(path, bearer=bearer) if method == "get" else api.post(path, {}, bearer=bearer)
                    wrong += [path] if answer.status != 401 or bearer[3:] in answer.text else []
    assert set(wrong) <= {"/onboarding/get_token", "/onboarding/claim_token"}
