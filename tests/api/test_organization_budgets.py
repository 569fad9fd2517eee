"""`max_budget_in_organization`: what one person may spend in an organization, by whatever keys."""

import json
from typing import Any

import pytest
from django.utils import timezone

from keys.loading import load_grants
from keys.models import VirtualKey
from spend import services as ledger
from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, Organization, OrganizationMembership, PolicyChange, SharedBudget, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person
from tests.factories import intent_for, issue, posting_of

LIMIT = "max_budget_in_organization"


@pytest.fixture
def mia(api: Api) -> User:
    """Mia, who may spend 10 USD in north."""
    organization_of("north")
    member = {"role": "internal_user", "user_id": "mia"}
    answer = api.post("/organization/member_add", {"organization_id": "north", "member": member, LIMIT: 10})
    assert answer.status == 200, answer.text
    [place] = answer.json["updated_organization_memberships"]
    assert (place[LIMIT], place["litellm_budget_table"]["max_budget"], place["spend"]) == (10, 10, 0)
    return User.objects.get(public_id="mia")


def _update(api: Api, body: dict[str, Any], **how: Any) -> Any:
    return api.patch("/organization/member_update", {"organization_id": "north", "user_id": "mia"} | body, **how)


def _chain(key: Any) -> list[str]:
    return [policy.scope.partition(":")[0] for policy in load_grants([key.token])[key.token].chain]


def test_it_governs_personal_keys_and_keys_of_teams_there_alike(mia: User) -> None:
    place = mia.organization_memberships.get()
    team = services.create_team(Team(organization=place.organization), actor=SYSTEM)
    services.add_member(Membership(team=team, user=mia), actor=SYSTEM)
    elsewhere = services.create_team(Team(), actor=SYSTEM)
    assert _chain(issue(user=mia, organization=place.organization)[0]) == ["org", "org_member", "user", "key"]
    assert _chain(issue(user=mia, team=team)[0]) == ["org", "org_member", "team", "member", "key"]
    assert _chain(issue(user=mia, team=elsewhere)[0]) == ["org", "team", "key"]
    assert _chain(issue(team=team, service_account="robot")[0]) == ["org", "team", "key"]


def test_the_organization_shows_what_each_of_its_people_spent_of_it(api: Api, mia: User) -> None:
    place = mia.organization_memberships.get()
    key, _ = issue(user=mia, organization=place.organization)
    intent = intent_for(key, at=timezone.now(), scopes=(place.organization.scope, place.scope, mia.scope, key.scope))
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, 3 * 10**9)], now=timezone.now())
    assert _update(api, {LIMIT: 20, "budget_duration": "30d"}).json["litellm_budget_table"]["max_budget"] == 20
    [row] = api.get("/organization/info", {"organization_id": "north"}).json["members"]
    assert (row["spend"], row[LIMIT], row["litellm_budget_table"]["budget_duration"]) == (3, 20, "30d")
    assert _update(api, {LIMIT: None}).json[LIMIT] is None
    assert _update(api, {"role": "org_admin"}).json["user_role"] == "org_admin"


def test_who_joins_and_leaves_is_governed_otherwise_from_the_next_call_on(api: Api, mia: User) -> None:
    """Keys that exist are told: workers compare the versions of what they know, the person's and the place's."""
    place = mia.organization_memberships.get()
    key, _ = issue(user=mia, organization=place.organization)
    before = load_grants([key.token])[key.token].chain[1].versions
    gone = {"organization_id": "north", "user_id": "mia"}
    assert api.delete("/organization/member_delete", gone).status == 200
    assert PolicyChange.objects.filter(scope=place.scope).exists()
    assert _chain(key) == ["org", "user", "key"]
    known = load_grants([key.token])[key.token].chain[1].versions
    services.join_organization(OrganizationMembership(organization=place.organization, user=mia), actor=SYSTEM)
    mia.refresh_from_db()
    assert dict(known)[mia.scope] < mia.version
    assert _chain(key) == ["org", "org_member", "user", "key"]
    assert load_grants([key.token])[key.token].chain[1].versions != before


def test_a_key_made_by_who_is_limited_is_not_wider(api: Api, mia: User) -> None:
    place = mia.organization_memberships.get()
    answer = api.post("/key/generate", {"max_budget": 11, "organization_id": "north"}, bearer=key_of(mia))
    assert (answer.status, "max_budget" in answer.text) == (400, True)
    answer = api.post("/key/generate", {"max_budget": 10, "organization_id": "north"}, bearer=key_of(mia))
    assert answer.json["organization_id"] == place.organization.public_id


def test_nobody_raises_or_leaves_an_own_limit(api: Api, mia: User) -> None:
    _update(api, {"role": "org_admin"})
    secret = key_of(mia)
    for body in ({LIMIT: 11}, {LIMIT: None}, {"budget_duration": "1d"}, {"temp_budget_increase": 5}):
        body = body | ({"temp_budget_expiry": "10d"} if "temp_budget_increase" in body else {})
        assert _update(api, body, bearer=secret).status == 403, body
    assert _update(api, {LIMIT: 9}, bearer=secret).json[LIMIT] == 9
    gone = {"organization_id": "north", "user_id": "mia"}
    assert api.delete("/organization/member_delete", gone, bearer=secret).status == 403
    colleague = person("ole")
    place = OrganizationMembership(
        organization=mia.organization_memberships.get().organization, user=colleague, role="org_admin"
    )
    services.join_organization(place, actor=SYSTEM)
    assert _update(api, {LIMIT: 12}, bearer=key_of(colleague)).json[LIMIT] == 12
    assert api.delete("/organization/member_delete", gone, bearer=key_of(colleague)).status == 200


