"""`models` of a tag: the deployments that it is for, by id."""

from typing import Any

import pytest
from django.utils import timezone

from proxy import services
from proxy.models import Deployment
from proxy.shelves import targets_of
from teams.models import AuditEvent, Tag
from tests.api.conftest import Api
from tests.api.test_models import NEW

IDS = ("d1", "d2", "d3")


@pytest.fixture(autouse=True)
def deployments(api: Api) -> None:
    """Three of one model, of which the third is for a tag already."""
    services.sync_providers()
    for public_id in IDS:
        params = NEW["litellm_params"] | ({"tags": ["eu"]} if public_id == "d3" else {})  # type: ignore[operator]
        made = api.post("/model/new", NEW | {"model_info": {"id": public_id}, "litellm_params": params})
        assert made.status == 200, made.text


def tags() -> dict[str, Any]:
    return {row.public_id: row.params.get("tags") for row in Deployment.objects.order_by("pk")}


def test_the_deployments_of_a_tag_are_told_so_and_shown(api: Api) -> None:
    made = api.post("/tag/new", {"name": "paid", "models": ["d1", "d3"]})
    assert (made.status, made.json["tag"]["models"]) == (200, ["d1", "d3"])
    assert tags() == {"d1": ["paid"], "d2": None, "d3": ["eu", "paid"]}
    assert AuditEvent.objects.filter(action="model.updated").count() == 2
    routed = targets_of("fast", None, timezone.now())
    assert {one.deployment for one in routed if "paid" in one.tags} == {"d1", "d3"}
    changed = api.post("/tag/update", {"name": "paid", "models": ["d2", "d3"]}).json["tag"]
    assert changed["model_info"] == {"d2": "fast", "d3": "fast"}
    assert tags() == {"d1": None, "d2": ["paid"], "d3": ["eu", "paid"]}
    for row in (api.post("/tag/info", {"names": ["paid"]}).json["paid"], *api.get("/tag/list").json):
        assert (row["models"], row["model_info"]) == (["d2", "d3"], {"d2": "fast", "d3": "fast"})
    for silent in ({}, {"models": None}):
        assert api.post("/tag/update", {"name": "paid", "max_budget": 1} | silent).json["tag"]["models"] == ["d2", "d3"]
    assert api.post("/tag/update", {"name": "paid", "models": []}).json["tag"]["models"] == []
    assert tags() == {"d1": None, "d2": None, "d3": ["eu"]}


def test_a_new_tag_takes_no_deployment_away(api: Api) -> None:
    assert api.post("/tag/new", {"name": "eu", "models": ["d1"]}).json["tag"]["models"] == ["d1", "d3"]
    assert api.post("/tag/new", {"name": "idle", "models": []}).json["tag"]["models"] == []


@pytest.mark.parametrize(("models", "status"), [(["d1", "no"], 400), ("d1", 422), ([7], 422), ([""], 400)])
def test_what_is_no_deployment_is_refused_and_nothing_changed(api: Api, models: Any, status: int) -> None:
    api.post("/tag/new", {"name": "known"})
    for path, name in (("/tag/new", "paid"), ("/tag/update", "known")):
        refused = api.post(path, {"name": name, "max_budget": 5, "models": models})
        assert refused.status == status and "models" in refused.text, refused.text
    assert tags() == {"d1": None, "d2": None, "d3": ["eu"]}
    assert [(tag.name, tag.max_budget_nano) for tag in Tag.objects.all()] == [("known", None)]


def test_what_the_file_says_of_a_deployment_is_changed_there(api: Api) -> None:
    Deployment.objects.filter(public_id__in=["d2", "d3"]).update(source=Deployment.Source.CONFIG)
    refused = api.post("/tag/new", {"name": "paid", "models": ["d1", "d2"]})
    assert refused.status == 400 and "configuration file" in refused.told, refused.text
    assert api.post("/tag/new", {"name": "eu", "models": ["d1", "d3"]}).status == 200
    assert "configuration file" in api.post("/tag/update", {"name": "eu", "models": ["d1"]}).told
    assert tags() == {"d1": ["eu"], "d2": None, "d3": ["eu"]}


def test_only_platform_admins_choose_them(api: Api) -> None:
    assert api.post("/tag/new", {"name": "paid", "models": ["d1"]}, bearer=api.key()["key"]).status == 401
    assert tags()["d1"] is None
