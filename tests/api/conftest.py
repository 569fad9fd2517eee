"""A caller of the management API: JSON in, JSON out, numbers exact."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.test import Client


@dataclass
class Answer:
    status: int
    text: str
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.text, parse_float=Decimal)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def fault(self) -> str:
        """The field that a refusal names: of a wrong shape (body C of the contract), or of a wrong value (A)."""
        if self.status != 422:
            return self.error["param"]
        return ".".join(part for part in self.json["detail"][0]["loc"][1:] if isinstance(part, str))

    @property
    def told(self) -> str:
        """What a refusal as a detail says (bodies B and C of the contract)."""
        detail = self.json["detail"]
        return detail["error"] if self.status != 422 else "; ".join(f"{one['loc']} {one['msg']}" for one in detail)


class Api:
    """Speaks with the master key, unless told otherwise."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)

    def post(self, path: str, body: Any = None, *, raw: str | bytes | None = None, **how: Any) -> Answer:
        data = json.dumps(body if body is not None else {}) if raw is None else raw
        return self._answer(self.client.post(path, data, content_type="application/json", **self._headers(**how)))

    def patch(self, path: str, body: Any, **how: Any) -> Answer:
        data = json.dumps(body)
        return self._answer(self.client.patch(path, data, content_type="application/json", **self._headers(**how)))

    def delete(self, path: str, body: Any, **how: Any) -> Answer:
        data = json.dumps(body)
        return self._answer(self.client.delete(path, data, content_type="application/json", **self._headers(**how)))

    def get(self, path: str, query: dict[str, Any] | None = None, **how: Any) -> Answer:
        return self._answer(self.client.get(path, query or {}, **self._headers(**how)))

    def key(self, **fields: Any) -> dict[str, Any]:
        """A fresh key with its secret."""
        answer = self.post("/key/generate", fields)
        assert answer.status == 200, answer.text
        return answer.json

    @staticmethod
    def _headers(bearer: str | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
        default = {"authorization": f"Bearer {bearer or settings.MASTER_KEY}"}
        return {"headers": default if headers is None else headers}

    @staticmethod
    def _answer(response: Any) -> Answer:
        return Answer(response.status_code, response.getvalue().decode(), response.headers)


@pytest.fixture
def api(db: None) -> Api:
    return Api()
