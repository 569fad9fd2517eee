"""Organizations: their people, their end, and who may do what to them."""

from typing import Any

import pytest

from keys.loading import load_grants
from keys.models import VirtualKey
from teams import services
from teams.actors import SYSTEM
from teams.models import Organization, OrganizationMembership, Team, User
from teams.services import default_organization
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person
from tests.factories import issue


def test_people_get_a_role_in_an_organization_change_it_and_leave(api: Api, linus: User) -> None:
    organization_of("north")
    named = {"organization_id": "north"}
    members = [
        {"role": "org_admin", "user_id": linus.public_id},
        {"role": "internal_user", "user_email": "n@example.com"},
    ]
    added = api.post("/organization/member_add", named | {"member": members})
    assert added.status == 200, added.text
    assert [row["user_role"] for row in added.json["updated_organization_memberships"]] == [
        "org_admin",
        "internal_user",
    ]
    assert added.json["updated_users"][0]["user_id"] == linus.public_id
    shown = api.get("/organization/info", named).json["members"]
    assert {row["user_id"]: row["user_role"] for row in shown}[linus.public_id] == "org_admin"
    one = named | {"user_id": linus.public_id}
    assert api.patch("/organization/member_update", one | {"role": "internal_user_viewer"}).json["user_role"] == (
        "internal_user_viewer"
    )
    assert api.delete("/organization/member_delete", named | {"user_email": "N@example.com"}).status == 200
    assert [row["user_id"] for row in api.get("/organization/info", named).json["members"]] == [linus.public_id]


def test_a_person_is_shown_with_every_organization_it_is_in(api: Api) -> None:
    for name in ("north", "south", "west"):
        organization_of(name)
    made = api.post("/user/new", {"user_id": "mia", "organizations": ["north", "south"], "auto_create_key": False})
    assert made.json["organizations"] == ["north", "south"]
    joined = {"organization_id": "west", "member": {"role": "org_admin", "user_id": "mia"}}
    assert api.post("/organization/member_add", joined | {"max_budget_in_organization": 5}).status == 200
    [listed] = api.get("/user/list", {"user_ids": "mia"}).json["users"]
    for row in (listed, api.get("/v2/user/info", {"user_id": "mia"}).json, _info(api, "mia")):
        places = row["organization_memberships"]
        assert [(one["organization_id"], one["user_role"]) for one in places] == [
            ("north", "internal_user"), ("south", "internal_user"), ("west", "org_admin"),
        ]  # fmt: skip
        assert places[2] == api.get("/organization/info", {"organization_id": "west"}).json["members"][0]
    assert [one["organization_id"] for one in made.json["organization_memberships"]] == ["north", "south"]
    for name in ("north", "south", "west", "no,west"):
        found = api.get("/user/list", {"organization_ids": name}).json["users"]
        assert [row["user_id"] for row in found] == ["mia"]


def test_who_leads_an_organization_does_not_learn_where_else_its_people_are(api: Api) -> None:
    leader = person("ora")
    organization_of("north", leader)
    organization_of("south")
    secret = key_of(leader)
    api.post("/user/new", {"user_id": "mia", "organizations": ["north", "south"], "auto_create_key": False})
    [row] = api.get("/user/list", {"user_ids": "mia"}, bearer=secret).json["users"]
    assert [one["organization_id"] for one in row["organization_memberships"]] == ["north"]
    assert api.get("/user/list", {"organization_ids": "south"}, bearer=secret).json["users"] == []
    shown = api.get("/user/info", bearer=secret).json["user_info"]
    assert [one["user_role"] for one in shown["organization_memberships"]] == ["org_admin"]


def _info(api: Api, user_id: str) -> dict[str, Any]:
    info: dict[str, Any] = api.get("/user/info", {"user_id": user_id}).json["user_info"]
    return info


@pytest.mark.parametrize(
    ("send", "path", "body", "status", "said"),
    [
        ("post", "add", {"member": {"role": "king", "user_id": "x"}}, 422, "king"),
        ("post", "add", {"member": {"role": "org_admin"}}, 400, "user_id or user_email"),
        ("post", "add", {"member": {"role": "org_admin", "user_id": "mia"}}, 400, "already"),
        ("post", "add", {"organization_id": "no", "member": {"role": "org_admin", "user_id": "x"}}, 404, "no"),
        (
            "post",
            "add",
            {"member": {"role": "org_admin", "user_id": "x"}, "max_budget_in_organization": -1},
            400,
            "max_budget_in_organization",
        ),
        ("patch", "update", {"user_id": "mia", "max_budget_in_organization": "NaN"}, 400, "max_budget_in_organization"),
        ("patch", "update", {"user_id": "nobody", "role": "org_admin"}, 404, "nobody"),
        ("patch", "update", {"user_id": "mia", "role": "king"}, 422, "role"),
        ("delete", "delete", {"user_id": "nobody"}, 404, "nobody"),
        ("delete", "delete", {}, 422, "user_email"),
    ],
)
def test_refusals_about_people_of_an_organization_are_details(
    api: Api, send: str, path: str, body: dict[str, Any], status: int, said: str
) -> None:
    person("mia", organization=organization_of("north"))
    before = list(OrganizationMembership.objects.values())
    answer = getattr(api, send)(f"/organization/member_{path}", {"organization_id": "north"} | body)
    assert (answer.status, said in str(answer.json["detail"])) == (status, True)
    assert list(OrganizationMembership.objects.values()) == before


