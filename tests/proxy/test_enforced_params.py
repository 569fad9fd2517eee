"""Fields that a key insists on in every call."""

from typing import Any

import pytest

from keys import services
from keys.loading import load_grants
from proxy.runtime import permit
from proxy.runtime.errors import GatewayError
from teams.actors import MASTER
from tests.factories import issue

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ({"user": "u", "metadata": {"app": "a"}}, None),
        ({"metadata": {"app": "a"}}, "user"),
        ({"user": "u"}, "metadata.app"),
        ({"user": "u", "metadata": "app"}, "metadata.app"),
    ],
)
def test_a_call_brings_what_its_key_insists_on(body: dict[str, Any], missing: str | None) -> None:
    key, _ = issue(metadata={"enforced_params": ["user", "metadata.app"]})
    grant = load_grants([key.token])[key.token]
    if missing is None:
        permit.check_params(grant, body)
        return
    with pytest.raises(GatewayError, match=f"please pass param={missing}") as refusal:
        permit.check_params(grant, body)
    assert (refusal.value.status, refusal.value.param) == (400, missing)


def test_anything_may_stand_in_metadata(db: None) -> None:
    key, _ = issue(metadata={"enforced_params": {"user": 1}})
    assert load_grants([key.token])[key.token].enforced_params == ()


def test_a_deleted_key_is_not_known_any_more() -> None:
    key, _ = issue()
    services.delete_key(key, actor=MASTER)
    assert load_grants([key.token]) == {}
