"""`budget_id`: who is no platform admin names shared budgets that concern them; others look like none at all."""

from typing import Any

import pytest

from tests.api.conftest import Answer, Api


@pytest.fixture
def grace(api: Api) -> str:
    """The key of Grace, who leads a team; beside it there are two budgets, of which Grace's team has one."""
    for name in ("ours", "theirs"):
        assert api.post("/budget/new", {"budget_id": name, "max_budget": 7}).status == 200
    key: str = api.post("/user/new", {"user_id": "grace"}).json["key"]
    api.post("/user/new", {"user_id": "ada", "budget_id": "theirs"})
    members = [{"role": "admin", "user_id": "grace"}]
    body = {"team_id": "search", "members_with_roles": members, "budget_id": "ours"}
    assert api.post("/team/new", body).status == 200
    return key


def refused_alike(api: Api, path: str, body: dict[str, Any], key: str) -> None:
    """Whether a foreign budget is answered as one that does not exist."""

    def asked(name: str) -> Answer:
        return api.post(path, body | {"budget_id": name}, bearer=key)

    foreign, absent = asked("theirs"), asked("nobody-s")
    assert (absent.status, "budget_id: Budget 'nobody-s' does not exist" in absent.text) == (400, True), absent.text
    assert (foreign.status, foreign.text.replace("theirs", "")) == (400, absent.text.replace("nobody-s", ""))


def test_keys_get_budgets_of_the_team_that_their_maker_leads_and_no_others(api: Api, grace: str) -> None:
    refused_alike(api, "/key/generate", {"team_id": "search"}, grace)
    refused_alike(api, "/key/generate", {}, grace)
    made = api.post("/key/generate", {"team_id": "search", "budget_id": "ours"}, bearer=grace)
    assert (made.status, made.json["litellm_budget_table"]["max_budget"]) == (200, 7)
    refused_alike(api, "/key/update", {"key": made.json["key"]}, grace)
    refused_alike(api, "/key/regenerate", {"key": made.json["key"]}, grace)


def test_a_budget_that_a_key_has_already_may_be_sent_back(api: Api, grace: str) -> None:
    own = api.post("/key/generate", {"user_id": "grace", "budget_id": "theirs"}).json["key"]
    sent_back = api.post("/key/update", {"key": own, "budget_id": "theirs", "key_alias": "mine"}, bearer=grace)
    assert sent_back.status == 200, sent_back.text
    assert api.post("/key/generate", {"budget_id": "theirs"}, bearer=grace).status == 200


def test_teams_and_their_members_get_budgets_that_concern_who_gives_them(api: Api, grace: str) -> None:
    refused_alike(api, "/team/update", {"team_id": "search"}, grace)
    api.post("/user/new", {"user_id": "linus"})
    member = {"team_id": "search", "member": {"role": "user", "user_id": "linus"}}
    refused_alike(api, "/team/member_add", member, grace)
    refused_alike(api, "/team/bulk_member_add", {"team_id": "search", "members": [member["member"]]}, grace)
    assert api.post("/team/member_add", member | {"budget_id": "ours"}, bearer=grace).status == 200
    change = {"team_id": "search", "user_id": "linus"}
    refused_alike(api, "/team/member_update", change, grace)
    assert api.post("/team/member_update", change | {"budget_id": "ours"}, bearer=grace).status == 200


def test_admins_of_an_organization_give_people_and_teams_the_budgets_of_it_alone(api: Api, grace: str) -> None:
    body = {"organization_id": "acme", "organization_alias": "acme", "budget_id": "ours"}
    assert api.post("/organization/new", body).status == 200
    place = {"organization_id": "acme", "member": {"role": "org_admin", "user_id": "ada"}}
    assert api.post("/organization/member_add", place).status == 200
    api.post("/budget/new", {"budget_id": "secret"})
    ada = api.post("/key/generate", {"user_id": "ada"}).json["key"]
    inside = {"organization_id": "acme"}
    for path, body in (("/team/new", inside), ("/user/new", {"organizations": ["acme"], "auto_create_key": False})):
        absent = api.post(path, body | {"budget_id": "nobody-s"}, bearer=ada)
        foreign = api.post(path, body | {"budget_id": "secret"}, bearer=ada)
        assert (foreign.status, foreign.text) == (absent.status, absent.text.replace("nobody-s", "secret"))
        assert absent.status == 400
        assert api.post(path, body | {"budget_id": "ours"}, bearer=ada).status == 200


def test_a_key_of_a_team_names_no_budgets_of_its_owner_elsewhere(api: Api, grace: str) -> None:
    api.post("/user/update", {"user_id": "grace", "budget_id": "theirs"})
    inside = api.post("/key/generate", {"user_id": "grace", "team_id": "search"}).json["key"]
    refused_alike(api, "/key/generate", {"team_id": "search"}, inside)
    assert api.post("/key/generate", {"team_id": "search", "budget_id": "ours"}, bearer=inside).status == 200