def test_a_deleted_organization_goes_with_teams_and_keys_and_its_people_go_home(api: Api) -> None:
    north = organization_of("north")
    team = services.create_team(Team(organization=north), actor=SYSTEM)
    user = person("mia", organization=north, max_budget_nano=5)
    keys = [issue(team=team), issue(user=user), issue(organization=north)]
    epoch = default_organization().epoch
    answer = api.delete("/organization/delete", {"organization_ids": ["north"]})
    assert answer.status == 200, answer.text
    assert [row["organization_id"] for row in answer.json] == ["north"]
    for key, secret in keys:
        assert VirtualKey.objects.get(pk=key.pk).status() == "deleted"
        assert api.get("/key/info", bearer=secret).status == 401
    assert Team.objects.live().count() == 0
    user.refresh_from_db()
    assert user.organization == default_organization()
    assert default_organization().epoch > epoch
    assert api.get("/key/info", bearer=key_of(user)).status == 200
    assert api.get("/organization/info", {"organization_id": "north"}).status == 404
    assert api.post("/team/new", {"organization_id": "north"}).status == 400


def test_the_default_organization_and_an_unknown_one_are_not_deleted(api: Api, organization: Organization) -> None:
    assert api.delete("/organization/delete", {"organization_ids": [organization.public_id]}).status == 400
    assert api.delete("/organization/delete", {"organization_ids": ["unknown"]}).status == 404
    assert Organization.objects.live().count() == 1


def test_a_key_of_a_deleted_organization_lets_nobody_in(api: Api) -> None:
    key, _ = issue(organization=organization_of("north"))
    Organization.objects.filter(public_id="north").update(deleted_at="2026-01-01T00:00:00Z")
    assert load_grants([key.token])[key.token].chain[0].blocked


def test_an_organization_is_patched_strictly(api: Api) -> None:
    organization_of("north")
    answer = api.patch("/v2/organization/north", {"organization_alias": "N", "max_budget": 3})
    assert (answer.json["organization_alias"], answer.json["litellm_budget_table"]["max_budget"]) == ("N", 3)
    api.patch("/v2/organization/north", {"model_rpm_limit": {"gpt-4o": 5}, "model_tpm_limit": {"gpt-4o": 9}})
    answer = api.patch("/v2/organization/north", {"model_rpm_limit": None})
    row = answer.json
    assert (row["metadata"].get("model_rpm_limit"), row["metadata"]["model_tpm_limit"]) == (None, {"gpt-4o": 9})
    refused = api.patch("/v2/organization/north", {"shoe_size": 3})
    assert (refused.status, refused.json["detail"][0]["loc"]) == (422, ["body", "shoe_size"])
    assert api.patch("/v2/organization/unknown", {}).status == 404


def test_members_see_their_organization_and_no_other(api: Api) -> None:
    secret = key_of(person("mia", organization=organization_of("north")))
    organization_of("south")
    assert [row["organization_id"] for row in api.get("/organization/list", bearer=secret).json] == ["north"]
    statuses = [
        api.get("/organization/info", {"organization_id": name}, bearer=secret).status
        for name in ("north", "south", "unknown")
    ]
    assert statuses == [200, 403, 404]
    assert api.post("/organization/info", {"organizations": ["north", "south"]}, bearer=secret).status == 403


