"""/project/...: parts of a team's work with limits of their own, and keys that are made for them."""

from decimal import Decimal
from typing import Any

import pytest

from keys.loading import load_grants
from keys.models import VirtualKey
from teams import services
from teams.actors import MASTER
from teams.models import AuditEvent, Project, Team
from tests.api.conftest import Answer, Api
from tests.api.spending import spend


@pytest.fixture(autouse=True)
def teams(api: Api) -> None:
    for name in ("red", "blue"):
        body = {"team_id": name, "max_budget": 50, "rpm_limit": 100, "models": ["m1", "m2"]}
        assert api.post("/team/new", body).status == 200


def new(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.post("/project/new", {"team_id": "red", "project_id": "p1", **fields})
    assert answer.status == 200, answer.text
    return answer.json


def gone(api: Api, *names: str, **how: Any) -> Answer:
    return api.delete("/project/delete", {"project_ids": list(names)}, **how)


def person(api: Api, name: str, role: str = "user") -> str:
    """Somebody's own key; the person is in the team `red`."""
    api.post("/user/new", {"user_id": name, "auto_create_key": False})
    api.post("/team/member_add", {"team_id": "red", "member": {"user_id": name, "role": role}})
    secret: str = api.key(user_id=name)["key"]
    return secret


def chain_of(token: str) -> list[str]:
    return [policy.scope.partition(":")[0] for policy in load_grants([token])[token].chain]


def test_a_project_is_made_shown_changed_and_deleted(api: Api) -> None:
    made = new(api, project_alias="Handbook", description="Texts", max_budget=20, soft_budget=10, budget_duration="30d",
               models=["m1"], metadata={"a": 1}, tags=["docs"], model_rpm_limit={"m1": 5})  # fmt: skip
    wanted = {"project_id": "p1", "project_alias": "Handbook", "description": "Texts", "team_id": "red", "spend": 0,
              "max_budget": 20, "soft_budget": 10, "budget_duration": "30d", "models": ["m1"], "tags": ["docs"],
              "blocked": False, "model_rpm_limit": {"m1": 5}}  # fmt: skip
    assert {name: made[name] for name in wanted} == wanted
    assert api.get("/project/info", {"project_id": "p1"}).json == made
    changed = api.post("/project/update", {"project_id": "p1", "max_budget": None, "rpm_limit": 7, "blocked": True})
    assert changed.status == 200, changed.text
    assert (changed.json["max_budget"], changed.json["rpm_limit"], changed.json["blocked"]) == (None, 7, True)
    assert changed.json["project_alias"] == "Handbook"
    (row,) = gone(api, "p1").json
    assert row["project_id"] == "p1"
    assert (api.get("/project/info", {"project_id": "p1"}).status, gone(api, "p1").status) == (404, 404)
    assert api.post("/project/new", {"team_id": "red", "project_id": "p1"}).status == 400
    actions = AuditEvent.objects.filter(object_type="teams.Project").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["project.created", "project.updated", "project.deleted"]


def test_fields_of_a_project_are_not_in_its_metadata_and_metadata_takes_none_off(api: Api) -> None:
    own = {"tags": ["docs"], "model_rpm_limit": {"m1": 5}, "model_tpm_limit": {"m1": 50}}
    made = new(api, metadata={"a": 1}, **own)
    assert (made["metadata"], {name: made[name] for name in own}) == ({"a": 1}, own)
    assert api.get("/project/list").json == [made]
    back = api.post("/project/update", {"project_id": "p1", "metadata": {"a": 2}}).json
    assert (back["metadata"], {name: back[name] for name in own}) == ({"a": 2}, own)
    other = new(api, project_id="p2", metadata={"tags": {"not": "a list"}})
    assert (other["metadata"], other["tags"]) == ({"tags": {"not": "a list"}}, [])


def test_a_project_tells_who_changed_it_last(api: Api) -> None:
    made = new(api)
    assert made["created_by"] == made["updated_by"] == "default_user_id"
    ada = person(api, "ada", "admin")
    changed = api.post("/project/update", {"project_id": "p1", "max_budget": 5}, bearer=ada).json
    assert (changed["created_by"], changed["updated_by"]) == ("default_user_id", "ada")
    assert api.get("/project/info", {"project_id": "p1"}).json == changed
    services.set_blocked(Project.objects.get(), True, actor=MASTER)
    assert api.get("/project/list").json[0]["updated_by"] == "default_user_id"


def test_a_keys_chain_goes_through_its_project(api: Api) -> None:
    new(api, tags=["docs"])
    key = api.key(project_id="p1")
    assert (key["project_id"], key["team_id"]) == ("p1", "red")
    assert chain_of(key["token"]) == ["org", "team", "project", "key"]
    assert load_grants([key["token"]])[key["token"]].tags == ("docs",)
    out = api.post("/key/update", {"key": key["key"], "project_id": None}).json
    assert (out["project_id"], chain_of(key["token"])) == (None, ["org", "team", "key"])
    back = api.post("/key/update", {"key": key["key"], "project_id": "p1"}).json
    assert back["project_id"] == "p1"
    assert api.get("/key/info", {"key": key["key"]}).json["info"]["project_id"] == "p1"


def test_what_keys_of_a_project_spend_is_counted_for_it(api: Api) -> None:
    new(api, max_budget=20)
    row = VirtualKey.objects.get(token=api.key(project_id="p1")["token"])
    scopes = (row.organization.scope, Team.objects.get(public_id="red").scope, Project.objects.get().scope, row.scope)
    spend(row, 3_000, scopes=scopes)
    assert api.get("/project/info", {"project_id": "p1"}).json["spend"] == Decimal("0.000003")


def test_keys_are_listed_by_project(api: Api) -> None:
    new(api)
    inside, _ = api.key(project_id="p1"), api.key(team_id="red")
    assert api.get("/key/list", {"project_id": "p1"}).json["keys"] == [inside["token"]]
    stranger = api.key(user_id="stranger")["key"]
    assert api.get("/key/list", {"project_id": "p1"}, bearer=stranger).status == 403


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_budget": 51}, "max_budget"),
        ({"rpm_limit": 101}, "rpm_limit"),
        ({"models": ["m3"]}, "models"),
        ({"max_budget": 5, "soft_budget": 5}, "soft_budget"),
        ({"max_budget": -1}, "max_budget"),
        ({"max_budget": "NaN"}, "max_budget"),
        ({"budget_duration": "0d"}, "budget_duration"),
        ({"budget_id": "nothing"}, "budget_id"),
        ({"project_id": ["p"]}, "project_id"),
        ({"team_id": None}, "team_id"),
    ],
)
def test_a_project_only_narrows_its_team_and_bad_input_is_named(api: Api, fields: Any, named: str) -> None:
    answer = api.post("/project/new", {"team_id": "red", **fields})
    assert (answer.status in (400, 422), named in answer.text) == (True, True), answer.text
    assert Project.objects.count() == 0
    if named != "team_id":
        new(api)
        before = Project.objects.values().get()
        body = {"project_id": "p1", **fields}
        answer = api.post("/project/update", body)
        assert (answer.status in (400, 422), Project.objects.values().get()) == (True, before), answer.text


