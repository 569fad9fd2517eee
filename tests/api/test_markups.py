"""/config/cost_discount_config and /config/cost_margin_config: what they store, refuse, and do to a price."""

import json
from decimal import Decimal
from typing import Any

import pytest

from proxy import services
from proxy.config_file import read_config
from proxy.shelves import load_catalog
from spend.markups import read_markups
from spend.pricing import Usage, charge_for
from teams.models import AuditEvent, PolicyChange
from teams.scopes import CATALOG
from tests.api.conftest import Api
from tests.api.test_models import NEW
from tests.factories import NOON, issue

DISCOUNT, MARGIN = "/config/cost_discount_config", "/config/cost_margin_config"
USED = Usage(input=1_000_000)


@pytest.fixture
def model(api: Api) -> str:
    services.sync_providers()
    params = NEW["litellm_params"] | {"model": "openai/gpt-4o-mini", "input_cost_per_token": 1e-6}
    answer = api.post("/model/new", {"model_name": "marked", "litellm_params": params})
    assert answer.status == 200, answer.text
    return "marked"


def cost(model: str) -> int:
    card = load_catalog(NOON.replace(year=2099)).everybody.models[model][0].price
    assert card is not None
    return charge_for(USED, card).nano


def test_a_discount_and_a_margin_change_what_a_call_costs(api: Api, model: str) -> None:
    assert cost(model) == 10**9
    news = PolicyChange.objects.filter(scope=CATALOG).count()
    answer = api.patch(DISCOUNT, {"openai": 0.05})
    assert (answer.status, answer.json["values"]) == (200, {"openai": Decimal("0.05")})
    assert cost(model) == 950_000_000
    assert api.patch(MARGIN, {"global": 0.5, "openai": {"percentage": 0.1, "fixed_amount": 0.002}}).status == 200
    assert cost(model) == 950_000_000 * 11 // 10 + 2_000_000
    assert api.get(MARGIN).json["values"] == {
        "global": Decimal("0.5"), "openai": {"percentage": Decimal("0.1"), "fixed_amount": Decimal("0.002")}
    }  # fmt: skip
    calculated = api.post(
        "/spend/calculate",
        {"completion_response": {"model": model, "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0}}},
    )
    assert calculated.json["cost"] == Decimal("1.047")
    assert PolicyChange.objects.filter(scope=CATALOG).count() == news + 2


def test_a_patch_stores_exactly_what_it_names_and_leaves_the_other_table_alone(api: Api, model: str) -> None:
    api.patch(MARGIN, {"openai": 0.5})
    api.patch(DISCOUNT, {"openai": 0.1, "groq": 0.2})
    assert api.patch(DISCOUNT, {"groq": 0.3}).json["values"] == {"groq": Decimal("0.3")}
    assert cost(model) == 1_500_000_000
    assert api.patch(MARGIN, {}).json["values"] == {}
    assert api.patch(DISCOUNT, {}).json["values"] == {}
    assert cost(model) == 10**9
    actions = set(AuditEvent.objects.filter(action__startswith="markup.").values_list("action", flat=True))
    assert actions == {"markup.created", "markup.updated", "markup.deleted"}


@pytest.mark.parametrize(("path", "table"), [(DISCOUNT, {"openai": 0.1}), (MARGIN, {"openai": 0.1, "global": 0.2})])
def test_what_is_answered_may_be_sent_back(api: Api, model: str, path: str, table: dict[str, float]) -> None:
    assert api.patch(path, api.get(path).json).json["values"] == {}
    told = api.patch(path, table)
    for answer in (json.loads(told.text), json.loads(api.get(path).text)):
        sent = api.patch(path, answer)
        assert (sent.status, sent.json["values"]) == (200, told.json["values"])
    wrong = api.patch(path, {"values": {"nobody": 0.1}})
    assert (wrong.status, "nobody" in wrong.text) == (400, True)
    assert api.patch(path, {"values": 0.1}).status == api.patch(path, {"values": {}, "openai": 0.1}).status == 400


def test_what_is_stored_lies_over_the_file(api: Api, model: str, settings: Any) -> None:
    settings.MARKUPS = read_markups({"cost_discount_config": {"openai": 0.5, "groq": 0.1}})
    assert cost(model) == 500_000_000
    api.patch(DISCOUNT, {"openai": 0})
    assert cost(model) == 10**9
    assert api.get(DISCOUNT).json["values"] == {"openai": 0, "groq": Decimal("0.1")}


@pytest.mark.parametrize(
    ("path", "body"),
    [(DISCOUNT, {"openai": 2}), (DISCOUNT, {"openai": {"percentage": 0.1}}), (DISCOUNT, {"global": 0.1}),
     (DISCOUNT, {"nobody": 0.1}), (MARGIN, {"openai": -1}), (MARGIN, {"openai": {"fixed": 1}}), (MARGIN, {"x": 0.1})],
)  # fmt: skip
def test_what_is_no_markup_is_refused_and_nothing_is_stored(api: Api, path: str, body: Any) -> None:
    answer = api.patch(path, {"groq": 0.1, **body})
    assert (answer.status, answer.fault) == (400, path.rpartition("/")[2])
    assert api.get(path).json["values"] == {}


def test_only_admins_set_prices(api: Api) -> None:
    _, secret = issue()
    assert api.patch(DISCOUNT, {"openai": 0.1}, bearer=secret).status == 401
    assert api.get(MARGIN, bearer=secret).status == 401


def test_the_file_may_name_providers_that_are_not_known_here(tmp_path: Any) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("litellm_settings: {cost_discount_config: {vertex_ai: 0.1, openai: 0.1}}")
    config = read_config(str(path), {})
    assert config.warnings == ("litellm_settings.cost_discount_config.vertex_ai: unknown provider, ignored",)
