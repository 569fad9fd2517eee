"""/model/...: models in LiteLLM's shape; a provider's secret goes in and never comes out."""

from decimal import Decimal
from typing import Any

import pytest

from proxy import services
from proxy.models import Credential, Deployment
from teams.models import AuditEvent
from tests.api.conftest import Api

SECRET = "sk-provider-0123456789abcdef"
NEW = {
    "model_name": "fast",
    "litellm_params": {
        "model": "openai/house-model",
        "api_key": SECRET,
        "api_base": "https://llm.example.com/v1",
        "input_cost_per_token": 1.5e-7,
        "output_cost_per_token": 6e-7,
        "rpm": 60,
        "temperature": 0.5,
    },
    "model_info": {"id": "house-1", "max_output_tokens": 1000},
}


@pytest.fixture(autouse=True)
def providers(db: None) -> None:
    services.sync_providers()


def with_(path: str, value: Any) -> dict[str, Any]:
    """NEW with one value of `litellm_params` or `model_info` changed."""
    section, name = path.split(".")
    return NEW | {section: NEW[section] | {name: value}}  # type: ignore[operator]


def test_a_model_is_made_and_its_secret_kept_to_itself(api: Api) -> None:
    answer = api.post("/model/new", NEW)
    assert answer.status == 200, answer.text
    made = answer.json
    assert (made["model_id"], made["model_name"], made["model_info"]["id"]) == ("house-1", "fast", "house-1")
    assert made["litellm_params"]["model"] == "openai/house-model"
    assert made["litellm_params"]["rpm"] == 60
    assert '"input_cost_per_token":0.00000015,' in answer.text
    credential = Credential.objects.get()
    assert services.reveal(credential) == SECRET
    for place in (answer.text, credential.envelope, str(list(AuditEvent.objects.values()))):
        assert SECRET not in place
    assert SECRET not in str(list(Deployment.objects.values()))


def test_a_model_reads_as_it_was_written(api: Api) -> None:
    for written in ("house-model", "openai/house-model"):
        made = api.post("/model/new", with_("litellm_params.model", written)).json
        assert made["litellm_params"]["model"] == written
        body = {"litellm_params": {"rpm": 7}, "model_info": {"id": "house-1"}}
        assert api.post("/model/update", body).json["litellm_params"]["model"] == written
        row = Deployment.objects.get()
        assert (row.provider.slug, row.upstream_model) == ("openai", "house-model")
        api.post("/model/delete", {"id": "house-1"})


def test_an_update_names_the_model_in_either_place(api: Api) -> None:
    api.post("/model/new", NEW)
    for named in (
        {"id": "house-1"},
        {"id": "house-1", "model_info": {"mode": "chat"}},
        {"model_info": {"id": "house-1"}},
    ):
        assert api.post("/model/update", {"litellm_params": {"rpm": 8}, **named}).status == 200
    assert api.post("/model/update", {"litellm_params": {"rpm": 8}}).json["detail"][0]["loc"] == [
        "body", "model_info", "id",
    ]  # fmt: skip


def test_models_are_listed_with_their_prices(api: Api) -> None:
    api.post("/model/new", NEW)
    for path in ("/model/info", "/v1/model/info"):
        answer = api.get(path)
        assert [row["model_info"]["id"] for row in answer.json["data"]] == ["house-1"]
        assert answer.json["data"][0]["model_info"]["output_cost_per_token"] == Decimal("0.0000006")
        assert SECRET not in answer.text


def test_prices_of_every_class_are_echoed(api: Api) -> None:
    priced = {"input_cost_per_audio_token": 4e-5, "input_cost_per_token_priority": 3e-7, "input_cost_per_request": 0.01}
    params = NEW["litellm_params"] | priced | {"input_cost_per_token_above_200k_tokens": 2.5e-7}  # type: ignore[operator]
    info = api.post("/model/new", NEW | {"litellm_params": params}).json["model_info"]
    assert info["input_cost_per_audio_token"] == Decimal("0.00004")
    assert info["input_cost_per_token_priority"] == Decimal("0.0000003")
    assert info["input_cost_per_request"] == Decimal("0.01")
    assert info["input_cost_per_token_above_200k_tokens"] == Decimal("0.00000025")


