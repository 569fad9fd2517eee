"""/credentials: provider secrets under a name, bound to one host, never shown."""

from typing import Any

import pytest

from proxy import services
from proxy.models import Credential, Deployment, Provider
from teams.actors import SYSTEM
from teams.models import AuditEvent, Team, User
from tests.api.conftest import Answer, Api
from tests.api.test_models import NEW, SECRET
from tests.factories import issue

BODY = {
    "credential_name": "house",
    "credential_values": {"api_key": SECRET, "api_base": "https://llm.example.com/v1", "api_version": "2024-06-01"},
    "credential_info": {"custom_llm_provider": "openai", "description": "the house's"},
}
RATES = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}


@pytest.fixture(autouse=True)
def providers(db: None) -> None:
    services.sync_providers()


def delete(api: Api, path: str) -> Answer:
    return api._answer(api.client.delete(path, **api._headers()))


def using(name: str = "house", **params: Any) -> dict[str, Any]:
    given = {"model": "openai/house-model", "litellm_credential_name": name, **RATES, **params}
    return {"model_name": "fast", "litellm_params": given, "model_info": {"id": "m1"}}


def test_a_credential_is_stored_and_shown_without_its_secret(api: Api) -> None:
    made = api.post("/credentials", BODY)
    assert (made.status, made.json) == (200, {"success": True, "message": "Credential created successfully"})
    row = Credential.objects.get()
    assert (services.reveal(row), row.host) == (SECRET, "llm.example.com")
    shown = api.get("/credentials/by_name/house")
    assert shown.json == {
        "credential_name": "house",
        "credential_values": {
            "api_key": "********",
            "api_base": "https://llm.example.com/v1",
            "api_version": "2024-06-01",
        },
        "credential_info": BODY["credential_info"],
        "display_name": None,
        "source": "db",
    }
    assert api.get("/credentials").json == {"success": True, "credentials": [shown.json]}
    assert SECRET not in shown.text + row.envelope + str(list(AuditEvent.objects.values()))


@pytest.mark.parametrize("info", [None, {}, {"description": "ours"}, {"custom_llm_provider": "Groq"}])
def test_what_is_said_about_a_credential_comes_back_as_it_was_sent(api: Api, info: dict[str, Any] | None) -> None:
    api.post("/credentials", BODY | {"credential_info": info})
    assert api.get("/credentials/by_name/house").json["credential_info"] == (info or {})
    assert api.get("/credentials").json["credentials"][0]["credential_info"] == (info or {})
    api.post("/model/new", NEW)
    api.post("/credentials", {"credential_name": "copy", "model_id": "house-1", "credential_info": info})
    assert api.get("/credentials/by_name/copy").json["credential_info"] == (info or {})


def test_a_patch_that_names_no_provider_keeps_the_one_it_has(api: Api) -> None:
    openai = Provider.objects.get(slug="openai")
    services.store_credential(Credential(name="by-hand", provider=openai, host="llm.example.com"), SECRET, actor=SYSTEM)
    values = {"api_base": "https://llm.example.com/v1"}
    assert api.patch("/credentials/by-hand", {"credential_values": values}).status == 200
    assert Credential.objects.get().provider == openai
    assert api.get("/credentials/by_name/by-hand").json["credential_info"] == {}


def test_a_credential_may_have_a_name_for_people(api: Api) -> None:
    def shown() -> Any:
        return api.get("/credentials/by_name/house").json["display_name"]

    api.post("/credentials", BODY | {"display_name": "Pretty"})
    assert shown() == "Pretty"
    assert api.get("/credentials").json["credentials"][0]["display_name"] == "Pretty"
    for sent, kept in ((None, "Pretty"), ("New", "New"), ("", None)):
        assert api.patch("/credentials/house", {"display_name": sent, "credential_info": {}}).status == 200
        assert shown() == kept
    api.post("/model/new", NEW)
    api.post("/credentials", {"credential_name": "copy", "model_id": "house-1", "display_name": "The copy"})
    assert Credential.objects.get(name="copy").display_name == "The copy"
    assert api.patch("/credentials/house", {"display_name": 7}).status == 422


def test_models_refer_to_a_credential_and_take_its_address(api: Api) -> None:
    api.post("/credentials", BODY)
    made = api.post("/model/new", using())
    assert made.status == 200, made.text
    params = made.json["litellm_params"]
    assert params["litellm_credential_name"] == "house"
    assert "api_base" not in params
    assert Deployment.objects.get().base_url == "https://llm.example.com/v1"
    shown = api.get("/credentials/by_model/m1")
    assert shown.json["credential_name"] == "house"
    assert SECRET not in made.text + shown.text
    # It is not the model's own: it stays when the model goes, and goes only once no model uses it.
    assert delete(api, "/credentials/house").status == 400
    api.post("/model/delete", {"id": "m1"})
    assert delete(api, "/credentials/house").json["success"] is True
    assert not Credential.objects.exists()


