"""`api_key: os.environ/NAME` over the API: what the configuration file lends, to whom and for which addresses."""

from typing import Any

import pytest
from django.conf import settings

from proxy import services
from proxy.config_file import Config, LentSecret
from proxy.models import Credential
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


def test_team_admins_bring_secrets_of_their_own(api: Api) -> None:
    grace = api.post("/user/new", {"user_id": "grace"}).json["key"]
    members = [{"role": "admin", "user_id": "grace"}]
    team = api.post("/team/new", {"team_alias": "search", "members_with_roles": members}).json["team_id"]
    body = with_("litellm_params.api_key", NAME)
    body["model_info"] = {"team_id": team}
    answer = api.post("/model/new", body, bearer=grace)
    assert (answer.status, answer.error["param"]) == (403, "litellm_params.api_key")
    body["litellm_params"]["api_key"] = "sk-a-secret-of-hers"
    assert api.post("/model/new", body, bearer=grace).status == 200