def test_prices_by_the_million_are_read_as_such(api: Api) -> None:
    def rates(row: dict[str, Any]) -> tuple[Decimal, Decimal]:
        return row["litellm_params"]["input_cost_per_token"], row["litellm_params"]["output_cost_per_token"]

    by_million = {"id": "house-1", "input_cost_per_million_tokens": 3.3, "output_cost_per_million_tokens": 9}
    unpriced = {"model": "openai/house-model", "api_key": SECRET}
    made = api.post("/model/new", {"model_name": "fast", "litellm_params": unpriced, "model_info": by_million})
    assert made.status == 200, made.text
    assert rates(made.json) == (Decimal("0.0000033"), Decimal("0.000009"))
    again = {"model_info": {"id": "house-1", "output_cost_per_million_tokens": 0.1}}
    assert rates(api.post("/model/update", again).json) == (Decimal("0.0000033"), Decimal("1e-7"))
    own = {"litellm_params": {"output_cost_per_token": 7e-6}, "model_info": by_million}
    assert rates(api.patch("/model/house-1/update", own).json) == (Decimal("0.0000033"), Decimal("0.000007"))
    unsaid = {"input_cost_per_million_tokens": None}
    assert rates(api.patch("/model/house-1/update", {"litellm_params": unsaid, "model_info": by_million}).json) == (
        Decimal("0.0000033"), Decimal("0.000009"),
    )  # fmt: skip
    too_fine = {"model_info": {"input_cost_per_million_tokens": "0.0000001"}}
    refused = api.patch("/model/house-1/update", too_fine)
    assert (refused.status, refused.error["param"]) == (400, "input_cost_per_million_tokens")


def test_access_groups_keep_the_order_they_were_sent_in(api: Api) -> None:
    made = api.post("/model/new", with_("model_info.access_groups", ["ga", "aa", "ga"])).json
    assert made["model_info"]["access_groups"] == ["ga", "aa"]
    changed = {"model_info": {"access_groups": ["c", "b", "d"]}}
    api.patch("/model/house-1/update", changed)
    assert api.get("/model/info").json["data"][0]["model_info"]["access_groups"] == ["c", "b", "d"]


def test_a_price_that_a_client_divided_in_floats_is_what_it_meant(api: Api) -> None:
    made = api.post("/model/new", with_("litellm_params.output_cost_per_token", 3.2999999999999997e-06))
    assert made.json["model_info"]["output_cost_per_token"] == Decimal("0.0000033")
    cheaper = {"litellm_params": {"output_cost_per_token": 5.699999999999999e-07}, "id": "house-1"}
    assert api.post("/model/update", cheaper).json["litellm_params"]["output_cost_per_token"] == Decimal("0.00000057")
    cheapest = {"litellm_params": {"input_cost_per_token": 1.0000000000000001e-07}}
    row = api.patch("/model/house-1/update", cheapest).json
    assert row["litellm_params"]["input_cost_per_token"] == Decimal("1e-7")


