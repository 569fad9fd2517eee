"""Names have no control characters, which would break the lines of logs, headers and exports; texts may have lines."""

from typing import Any

import pytest

from proxy import services
from teams.first_named import make_customer, make_tags
from teams.models import Organization
from tests.api.conftest import Api
from tests.api.test_models import NEW

_NEW: list[tuple[str, str, dict[str, Any]]] = [
    ("/user/new", "user_id", {}),
    ("/user/new", "user_alias", {}),
    ("/team/new", "team_id", {}),
    ("/team/new", "team_alias", {}),
    ("/organization/new", "organization_id", {"organization_alias": "O"}),
    ("/organization/new", "organization_alias", {}),
    ("/budget/new", "budget_id", {"max_budget": 5}),
    ("/tag/new", "name", {}),
    ("/customer/new", "user_id", {}),
    ("/customer/new", "alias", {"user_id": "c"}),
    ("/v1/access_group", "access_group_name", {}),
    ("/access_group/new", "access_group", {"model_names": ["alpha"]}),
    ("/model/new", "model_name", NEW),
    ("/credentials", "credential_name", {"credential_values": {"api_key": "sk-x"}, "credential_info": {}}),
    ("/key/generate", "key_alias", {}),
    ("/key/generate", "user_id", {}),
]


@pytest.fixture(autouse=True)
def providers(db: None) -> None:
    services.sync_providers()


@pytest.mark.parametrize("character", ["\n", "\t", "\x1b", "\x7f", "\x85"])
@pytest.mark.parametrize(("path", "field", "rest"), _NEW)
def test_a_control_character_in_a_name_is_refused(
    api: Api, path: str, field: str, rest: dict[str, Any], character: str
) -> None:
    answer = api.post(path, rest | {field: f"a{character}b"})
    assert (answer.status, "control characters" in answer.text, field in answer.text) == (400, True, True), answer.text


def test_a_list_of_names_and_the_id_of_a_model_are_refused_likewise(api: Api) -> None:
    for field in ("tags", "models"):
        assert api.post("/key/generate", {field: ["a\nb"]}).fault == field
    assert "control characters" in api.post("/model/new", NEW | {"model_info": {"id": "a\nb"}}).text
    params: Any = NEW["litellm_params"]
    assert "control characters" in api.post("/model/new", NEW | {"litellm_params": params | {"model": "a\nb"}}).text


def test_names_of_aliases_and_of_programs_likewise(api: Api) -> None:
    assert api.post("/key/generate", {"aliases": {"a\nb": "c"}}).fault == "aliases"
    assert api.post("/team/new", {"team_id": "t", "model_aliases": {"a": "b\nc"}}).fault == "model_aliases"
    api.post("/team/new", {"team_id": "t"})
    program = {"team_id": "t", "metadata": {"service_account_id": "a\nb"}}
    assert "in one line" in api.post("/key/service-account/generate", program).text


def test_texts_have_as_many_lines_as_they_like(api: Api) -> None:
    text = "first\nsecond\tcolumn"
    assert api.post("/tag/new", {"name": "t", "description": text}).status == 200
    group = {"access_group_name": "g", "description": text}
    assert api.post("/v1/access_group", group).json["description"] == text
    made = api.post("/user/new", {"user_id": "josé – 名", "metadata": {"note": text}})
    assert (made.status, made.json["user_id"], made.json["metadata"]["note"]) == (200, "josé – 名", text)


def test_whom_a_call_has_named_otherwise_can_be_changed(api: Api, organization: Organization) -> None:
    make_customer(organization.pk, "a\nb", None)
    make_tags(organization.pk, {"a\nb"})
    assert api.post("/customer/update", {"user_id": "a\nb", "max_budget": 5}).status == 200
    assert api.post("/tag/update", {"name": "a\nb", "max_budget": 5}).status == 200
