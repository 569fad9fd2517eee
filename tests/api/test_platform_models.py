"""A team's models that the platform pays: who leads the team has them called as they were set up."""

from typing import Any

import pytest

from proxy.models import Deployment
from proxy.services import sync_providers
from tests.api.conftest import Api
from tests.api.people import team_led_by

PRICES = {"input_cost_per_token": 1e-7, "output_cost_per_token": 1e-7}


@pytest.fixture(autouse=True)
def _providers(db: None) -> None:
    sync_providers()


@pytest.fixture
def team(api: Api) -> tuple[str, str]:
    """A team, and the key of Grace, who leads it."""
    return team_led_by(api, "grace")


def model(name: str, team: str | None = None, **info: Any) -> dict[str, Any]:
    params = {"model": "openai/gpt-4o-mini", "api_key": "sk-a-secret-that-pays", **PRICES}
    return {"model_name": name, "litellm_params": params, "model_info": {"id": name, "team_id": team, **info}}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"litellm_params": {"model": "openai/o1-pro"}}, "litellm_params.model"),
        ({"model_name": "free"}, "model_name"),
        ({"model_info": {"access_groups": []}}, "model_info.access_groups"),
    ],
)
def test_its_price_and_its_limits_stay_its_own(
    api: Api, team: tuple[str, str], change: dict[str, Any], field: str
) -> None:
    public_id, grace = team
    api.post("/model/new", model("lent", public_id, access_groups=["greek"]))
    refused = api.patch("/model/lent/update", change, bearer=grace)
    assert (refused.status, refused.error["param"]) == (403, field)
    stays = Deployment.objects.get()
    assert (stays.upstream_model, stays.model.name, stays.groups) == ("gpt-4o-mini", "lent", {"greek"})
    assert api.patch("/model/lent/update", {"litellm_params": {"timeout": 5}}, bearer=grace).status == 200


def test_who_pays_from_now_on_chooses(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    api.post("/model/new", model("lent", public_id))
    own = {"litellm_params": {"model": "openai/gpt-4o", "api_key": "sk-a-secret-of-hers"}}
    assert api.patch("/model/lent/update", own, bearer=grace).status == 200


def test_a_group_of_others_is_not_joined(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    api.post("/model/new", model("alpha", access_groups=["greek"]))
    joining = api.post("/model/new", model("mine", public_id, access_groups=["greek"]), bearer=grace)
    assert (joining.status, joining.error["param"]) == (403, "model_info.access_groups")
    assert api.post("/model/new", model("mine", public_id, access_groups=["ours"]), bearer=grace).status == 200
    later = {"model_info": {"access_groups": ["ours", "greek"]}}
    assert api.patch("/model/mine/update", later, bearer=grace).status == 403