def test_a_member_from_elsewhere_gets_keys_there_that_spend_by_the_membership_alone(api: Api) -> None:
    north = organization_of("north")
    guest, lead = person("guest", max_budget_nano=1), person("lead", organization=north)
    asked = {"user_id": "guest", "organization_id": "north", "max_budget": 3}
    refused = api.post("/key/generate", asked)
    assert (refused.status, "/organization/member_add" in refused.text) == (400, True)
    place = OrganizationMembership(organization=north, user=guest, max_budget_nano=4 * 10**9)
    services.join_organization(place, actor=SYSTEM)
    assert api.post("/key/generate", asked, bearer=key_of(guest)).status == 403
    OrganizationMembership.objects.filter(user=lead).update(role="org_admin")
    assert api.post("/key/generate", asked | {"max_budget": 5}, bearer=key_of(lead)).status == 400
    made = api.post("/key/generate", asked, bearer=key_of(lead)).json
    assert made["organization_id"] == "north"
    key = VirtualKey.objects.get(token=made["token"])
    assert _chain(key) == ["org", "org_member", "key"]
    # Who made it knows its secret, and is nobody to what else is its owner's.
    assert api.get("/user/info", {"user_id": "guest"}, bearer=made["key"]).status in (401, 403)
    assert api.get("/key/list", bearer=made["key"]).status == 401
    assert api.get("/key/info", bearer=made["key"]).status == 200
    # Its owner's deactivation reaches the key, though the owner is no link of the chain.
    assert guest.scope in dict(load_grants([key.token])[key.token].chain[-1].versions)
    assert api.post("/key/update", {"key": key.token, "key_alias": "a"}).json["organization_id"] == "north"
    assert api.post("/key/generate", {"user_id": "guest"}).json["organization_id"] is None
    gone = {"organization_id": "north", "user_id": "guest"}
    assert api.delete("/organization/member_delete", gone).status == 200
    assert api.post("/key/update", {"key": key.token, "key_alias": "b"}).json["organization_id"] == "north"
    assert api.post("/key/generate", asked).status == 400


@pytest.mark.parametrize("whole", [True, False])
def test_an_organization_that_was_sent_back_with_its_budget_is_lowered_afterwards(api: Api, whole: bool) -> None:
    made = api.post(
        "/organization/new", {"organization_alias": "North", "max_budget": 100, "model_rpm_limit": {"a": 9}}
    )
    named = {"organization_id": made.json["organization_id"]}
    part = json.dumps(named | {"budget_id": made.json["budget_id"], "max_budget": 100})
    assert api.post("/organization/update", raw=made.text if whole else part).status == 200
    assert Organization.objects.get(public_id=named["organization_id"]).max_budget_nano is None
    answer = api.patch("/organization/update", named | {"max_budget": 1})
    assert (answer.status, answer.json["max_budget"]) == (200, 1), answer.text


def test_what_an_organization_sets_beside_its_budget_does_not_outlive_a_change(api: Api) -> None:
    budget = services.create_budget(SharedBudget(max_budget_nano=100 * 10**9), actor=SYSTEM)
    limits = {"max_budget_nano": 90 * 10**9, "model_limits": {"a": {"rpm": 9}}, "shared_budget": budget}
    organization_of("north", **limits)
    change = {"organization_id": "north", "max_budget": 1, "model_rpm_limit": {"a": 1}}
    answer = api.patch("/organization/update", change)
    assert (answer.json["max_budget"], answer.json["model_rpm_limit"]) == (1, {"a": 1}), answer.text


def test_an_organization_that_is_sent_back_goes_on_following_the_budget_it_shares(api: Api) -> None:
    limits = {
        "max_budget": 50,
        "model_rpm_limit": {"a": 7},
        "budget_limits": [{"budget_duration": "1d", "max_budget": 4}],
    }
    api.post("/budget/new", {"budget_id": "both", **limits})
    for name in ("north", "south"):
        made = {"organization_id": name, "organization_alias": name, "budget_id": "both"}
        assert api.post("/organization/new", made).status == 200
    row = api.get("/organization/info", {"organization_id": "north"})
    assert api.post("/organization/update", raw=row.text).status == 200
    lower = {"max_budget": 1, "model_rpm_limit": {"a": 1}, "budget_limits": []}
    assert api.post("/budget/update", {"budget_id": "both", **lower}).status == 200
    now = api.get("/organization/info", {"organization_id": "north"}).json
    assert {name: now[name] for name in lower} == lower
    # What is another value is the organization's own, as before.
    assert api.post("/organization/update", {"organization_id": "north", "max_budget": 2}).status == 200
    assert api.get("/organization/info", {"organization_id": "north"}).json["max_budget"] == 2
    assert api.get("/organization/info", {"organization_id": "south"}).json["max_budget"] == 1
    # And goes when it is the budget's again.
    assert api.post("/organization/update", {"organization_id": "north", "max_budget": 1}).status == 200
    assert Organization.objects.get(public_id="north").max_budget_nano is None
