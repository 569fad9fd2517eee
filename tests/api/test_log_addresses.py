"""Where a call went, in the spend log: for those who look after the platform, as the answer's own header told it."""

from typing import Any

import pytest

from proxy.models import Deployment
from proxy.services import sync_providers
from teams import services
from teams.actors import MASTER
from teams.models import User
from tests.api.conftest import Api
from tests.api.spending import DAY, spend
from tests.factories import issue

ADDRESS = "https://llm.example.com/v1"
MODEL = {
    "model_name": "house", "model_info": {"id": "house-1"},
    "litellm_params": {
        "model": "openai/house", "api_base": f"{ADDRESS}?api-version=2&sig=hidden", "api_key": "sk-upstream-secret-1",
        "input_cost_per_token": 0.000001, "output_cost_per_token": 0.000001,
    },
}  # fmt: skip


@pytest.fixture
def secret(api: Api, linus: User) -> str:
    """Of Linus, who called the house's model, and failed to, and once a model that is no more."""
    sync_providers()
    assert api.post("/model/new", MODEL).status == 200
    key, secret = issue(user=linus)
    spend(key, 10, request_id="charged", deployment="house-1")
    spend(key, None, request_id="failed", deployment="house-1")
    spend(key, 10, request_id="gone", deployment="gone-1")
    return secret


def addresses(rows: Any) -> dict[str, str]:
    return {row["litellm_call_id"]: row["api_base"] for row in rows}


def test_admins_see_the_address_without_its_query(api: Api, secret: str) -> None:
    shown = {"charged": ADDRESS, "failed": ADDRESS, "gone": ""}
    assert addresses(api.get("/spend/logs").json) == shown
    assert addresses(api.get("/spend/logs/v2", DAY).json["data"]) == shown
    assert addresses(api.get("/spend/logs/v2", DAY | {"group_by_session": "true"}).json["data"]) == shown
    assert addresses(api.get("/spend/logs/session/ui", {"session_id": "charged"}).json["data"]) == {"charged": ADDRESS}
    assert api.get("/spend/logs/ui/failed").json["api_base"] == ADDRESS


def test_viewers_of_the_platform_see_it_and_others_do_not(api: Api, secret: str) -> None:
    viewer = services.create_user(User(username="viewer", role=User.Role.PROXY_ADMIN_VIEWER), actor=MASTER)
    seen = api.get("/spend/logs", bearer=issue(user=viewer)[1]).json
    assert addresses(seen)["charged"] == ADDRESS
    own = api.get("/spend/logs", bearer=secret).json
    assert addresses(own) == {"charged": "", "failed": "", "gone": ""}


def test_a_model_that_was_deleted_has_no_address_any_more(api: Api, secret: str) -> None:
    assert api.post("/model/delete", {"id": "house-1"}).status == 200
    assert not Deployment.objects.filter(public_id="house-1").exists()
    assert set(addresses(api.get("/spend/logs").json).values()) == {""}
