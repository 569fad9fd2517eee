"""Values of `litellm_params` and `model_info` that are of another type than what they are read as."""

from typing import Any

import pytest

from proxy import services
from proxy.models import Deployment
from tests.api.conftest import Api
from tests.api.test_models import NEW, with_

_WRONG: list[tuple[str, Any]] = [
    ("litellm_params.api_key", 5), ("litellm_params.region_name", 5), ("litellm_params.api_base", []),
    ("litellm_params.rpm", "x"), ("litellm_params.tpm", True), ("litellm_params.rpm", ""),
    ("litellm_params.stream_timeout", "x"), ("litellm_params.weight", "x"), ("litellm_params.weight", "NaN"),
    ("litellm_params.temperature", "x"), ("litellm_params.temperature", {}), ("litellm_params.seed", [1]),
    ("model_info.base_model", 5),
]  # fmt: skip


@pytest.fixture(autouse=True)
def providers(db: None) -> None:
    services.sync_providers()


@pytest.mark.parametrize(("path", "value"), _WRONG)
def test_a_value_of_another_type_is_refused_by_name(api: Api, path: str, value: Any) -> None:
    section, name = path.split(".")
    refused = api.post("/model/new", with_(path, value))
    assert (refused.status, refused.error["param"], Deployment.objects.count()) == (400, path, 0)
    assert api.post("/model/new", NEW).status == 200
    changed = api.post("/model/update", {"id": "house-1", section: {name: value}})
    assert (changed.status, changed.error["param"]) == (400, path)
    assert api.patch("/model/house-1/update", {section: {name: value}}).status == 400


def test_every_value_of_another_type_is_named_at_once(api: Api) -> None:
    refused = api.post("/model/new", with_("litellm_params.rpm", "x") | {"model_info": {"base_model": 5}})
    assert (refused.status, "litellm_params.rpm" in refused.text, "base_model" in refused.text) == (400, True, True)


@pytest.mark.parametrize("value", ["5", 5, 5.5, "0.5", "os.environ/LIMIT", None])
def test_numbers_may_be_texts_and_references(api: Api, value: Any) -> None:
    made = api.post("/model/new", with_("litellm_params.rpm", value))
    assert made.status == 200, made.text
    assert Deployment.objects.get().params.get("rpm") == value