def test_one_model_is_found_by_its_id(api: Api) -> None:
    api.post("/model/new", NEW)
    assert len(api.get("/model/info", {"litellm_model_id": "house-1"}).json["data"]) == 1
    gone = api.get("/model/info", {"litellm_model_id": "unknown"})
    assert (gone.status, gone.told) == (400, "Model id = unknown not found on litellm proxy")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (NEW | {"model_name": ""}, "model_name"),
        (NEW | {"model_name": "*a*a*b"}, "model_name"),
        (with_("litellm_params.model", ""), "litellm_params.model"),
        (with_("litellm_params.input_cost_per_token", -1), "input_cost_per_token"),
        (with_("litellm_params.input_cost_per_token", "x"), "input_cost_per_token"),
        (with_("litellm_params.input_cost_per_token", 1e-13), "input_cost_per_token"),
        (with_("litellm_params.input_cost_per_second", 0.1), "input_cost_per_second"),
        (with_("litellm_params.output_cost_per_token", None), "output_cost_per_token"),
        (with_("litellm_params.api_base", "https://user:word@llm.example.com"), "litellm_params.api_base"),
        (with_("litellm_params.api_base", "no address"), "litellm_params.api_base"),
        (with_("litellm_params.api_key", "os.environ/SECRET_KEY"), "litellm_params.api_key"),
        (with_("litellm_params.api_key", "********"), "litellm_params.api_key"),
        (with_("litellm_params.aws_secret_access_key", "x"), "litellm_params.aws_secret_access_key"),
        (with_("litellm_params.extra_headers", {"authorization": "x"}), "litellm_params.extra_headers"),
        (with_("litellm_params.deep", [{"client_secret": "x"}]), "litellm_params.client_secret"),
        (with_("litellm_params.tags", "paid"), "litellm_params.tags"),
        (with_("litellm_params.tags", [{}]), "litellm_params.tags"),
        (with_("model_info.access_groups", "cheap"), "model_info.access_groups"),
        (with_("model_info.id", 7), "model_info.id"),
        (with_("model_info.mode", "dance"), "model_info.mode"),
    ],
)
def test_a_bad_model_is_400_naming_its_field(api: Api, body: dict[str, Any], field: str) -> None:
    answer = api.post("/model/new", body)
    assert (answer.status, answer.error["param"]) == (400, field)
    assert SECRET not in answer.text
    assert Deployment.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "model_name"),
        (NEW | {"litellm_params": []}, "litellm_params"),
        (NEW | {"litellm_params": {}}, "litellm_params.model"),
        (NEW | {"litellm_params": {"model": 7}}, "litellm_params.model"),
    ],
)
def test_a_model_of_a_wrong_shape_is_422_naming_its_field(api: Api, body: dict[str, Any], field: str) -> None:
    answer = api.post("/model/new", body)
    assert (answer.status, answer.fault) == (422, field)


def test_so_many_tokens_are_no_secret_but_texts_of_that_name_may_be(api: Api) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    counts = {"thinking": thinking, "max_completion_tokens": 512, "thinking_tokens": 1.5}
    made = api.post("/model/new", NEW | {"litellm_params": NEW["litellm_params"] | counts})
    assert made.status == 200, made.text
    assert Deployment.objects.get().params["thinking"] == thinking
    for value in ("sk-1", ["sk-1"], {"a": "sk-1"}):
        refused = api.post("/model/new", with_("litellm_params.thinking", {"budget_tokens": value}))
        assert (refused.status, refused.error["param"]) == (400, "litellm_params.budget_tokens")


def test_a_model_without_a_price_is_400(api: Api) -> None:
    params = {"model": "openai/house-model", "api_key": SECRET}
    answer = api.post("/model/new", {"model_name": "fast", "litellm_params": params})
    assert (answer.status, answer.error["param"]) == (400, "input_cost_per_token")
    assert Credential.objects.count() == 0


def test_a_model_id_exists_once(api: Api) -> None:
    api.post("/model/new", NEW)
    assert api.post("/model/new", NEW).error["param"] == "model_info.id"


def test_a_model_is_deleted_with_its_secret(api: Api) -> None:
    api.post("/model/new", NEW)
    assert "house-1" in api.post("/model/delete", {"id": "house-1"}).json["message"]
    assert (Deployment.objects.count(), Credential.objects.count()) == (0, 0)
    assert AuditEvent.objects.filter(action="model.deleted").count() == 1


def test_deleting_an_unknown_model_or_one_of_the_file_is_400(api: Api) -> None:
    api.post("/model/new", NEW)
    Deployment.objects.update(source=Deployment.Source.CONFIG)
    for body, status in (({"id": "unknown"}, 400), ({"id": "house-1"}, 400), ({}, 422)):
        answer = api.post("/model/delete", body)
        assert (answer.status, answer.fault) == (status, "id")
