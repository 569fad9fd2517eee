"""Models of a team go where the platform lets them, since the gateway calls from inside its network."""

from typing import Any

import pytest

from proxy.models import Deployment
from proxy.services import sync_providers
from tests.api.conftest import Api
from tests.api.people import team_led_by

ELSEWHERE = "http://169.254.169.254/latest"
PRICES = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}


@pytest.fixture(autouse=True)
def _providers(db: None) -> None:
    sync_providers()


@pytest.fixture
def team(api: Api) -> tuple[str, str]:
    """A team, and the key of Grace, who leads it."""
    return team_led_by(api, "grace")


def at(address: str | None, team: str | None = None, *, name: str = "ours-1") -> dict[str, Any]:
    params = {"model": "openai/ours", "api_key": "sk-a-secret-of-hers", "api_base": address, **PRICES}
    return {"model_name": name, "litellm_params": params, "model_info": {"id": name, "team_id": team}}


def test_team_admins_choose_the_providers_own_address(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    assert api.post("/model/new", at(None, public_id), bearer=grace).status == 200
    assert api.post("/model/new", at("https://api.openai.com/v1", public_id, name="b"), bearer=grace).status == 200


def test_an_address_of_their_own_choosing_is_403_and_leaves_nothing(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    refused = api.post("/model/new", at(ELSEWHERE, public_id), bearer=grace)
    assert (refused.status, refused.error["param"]) == (403, "litellm_params.api_base")
    assert "169.254.169.254" in refused.error["message"]
    assert not Deployment.objects.exists()


def test_nor_is_a_model_moved_there(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    api.post("/model/new", at(None, public_id), bearer=grace)
    moved = {"litellm_params": {"api_base": ELSEWHERE, "api_key": "sk-hers"}, "model_info": {"id": "ours-1"}}
    assert api.post("/model/update", moved, bearer=grace).status == 403
    assert Deployment.objects.get().base_url == "https://api.openai.com/v1"


def test_where_everybody_is_served_a_team_may_be_served_too(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    api.post("/model/new", at("http://vllm.internal:8000/v1", name="for-all"))
    assert api.post("/model/new", at("http://vllm.internal:8000/v1/", public_id), bearer=grace).status == 200
    for near in (":8001/v1", ":8000/admin#", ":8000/v1?x=", ":8000/v1/../admin", ":8000"):
        refused = api.post("/model/new", at(f"http://vllm.internal{near}", public_id, name="b"), bearer=grace)
        assert refused.status == 403, near


@pytest.mark.parametrize("tail", ["/admin#", "/v1?x=", "/v1/../admin", "/%2e%2e/admin"])
def test_an_allowed_host_is_no_way_to_other_paths_than_are_written(
    api: Api, team: tuple[str, str], settings: Any, tail: str
) -> None:
    public_id, grace = team
    settings.TEAM_MODEL_HOSTS = ["eu.example.com"]
    assert api.post("/model/new", at(f"https://eu.example.com{tail}", public_id), bearer=grace).status == 403


def test_the_gateways_own_machine_is_no_providers_address(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    body = at(None, public_id)
    body["litellm_params"]["model"] = "ollama/llama3"
    assert api.post("/model/new", body, bearer=grace).status == 403


def test_who_brought_the_secret_sets_the_price(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    api.post("/model/new", at(None, public_id))
    free = {"litellm_params": {"input_cost_per_token": 0, "output_cost_per_token": 0}, "model_info": {"id": "ours-1"}}
    refused = api.post("/model/update", free, bearer=grace)
    assert (refused.status, refused.error["param"]) == (403, "input_cost_per_token")
    own = {"litellm_params": free["litellm_params"], "model_info": {"id": "hers"}}
    api.post("/model/new", at(None, public_id, name="hers"), bearer=grace)
    assert api.post("/model/update", own, bearer=grace).status == 200


def test_a_model_of_another_team_opens_no_door(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    other = api.post("/team/new", {"team_alias": "other"}).json["team_id"]
    api.post("/model/new", at(ELSEWHERE, other, name="theirs"))
    assert api.post("/model/new", at(ELSEWHERE, public_id), bearer=grace).status == 403


@pytest.mark.parametrize("allowed", ["*", "*.example.com", "eu.example.com"])
def test_the_platform_may_allow_hosts(api: Api, team: tuple[str, str], settings: Any, allowed: str) -> None:
    public_id, grace = team
    settings.TEAM_MODEL_HOSTS = [allowed, "[::1]:8000"]
    assert api.post("/model/new", at("https://EU.example.com/v1", public_id), bearer=grace).status == 200
    if allowed != "*":
        assert (
            api.post("/model/new", at("https://example.com.evil.org", public_id, name="b"), bearer=grace).status == 403
        )


def test_what_a_platform_admin_placed_elsewhere_can_still_be_changed(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    api.post("/model/new", at("http://vllm.internal:8000/v1", public_id))
    slower = {"litellm_params": {"timeout": 90}, "model_info": {"id": "ours-1"}}
    assert api.post("/model/update", slower, bearer=grace).status == 200


def test_a_blocked_model_leaves_the_teams_list_which_opens_nobody_elses_of_that_name(
    api: Api, team: tuple[str, str]
) -> None:
    public_id, grace = team

    def listed() -> list[str]:
        info = api.get("/team/info", {"team_id": public_id}, bearer=grace).json["team_info"]
        return list(info["models"])

    api.post("/team/update", {"team_id": public_id, "models": ["cheap"]})
    assert api.post("/model/new", at(None, public_id, name="dear"), bearer=grace).status == 200
    assert listed() == ["cheap", "dear"]
    for path, models in (
        ("/model/block", ["cheap"]),
        ("/model/unblock", ["cheap", "dear"]),
        ("/model/block", ["cheap"]),
    ):
        assert api.post(path, {"model_id": "dear"}, bearer=grace).status == 200
        assert listed() == models
    renamed = {"model_name": "dearer", "model_info": {"id": "dear"}}
    assert api.post("/model/update", renamed, bearer=grace).status == 200
    assert listed() == ["cheap"]


def test_who_made_a_model_is_known_by_every_key_of_theirs_and_not_by_an_id_that_is_free_again(
    api: Api, team: tuple[str, str]
) -> None:
    public_id, grace = team
    api.post("/model/new", at(None, public_id), bearer=grace)
    second = api.post("/key/generate", {"user_id": "grace"}).json["key"]
    dearer = {"litellm_params": {"input_cost_per_token": 3e-6}, "model_info": {"id": "ours-1"}}
    assert api.post("/model/update", dearer, bearer=second).status == 200
    assert Deployment.objects.get().created_by == "grace"
    api.post("/user/delete", {"user_ids": ["grace"]})
    other = api.post("/user/new", {"user_id": "grace"}).json["key"]
    api.post("/team/member_add", {"team_id": public_id, "member": {"role": "admin", "user_id": "grace"}})
    refused = api.post("/model/update", dearer, bearer=other)
    assert (refused.status, refused.error["param"]) == (403, "input_cost_per_token")
