"""`metadata.logging` of keys and teams: the secrets in it reach neither an answer, nor a row, nor the audit log."""

from typing import Any

import pytest

from keys.models import VirtualKey
from teams.models import AuditEvent
from tests.api.conftest import Api

SECRET = "sk-lf-private-value"
LOGGING = [
    {
        "callback_name": "langfuse",
        "callback_type": "success",
        "callback_vars": {"langfuse_secret_key": SECRET, "langfuse_public_key": "pk-lf", "api_key": "os.environ/KEY"},
    }
]


@pytest.mark.parametrize("metadata", [{"logging": LOGGING}, {"callback_settings": LOGGING[0]}])
@pytest.mark.parametrize("path", ["/key/generate", "/team/new", "/user/new"])
def test_secrets_of_callbacks_are_not_kept(api: Api, path: str, metadata: dict[str, Any]) -> None:
    answer = api.post(path, {"metadata": metadata})
    assert answer.status == 200, answer.text
    assert SECRET not in answer.text
    assert ("pk-lf" in answer.text, "os.environ/KEY" in answer.text) == (True, True)
    assert not any(SECRET in str(event.__dict__) for event in AuditEvent.objects.all())


def test_secrets_of_callbacks_are_not_kept_by_a_change(api: Api) -> None:
    key = api.key()
    assert api.post("/key/update", {"key": key["key"], "metadata": {"logging": LOGGING}}).status == 200
    stored = VirtualKey.objects.get(token=key["token"]).metadata["logging"][0]["callback_vars"]
    assert stored["langfuse_secret_key"] == "********"
    assert SECRET not in api.get("/key/info", {"key": key["key"]}).text


@pytest.mark.parametrize("logging", ["x", [1], [{}], [{"callback_vars": "x"}], {"a": 1}, None])
def test_metadata_of_any_other_shape_is_kept(api: Api, logging: Any) -> None:
    assert api.key(metadata={"logging": logging})["metadata"]["logging"] == logging
