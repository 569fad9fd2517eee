"""Lists are read off an index, however they are ordered and filtered: none reads or sorts a huge table as a whole."""

import pytest

from keys.models import VirtualKey
from teams.models import Team, User
from tests.api.conftest import Api
from tests.api.spending import DAY, spend
from tests.factories import issue
from tests.plans import plans, wasteful

LOGS = "/spend/logs/v2"


@pytest.fixture
def key(search: Team, grace: User) -> VirtualKey:
    key = issue(alias="reports", team=search, user=grace, max_budget_nano=10**9)[0]
    spend(key, 7, request_id="call")
    spend(key, None, request_id="call")
    return key


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    "name", ["updated_at", "max_budget", "key_alias", "token", "expires", "rpm_limit", "tpm_limit"]
)
def test_keys_in_order(api: Api, key: VirtualKey, name: str, order: str) -> None:
    assert wasteful(lambda: api.get("/key/list", {"sort_by": name, "sort_order": order, "size": 1})) == []


@pytest.mark.parametrize("by", ["", "team_id", "user_id", "api_key"])
def test_calls_of_somebody(api: Api, key: VirtualKey, search: Team, grace: User, by: str) -> None:
    query = {by: {"team_id": search.public_id, "user_id": grace.public_id, "api_key": key.token}[by]} if by else {}
    assert wasteful(lambda: api.get(LOGS, DAY | query)) == []
    if by != "team_id":
        assert wasteful(lambda: api.get("/spend/logs", query)) == []


@pytest.mark.parametrize("path", ["/spend/logs/ui/call", "/spend/logs/ui/chatcmpl-1", f"{LOGS}?session_id=call"])
def test_one_call(api: Api, key: VirtualKey, path: str) -> None:
    """Its few attempts may be sorted."""
    found = plans(lambda: api.get(path, DAY))
    assert "SCAN spend_" not in found
    assert "Seq Scan on spend_" not in found