def test_a_project_stays_in_its_team_and_so_do_its_keys(api: Api) -> None:
    new(api)
    assert api.post("/project/update", {"project_id": "p1", "team_id": "blue"}).status == 400
    for body in ({"team_id": "blue", "project_id": "p1"}, {"project_id": "nothing"}):
        refused = api.post("/key/generate", body)
        assert (refused.status, refused.error["param"]) == (400, "project_id")
    key = api.key(project_id="p1")["key"]
    moved = api.post("/key/update", {"key": key, "team_id": "blue"})
    assert (moved.status, moved.error["param"]) == (400, "project_id")
    assert api.post("/key/update", {"key": key, "team_id": "blue", "project_id": None}).json["team_id"] == "blue"


def test_keys_leave_with_their_project_and_projects_with_their_team(api: Api) -> None:
    new(api)
    new(api, project_id="p2")
    first, second = api.key(project_id="p1"), api.key(project_id="p2")
    assert gone(api, "p1").status == 200
    assert list(VirtualKey.objects.live().values_list("token", flat=True)) == [second["token"]]
    assert load_grants([first["token"]]) == {}
    assert api.post("/team/delete", {"team_ids": ["red"]}).status == 200
    assert Project.objects.live().count() == VirtualKey.objects.live().count() == 0


