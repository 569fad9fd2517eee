"""What answers show of an organization."""

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