def test_a_stored_secret_goes_to_its_own_host_only(api: Api) -> None:
    api.post("/credentials", BODY)
    answer = api.post("/model/new", using(api_base="https://evil.example.com/v1"))
    assert answer.status == 400
    assert "bound to llm.example.com" in answer.error["message"]
    moved = {"credential_values": {"api_base": "https://evil.example.com/v1"}}
    assert api.patch("/credentials/house", moved).status == 400
    api.post("/model/new", using())
    assert (
        api.patch(
            "/credentials/house", {"credential_values": {"api_key": "x" * 20} | moved["credential_values"]}
        ).status
        == 400
    )
    assert services.reveal(Credential.objects.get()) == SECRET


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"litellm_credential_name": ["house"]}, "litellm_params.litellm_credential_name"),
        ({"api_key": SECRET}, "litellm_params.api_key"),
    ],
)
def test_a_model_that_names_its_secret_wrongly_is_400(api: Api, params: dict[str, str], field: str) -> None:
    api.post("/credentials", BODY)
    answer = api.post("/model/new", using(**params))
    assert (answer.status, answer.error["param"]) == (400, field)


def test_a_patch_changes_what_it_names(api: Api) -> None:
    api.post("/credentials", BODY)
    masked = {"credential_values": {"api_key": "********"}, "credential_info": {"description": "ours"}}
    answer = api.patch("/credentials/house", masked)
    assert (answer.status, answer.json["message"]) == (200, "Credential updated successfully")
    assert services.reveal(Credential.objects.get()) == SECRET
    assert api.get("/credentials/by_name/house").json["credential_info"]["description"] == "ours"
    api.patch("/credentials/house", {"credential_values": {"api_key": "sk-another-secret-1"}})
    assert services.reveal(Credential.objects.get()) == "sk-another-secret-1"


def test_a_models_secret_is_copied_under_a_name(api: Api) -> None:
    api.post("/model/new", NEW)
    assert api.get("/credentials").json["credentials"] == []
    shown = api.get("/credentials/by_model/house-1").json
    assert shown["credential_values"] == {"api_key": "********", "api_base": "https://llm.example.com/v1"}
    assert api.post("/credentials", {"credential_name": "copy", "model_id": "house-1"}).status == 200
    copy = Credential.objects.get(name="copy")
    assert (services.reveal(copy), copy.host) == (SECRET, "llm.example.com")
    api.post("/model/delete", {"id": "house-1"})
    assert list(Credential.objects.values_list("name", flat=True)) == ["copy"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "credential_name"),
        (BODY, 409, "credential_name"),
        ({"credential_name": "x"}, 400, "credential_values.api_key"),
        ({"credential_name": "x", "credential_values": {"api_key": ""}}, 400, "credential_values.api_key"),
        ({"credential_name": "x", "credential_values": {"aws_secret_access_key": "y"}}, 400, None),
        ({"credential_name": "x", "credential_values": {"api_key": SECRET, "api_base": "ftp://x"}}, 400, None),
        ({"credential_name": "x", "credential_values": {"api_key": 7}}, 422, "credential_values.api_key"),
        ({"credential_name": "x", "credential_info": {"password": "y"}}, 400, None),
        ({"credential_name": "x", "model_id": "nobody"}, 404, "model_id"),
    ],
)
def test_a_bad_credential_is_refused_by_name(api: Api, body: dict[str, Any], status: int, field: str | None) -> None:
    api.post("/credentials", BODY)
    answer = api.post("/credentials", body)
    assert answer.status == status, answer.text
    assert field is None or answer.fault == field
    assert SECRET not in answer.text
    assert Credential.objects.count() == 1


def test_what_is_not_there_is_404(api: Api) -> None:
    assert api.get("/credentials/by_name/nobody").status == 404
    assert api.get("/credentials/by_model/nobody").status == 404
    assert api.patch("/credentials/nobody", {}).status == 404
    assert delete(api, "/credentials/nobody").status == 404


def test_credentials_are_for_platform_admins(api: Api, search: Team, grace: User) -> None:
    api.post("/credentials", BODY)
    _, secret = issue(user=grace)
    assert api.get("/credentials", bearer=secret).status == 401
    assert api.post("/credentials", BODY, bearer=secret).status == 401
    # Nor may a team's admin price a model of the team at nothing and pay with the platform's secret.
    body = using() | {"model_info": {"team_id": search.public_id}}
    assert api.post("/model/new", body, bearer=secret).status == 403
    assert not Deployment.objects.exists()
    api.post("/model/new", body)
    free = {"litellm_params": {"input_cost_per_token": 0, "output_cost_per_token": 0}}
    public_id = Deployment.objects.get().public_id
    assert api.patch(f"/model/{public_id}/update", free, bearer=secret).status == 403
