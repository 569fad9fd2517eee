"""`api_key: os.environ/NAME` over the API: what the configuration file lends, to whom and for which addresses."""

from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from proxy import services
from proxy.config_file import Config, LentSecret
from proxy.from_config import apply_models
from proxy.models import Credential, Deployment
from spend import book
from teams.actors import MASTER
from tests.api.conftest import Api
from tests.api.test_models import with_

LENT = "sk-of-the-environment-123"
NAME = "os.environ/LENT"
HERE = "https://llm.example.com/v1"


@pytest.fixture(autouse=True)
def lending(db: None, settings: Any) -> None:
    services.sync_providers()
    settings.CONFIG = Config(lent=(LentSecret("LENT", LENT, (HERE,)),))


def test_admins_name_a_secret_and_its_model_gets_it(api: Api) -> None:
    answer = api.post("/model/new", with_("litellm_params.api_key", NAME))
    assert answer.status == 200, answer.text
    credential = Credential.objects.get()
    assert (services.reveal(credential), credential.host) == (LENT, "llm.example.com")
    assert LENT not in answer.text
    body = {"litellm_params": {"api_key": NAME, "model": "openai/other"}, "model_info": {"id": "house-1"}}
    assert api.post("/model/update", body).status == 200
    stored = {"credential_name": "shared", "credential_values": {"api_key": NAME, "api_base": HERE}}
    assert api.post("/credentials", stored).status == 200
    assert services.reveal(Credential.objects.get(name="shared")) == LENT


def test_it_goes_to_no_other_address(api: Api) -> None:
    body = with_("litellm_params.api_key", NAME)
    body["litellm_params"]["api_base"] = "https://elsewhere.example.com/v1"
    answer = api.post("/model/new", body)
    assert (answer.status, answer.fault) == (400, "litellm_params.api_key")
    elsewhere = {"api_key": NAME, "api_base": "https://elsewhere.example.com/v1"}
    answer = api.post("/credentials", {"credential_name": "x", "credential_values": elsewhere})
    assert (answer.status, answer.fault) == (400, "credential_values.api_key")
    assert not Credential.objects.exists()


def test_a_model_that_has_it_cannot_be_pointed_elsewhere(api: Api) -> None:
    assert api.post("/model/new", with_("litellm_params.api_key", NAME)).status == 200
    away = {"litellm_params": {"api_base": "https://elsewhere.example.com/v1"}, "model_info": {"id": "house-1"}}
    assert api.post("/model/update", away).status == 400
    away["litellm_params"]["api_key"] = NAME
    assert api.post("/model/update", away).status == 400


def test_nothing_else_of_the_environment_is_lent(api: Api) -> None:
    assert settings.SECRET_KEY
    for name in ("os.environ/SECRET_KEY", "os.environ/", "os.environ/PATH"):
        answer = api.post("/model/new", with_("litellm_params.api_key", name))
        assert (answer.status, answer.fault) == (400, "litellm_params.api_key")


@pytest.fixture
def team(api: Api) -> tuple[str, str]:
    """A team, and the key of Grace, who leads it."""
    grace = api.post("/user/new", {"user_id": "grace"}).json["key"]
    members = [{"role": "admin", "user_id": "grace"}]
    return api.post("/team/new", {"team_alias": "search", "members_with_roles": members}).json["team_id"], grace


def of_team(team: str, model: str = "openai/gpt-4o-mini", **info: Any) -> dict[str, Any]:
    params = {"model": model, "api_key": NAME, "api_base": HERE}
    return {"model_name": "ours", "litellm_params": params, "model_info": {"id": "ours-1", "team_id": team, **info}}