def test_team_admins_manage_projects_members_see_them_strangers_do_not(api: Api) -> None:
    new(api)
    admin, member = person(api, "ada", "admin"), person(api, "grace")
    stranger = api.key(user_id="linus")["key"]
    assert api.post("/project/update", {"project_id": "p1", "max_budget": 5}, bearer=admin).status == 200
    assert api.post("/project/new", {"team_id": "red"}, bearer=admin).status == 200
    assert api.post("/project/new", {"team_id": "blue"}, bearer=admin).status == 403
    assert len(api.get("/project/list", bearer=member).json) == 2
    assert api.get("/project/info", {"project_id": "p1"}, bearer=member).status == 200
    for path, body in (("update", {"project_id": "p1"}), ("new", {"team_id": "red"})):
        assert api.post(f"/project/{path}", body, bearer=member).status in (401, 403)
    assert gone(api, "p1", bearer=member).status in (401, 403)
    assert api.get("/project/list", bearer=stranger).json == []
    assert api.get("/project/list", {"team_id": "red"}, bearer=stranger).status == 403
    assert api.get("/project/info", {"project_id": "p1"}, bearer=stranger).status == 404
    assert api.get("/project/list", {"team_id": "red"}).json[0]["team_id"] == "red"


def test_a_project_of_others_looks_like_none_to_who_makes_keys(api: Api) -> None:
    new(api)
    stranger = api.post("/user/new", {"user_id": "linus", "user_role": "internal_user"}).json["key"]
    own = api.post("/key/generate", {}, bearer=stranger).json["key"]
    for path, body in (("generate", {}), ("update", {"key": own})):
        foreign = api.post(f"/key/{path}", {**body, "project_id": "p1"}, bearer=stranger)
        absent = api.post(f"/key/{path}", {**body, "project_id": "p9"}, bearer=stranger)
        assert foreign.status == absent.status == 400
        assert foreign.text.replace("p1", "p9") == absent.text


def test_a_key_of_a_project_is_no_way_out_of_it(api: Api) -> None:
    new(api, max_budget=5)
    api.post("/team/permissions_update", {"team_id": "red", "team_member_permissions": [
        "/key/generate", "/key/update", "/key/regenerate"]})  # fmt: skip
    own = person(api, "grace")
    inside = api.key(project_id="p1", user_id="grace")
    made = api.post("/key/generate", {"team_id": "red"}, bearer=inside["key"])
    assert (made.status, made.json["project_id"]) == (200, "p1")
    above = api.post("/key/generate", {"project_id": "p1", "max_budget": 6}, bearer=own)
    assert (above.status, above.error["param"]) == (400, "max_budget")
    free = api.post("/key/generate", {"team_id": "red"}, bearer=own).json
    assert free["project_id"] is None
    secret = api.post("/key/regenerate", {"key": free["key"]}, bearer=inside["key"])
    assert (secret.status, secret.error["param"]) == (400, "project_id")
    out = api.post("/key/update", {"key": inside["key"], "project_id": None}, bearer=own)
    assert (out.status, out.error["param"]) == (403, "project_id")
    assert chain_of(inside["token"]) == ["org", "team", "member", "project", "key"]