@pytest.mark.parametrize(
    ("send", "path", "body"),
    [
        ("post", "member_add", {"member": {"role": "internal_user", "user_id": "x"}}),
        ("patch", "member_update", {"user_id": "mia", "role": "org_admin"}),
        ("delete", "member_delete", {"user_id": "mia"}),
        ("patch", "update", {"organization_alias": "Z"}),
    ],
)
def test_organizations_are_changed_by_their_own_admins_alone(
    api: Api, send: str, path: str, body: dict[str, Any]
) -> None:
    boss = person("boss")
    north = organization_of("north", boss)
    mia = person("mia", organization=north)
    organization_of("south", other := person("other"))
    body = {"organization_id": "north"} | body
    for secret in (key_of(mia), key_of(other), key_of(person("eve")), issue(organization=north)[1]):
        assert getattr(api, send)(f"/organization/{path}", body, bearer=secret).status in (401, 403)
    assert getattr(api, send)(f"/organization/{path}", body, bearer=key_of(boss)).status == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_budget", 11), ("max_budget", None), ("rpm_limit", None), ("models", ["a", "b"]), ("models", []),
        ("timezone", "Asia/Tokyo"), ("budget_duration", "1d"), ("blocked", True),
    ],
)  # fmt: skip
def test_an_organization_admin_never_raises_what_limits_the_organization(api: Api, field: str, value: Any) -> None:
    boss = person("boss")
    organization_of("north", boss, max_budget_nano=10**10, rpm_limit=5, allowed_models=["a"], budget_duration="30d")
    before = Organization.objects.values().get(public_id="north")
    answer = api.patch("/organization/update", {"organization_id": "north", field: value}, bearer=key_of(boss))
    assert (answer.status, field in str(answer.json["detail"])) == (403, True)
    assert Organization.objects.values().get(public_id="north") == before


def test_only_platform_admins_make_and_delete_organizations(api: Api) -> None:
    boss = person("boss")
    organization_of("north", boss)
    assert api.post("/organization/new", {"organization_alias": "X"}, bearer=key_of(boss)).status == 401
    assert api.delete("/organization/delete", {"organization_ids": ["north"]}, bearer=key_of(boss)).status == 401


def test_an_organization_spends_by_a_budget_of_its_own(api: Api) -> None:
    made = api.post("/organization/new", {"organization_id": "o", "organization_alias": "O", "max_budget": 100}).json
    assert (made["max_budget"], made["litellm_budget_table"]["max_budget"]) == (100, 100)
    [budget] = api.post("/budget/info", {"budgets": [made["budget_id"]]}).json
    assert budget["max_budget"] == 100
    changed = api.patch("/organization/update", {"organization_id": "o", "max_budget": 50, "rpm_limit": 7}).json
    assert (changed["budget_id"], changed["max_budget"], changed["rpm_limit"]) == (made["budget_id"], 50, 7)
    assert api.post("/budget/info", {"budgets": [made["budget_id"]]}).json[0]["max_budget"] == 50
    api.post("/budget/update", {"budget_id": made["budget_id"], "max_budget": 20})
    assert api.get("/organization/info", {"organization_id": "o"}).json["max_budget"] == 20
    assert api.post("/team/new", {"organization_id": "o", "max_budget": 21}).status == 400


def test_a_budget_that_others_share_is_not_changed_through_an_organization(api: Api) -> None:
    api.post("/budget/new", {"budget_id": "b", "max_budget": 10})
    for name in ("one", "two"):
        body = {"organization_id": name, "organization_alias": name, "budget_id": "b"}
        assert api.post("/organization/new", body).json["max_budget"] == 10
    assert api.patch("/organization/update", {"organization_id": "one", "max_budget": 4}).json["max_budget"] == 4
    assert api.get("/organization/info", {"organization_id": "two"}).json["max_budget"] == 10


def test_an_organization_admin_never_raises_the_budget_behind_it(api: Api) -> None:
    api.post("/organization/new", {"organization_id": "o", "organization_alias": "O", "max_budget": 10})
    boss = person("boss")
    api.post("/organization/member_add", {"organization_id": "o", "member": {"role": "org_admin", "user_id": "boss"}})
    for value in (11, None):
        body = {"organization_id": "o", "max_budget": value}
        assert api.patch("/organization/update", body, bearer=key_of(boss)).status == 403
    assert (
        api.patch("/organization/update", {"organization_id": "o", "max_budget": 9}, bearer=key_of(boss)).status == 200
    )
    assert api.get("/organization/info", {"organization_id": "o"}).json["max_budget"] == 9


def test_somebody_of_another_organization_is_added_by_address_and_not_by_a_guessed_id(api: Api) -> None:
    boss = person("boss")
    organization_of("north", admin=boss)
    person("mia", organization=organization_of("south"))
    person("max")

    def add(**named: str) -> Any:
        body = {"organization_id": "north", "member": {"role": "internal_user", **named}}
        return api.post("/organization/member_add", body, bearer=key_of(boss))

    refused = add(user_id="mia")
    assert (refused.status, "mia@example.com" in refused.text, "user_email" in refused.text) == (403, False, True)
    assert add(user_id="max").status == 200
    assert add(user_email="Mia@example.com").status == 200
