"""What answers show of an organization."""

import json
from typing import Any

import pytest

from teams.models import User
from tests.api.conftest import Api
from tests.api.people import key_of

_RATES: dict[str, Any] = {"model_rpm_limit": {"gpt-4o": 5}, "model_tpm_limit": {"gpt-4o": 100, "demo": 7}}


@pytest.mark.parametrize("shared", [True, False])
def test_rates_per_model_are_shown_wherever_an_organization_is(api: Api, shared: bool) -> None:
    named = {"organization_id": "o", "organization_alias": "O"}
    if shared:
        api.post("/budget/new", {"budget_id": "gold"} | _RATES)
    made = api.post("/organization/new", named | ({"budget_id": "gold"} if shared else _RATES)).json
    changed = api.patch("/organization/update", {"organization_id": "o", "organization_alias": "P"}).json
    info = api.get("/organization/info", {"organization_id": "o"}).json
    [listed] = api.get("/organization/list", {"org_id": "o"}).json
    for row in (made, changed, info, listed):
        assert {name: row[name] for name in _RATES} == _RATES


def test_it_is_shown_who_made_and_changed_an_organization(api: Api, ada: User) -> None:
    made = api.post("/organization/new", {"organization_id": "o", "organization_alias": "O"}, bearer=key_of(ada)).json
    assert (made["created_by"], made["updated_by"]) == (ada.public_id, ada.public_id)
    changed = api.patch("/organization/update", {"organization_id": "o", "organization_alias": "P"}).json
    assert (changed["created_by"], changed["updated_by"]) == (ada.public_id, "default_user_id")
    [default] = api.get("/organization/list", {"org_id": "default"}).json
    assert (default["created_by"], default["updated_by"]) == ("", "")


@pytest.mark.parametrize(
    "fields", [{}, {"max_budget": 5, "budget_duration": "30d", "metadata": {"a": 1}} | _RATES, {"budget_id": "gold"}]
)
def test_an_organization_may_be_sent_back_as_it_is_shown(api: Api, fields: dict[str, Any]) -> None:
    api.post("/budget/new", {"budget_id": "gold", "max_budget": 9} | _RATES)
    api.post("/organization/new", {"organization_id": "o", "organization_alias": "O"} | fields)
    api.post("/team/new", {"team_id": "t", "organization_id": "o"})
    shown = json.loads(api.get("/organization/info", {"organization_id": "o"}).text)
    for answer in (api.patch("/v2/organization/o", shown), api.patch("/organization/update", shown)):
        row = json.loads(answer.text)
        assert (answer.status, row | {"updated_at": None}) == (200, shown | {"updated_at": None})
    refused = api.patch("/v2/organization/o", shown | {"shoe_size": 3})
    assert (refused.status, refused.fault) == (422, "shoe_size")