def test_team_admins_get_it_for_what_everybody_is_offered(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    book.seed_prices(now=timezone.now())
    offered = {"model": "openai/gpt-4o*", "api_base": HERE, "api_key": LENT}
    entry = {"model_name": "gpt-4o*", "litellm_params": offered, "model_info": {}}
    refused = api.post("/model/new", of_team(public_id), bearer=grace)
    assert (refused.status, refused.error["param"]) == (403, "litellm_params.api_key")
    assert not Deployment.objects.exists()
    apply_models((entry,), Deployment.Source.CONFIG, actor=MASTER, now=timezone.now())
    made = api.post("/model/new", of_team(public_id), bearer=grace)
    assert made.status == 200, made.text
    assert services.reveal(Deployment.objects.get(public_id="ours-1").credential) == LENT
    for body in (of_team(public_id, id="x", base_model="gpt-4o-mini"), of_team(public_id, id="x", max_output_tokens=1)):
        assert api.post("/model/new", body, bearer=grace).status == 403
    assert api.post("/model/new", of_team(public_id, "openai/o3", id="x"), bearer=grace).status == 403


def test_team_admins_cannot_change_its_terms_afterwards(api: Api, team: tuple[str, str]) -> None:
    _, grace = team
    test_team_admins_get_it_for_what_everybody_is_offered(api, team)
    for change in ({"input_cost_per_token": 0, "output_cost_per_token": 0}, {"model": "openai/o3"}):
        body = {"litellm_params": change, "model_info": {"id": "ours-1"}}
        assert api.post("/model/update", body, bearer=grace).status == 403
    body = {"litellm_params": {}, "model_info": {"id": "ours-1", "max_output_tokens": 1}}
    assert api.post("/model/update", body, bearer=grace).status == 403
    again = {"litellm_params": {"model": "openai/gpt-4o-2024-08-06", "api_key": NAME}, "model_info": {"id": "ours-1"}}
    assert api.post("/model/update", again, bearer=grace).status == 200
    row = Deployment.objects.get(public_id="ours-1")
    assert (row.upstream_model, row.is_free, row.max_output_tokens) == ("gpt-4o-2024-08-06", False, None)


def test_team_admins_may_always_bring_secrets_of_their_own(api: Api, team: tuple[str, str]) -> None:
    public_id, grace = team
    body = with_("litellm_params.api_key", "sk-a-secret-of-hers") | {"model_info": {"team_id": public_id}}
    assert api.post("/model/new", body, bearer=grace).status == 200


def test_team_admins_get_it_for_nothing_that_their_organization_or_team_may_not_call(api: Api) -> None:
    grace = api.post("/user/new", {"user_id": "grace"}).json["key"]
    names = {"cheap": "gpt-4o-mini", "dear": "o3", "gpt-*": "gpt-*"}
    params = {name: {"model": f"openai/{names[name]}", "api_base": HERE, "api_key": LENT} for name in names}
    entries = [{"model_name": name, "litellm_params": params[name], "model_info": {}} for name in names]
    apply_models(entries, Deployment.Source.CONFIG, actor=MASTER, now=timezone.now())
    book.seed_prices(now=timezone.now())

    def made(allowed: list[str], upstream: str, name: str, of_team: list[str]) -> int:
        organization = api.post("/organization/new", {"organization_alias": "o", "models": allowed}).json
        members = [{"role": "admin", "user_id": "grace"}]
        body = {"organization_id": organization["organization_id"], "members_with_roles": members, "models": of_team}
        team = api.post("/team/new", body).json["team_id"]
        params = {"model": f"openai/{upstream}", "api_key": NAME, "api_base": HERE}
        body = {"model_name": name, "litellm_params": params, "model_info": {"team_id": team}}
        return api.post("/model/new", body, bearer=grace).status

    assert made(["cheap"], "o3", "cheap", []) == 403
    assert made(["cheap"], "gpt-4o-mini", "cheap", []) == 200
    assert made(["cheap", "dear"], "o3", "cheap", []) == 200
    assert made([], "o3", "dear", ["cheap"]) == 403
    assert made([], "o3", "cheap", ["dear"]) == 200
    assert made(["gpt-4o"], "gpt-4o", "gpt-4o", []) == 200
    assert made(["gpt-4o"], "gpt-4.1", "gpt-4o", []) == 403
