"""Somebody makes the same thing between the look whether it is there and the attempt to save it."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from keys.serializers import KeySerializer
from proxy import group_services
from proxy import services as models
from teams import services
from teams.actors import MASTER
from teams.models import Organization, SharedBudget
from tests.api.conftest import Api
from tests.api.test_models import NEW
from tests.factories import issue

CLASH = [IntegrityError("x"), ValidationError({"public_id": "Organization with this Organization id already exists."})]
BODY = {"organization_id": "same", "organization_alias": "x"}


@pytest.mark.parametrize("clash", CLASH)
def test_the_loser_is_told_what_latecomers_are_told(
    api: Api, monkeypatch: pytest.MonkeyPatch, clash: Exception
) -> None:
    plain = services.create_organization_with_budget

    def lose(organization: Organization, **how: Any) -> Organization:
        monkeypatch.setattr(services, "create_organization_with_budget", plain)
        services.create_organization(Organization(public_id="same", name="winner"), actor=MASTER)
        raise clash

    monkeypatch.setattr(services, "create_organization_with_budget", lose)
    answer = api.post("/organization/new", BODY)
    assert (answer.status, answer.told) == (400, "organization_id: 'same' already exists")
    assert Organization.objects.get(public_id="same").name == "winner"


@pytest.mark.parametrize("error", [IntegrityError("x"), ValidationError({"name": "is not nice"})])
def test_what_is_refused_for_another_reason_stays_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(organization: Organization, **how: Any) -> Organization:
        raise error

    monkeypatch.setattr(services, "create_organization_with_budget", refuse)
    assert api.post("/organization/new", BODY).status == 400


@pytest.mark.parametrize("path", ["/key/generate", "/key/update"])
def test_an_alias_that_another_key_gets_meanwhile_is_told_like_one_that_was_there(
    api: Api, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    token = api.key()["token"]
    issue(alias="taken")

    def nobody_has_it_yet(form: KeySerializer, value: str) -> str:
        monkeypatch.undo()
        return value

    monkeypatch.setattr(KeySerializer, "validate_key_alias", nobody_has_it_yet)
    answer = api.post(path, {"key_alias": "taken"} | ({} if path == "/key/generate" else {"key": token}))
    assert (answer.status, answer.error["param"]) == (400, "key_alias")
    assert "Unique key aliases are required" in answer.error["message"]


@pytest.mark.parametrize("field", ["budget_id", "end_user_budget_id"])
def test_a_budget_that_is_given_out_while_it_is_deleted_stays(
    api: Api, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    api.post("/budget/new", {"budget_id": "b", "max_budget": 1})
    key = api.key(**{field: "b"})

    def nobody_has_it_yet(budget: SharedBudget) -> list[Any]:
        monkeypatch.undo()
        return []

    monkeypatch.setattr(services, "_using" if field == "budget_id" else "_handing_out", nobody_has_it_yet)
    refused = api.post("/budget/delete", {"id": "b"})
    assert (refused.status, "is still used by" in refused.text) == (400, True)
    assert api.get("/key/info", {"key": key["key"]}).json["info"][field] == "b"


def test_a_group_that_is_made_meanwhile_is_not_made_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    models.sync_providers()
    for name in ("alpha", "beta"):
        assert api.post("/model/new", NEW | {"model_name": name, "model_info": {"id": name}}).status == 200
    plain = group_services.set_members

    def after_another(name: str, *args: Any, **kwargs: Any) -> int:
        monkeypatch.setattr(group_services, "set_members", plain)
        assert api.post("/access_group/new", {"access_group": name, "model_names": ["beta"]}).status == 200
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(group_services, "set_members", after_another)
    answer = api.post("/access_group/new", {"access_group": "same", "model_names": ["alpha"]})
    assert (answer.status, "already exists" in answer.told) == (409, True)
    assert api.get("/access_group/same/info").json["model_names"] == ["beta"]
