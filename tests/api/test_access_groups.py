"""/access_group/... and /v1/access_group: models under a name, and models granted to keys and teams."""

from typing import Any

import pytest

from keys.models import VirtualKey
from proxy import services
from proxy.alias_rules import read_aliases
from proxy.models import AccessGroup, Deployment
from teams.models import AuditEvent, PolicyChange, Team, User
from tests.api.conftest import Answer, Api
from tests.api.people import organization_of
from tests.api.test_models import NEW
from tests.factories import issue


@pytest.fixture(autouse=True)
def models(api: Api) -> None:
    services.sync_providers()
    for name in ("alpha", "beta"):
        assert api.post("/model/new", NEW | {"model_name": name, "model_info": {"id": name}}).status == 200


def put(api: Api, path: str, body: Any, **how: Any) -> Answer:
    return api._answer(api.client.put(path, body, content_type="application/json", **api._headers(**how)))


def delete(api: Api, path: str, **how: Any) -> Answer:
    return api._answer(api.client.delete(path, **api._headers(**how)))


def groups(public_id: str) -> list[str]:
    return sorted(Deployment.objects.get(public_id=public_id).groups)


def test_models_are_put_under_a_name_and_taken_out_again(api: Api) -> None:
    made = api.post("/access_group/new", {"access_group": "greek", "model_names": ["alpha", "beta"]})
    assert made.status == 200, made.text
    assert made.json == {
        "access_group": "greek",
        "model_names": ["alpha", "beta"],
        "model_ids": None,
        "models_updated": 2,
    }
    info = api.get("/access_group/greek/info").json
    shown = {"access_group": "greek", "model_names": ["alpha", "beta"], "deployment_count": 2}
    assert info == shown | {"spend": 0, "budget": None}
    assert api.get("/access_group/list").json == {"access_groups": [info]}
    assert put(api, "/access_group/greek/update", {"model_names": ["beta"]}).json["models_updated"] == 1
    assert (groups("alpha"), groups("beta")) == ([], ["greek"])
    row = next(r for r in api.get("/model/info").json["data"] if r["model_name"] == "beta")
    assert row["model_info"]["access_groups"] == ["greek"]
    gone = delete(api, "/access_group/greek/delete").json
    assert (gone["access_group"], gone["models_updated"]) == ("greek", 1)
    assert api.get("/access_group/greek/info").status == 404


def test_a_group_may_name_single_deployments(api: Api) -> None:
    made = api.post("/access_group/new", {"access_group": "greek", "model_ids": ["alpha"]})
    assert (made.status, groups("alpha"), groups("beta")) == (200, ["greek"], [])


def test_a_change_of_a_group_is_announced(api: Api) -> None:
    PolicyChange.objects.all().delete()
    api.post("/access_group/new", {"access_group": "greek", "model_names": ["alpha"]})
    assert PolicyChange.objects.filter(scope="catalog:0").exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"access_group": " "}, 400),
        ({"access_group": "g"}, 422),
        ({"access_group": "g", "model_names": []}, 400),
        ({"access_group": "g", "model_names": ["nobody"]}, 400),
        ({"access_group": "taken", "model_names": ["alpha"]}, 409),
    ],
)
def test_a_bad_group_is_refused_in_the_words_of_its_clients(api: Api, body: dict[str, Any], status: int) -> None:
    api.post("/access_group/new", {"access_group": "taken", "model_names": ["beta"]})
    answer = api.post("/access_group/new", body)
    assert answer.status == status, answer.text
    assert answer.told
    assert groups("alpha") == []


def test_a_group_that_does_not_exist_is_404(api: Api) -> None:
    assert put(api, "/access_group/none/update", {"model_names": ["alpha"]}).status == 404
    assert delete(api, "/access_group/none/delete").status == 404


def test_what_the_file_says_is_changed_in_the_file(api: Api) -> None:
    Deployment.objects.filter(public_id="alpha").update(
        source=Deployment.Source.CONFIG, model_info={"access_groups": ["filed"]}
    )
    assert delete(api, "/access_group/filed/delete").status == 400
    assert put(api, "/access_group/filed/update", {"model_names": ["alpha", "beta"]}).status == 200


def test_a_null_clears_what_a_grant_says_of_itself(api: Api) -> None:
    made = api.post("/v1/access_group", {"access_group_name": "told", "description": "why"}).json
    path = f"/v1/access_group/{made['access_group_id']}"
    assert put(api, path, {"access_model_names": ["alpha"]}).json["description"] == "why"
    assert put(api, path, {"description": None}).json["description"] is None


def test_a_grant_is_made_read_changed_and_deleted(api: Api, search: Team) -> None:
    key, secret = issue(allowed_models=["alpha"])
    body = {"access_group_name": "more", "access_model_names": ["beta"], "assigned_key_ids": [secret]}
    made = api.post("/v1/access_group", body)
    assert made.status == 201, made.text
    row = made.json
    assert (row["access_group_name"], row["access_model_names"]) == ("more", ["beta"])
    assert (row["assigned_key_ids"], row["assigned_team_ids"]) == ([key.token], [])
    assert secret not in made.text
    path = f"/v1/access_group/{row['access_group_id']}"
    assert api.get(path).json == row
    assert api.get("/v1/access_group").json == [row]
    changed = put(api, path, {"description": "more of it", "assigned_team_ids": [search.public_id]}).json
    assert (changed["description"], changed["assigned_team_ids"]) == ("more of it", [search.public_id])
    assert changed["assigned_key_ids"] == [key.token]
    assert delete(api, path).status == 204
    assert api.get(path).status == 404
    actions = AuditEvent.objects.filter(action__startswith="access_group.").values_list("action", flat=True)
    assert sorted(actions) == ["access_group.created", "access_group.deleted", "access_group.updated"]


def test_a_grant_has_a_second_address(api: Api) -> None:
    made = api.post("/v1/unified_access_group", {"access_group_name": "more", "access_model_names": ["beta"]})
    assert made.status == 201, made.text
    path = f"unified_access_group/{made.json['access_group_id']}"
    assert api.get("/v1/unified_access_group").json == api.get("/v1/access_group").json == [made.json]
    changed = put(api, f"/v1/{path}", {"description": "more of it"}).json
    assert api.get(f"/v1/{path}").json == api.get(f"/v1/{path.removeprefix('unified_')}").json == changed
    assert delete(api, f"/v1/{path}").status == 204
    assert api.get("/v1/access_group").json == []


def test_keys_are_listed_by_the_group_that_they_are_assigned_to(api: Api) -> None:
    inside, outside = api.key(), api.key()
    body = {"access_group_name": "g", "access_model_names": ["alpha"], "assigned_key_ids": [inside["token"]]}
    group = api.post("/v1/access_group", body).json["access_group_id"]
    listed = api.get("/key/list", {"access_group_id": group}).json
    assert (listed["keys"], listed["total_count"]) == ([inside["token"]], 1)
    assert api.get("/key/list", {"access_group_id": "other"}).json["keys"] == []
    assert outside["token"] in api.get("/key/list").json["keys"]


def test_a_key_sees_what_it_is_granted(api: Api) -> None:
    key, secret = issue(allowed_models=["alpha"])
    group = {"access_group_name": "more", "access_model_names": ["beta"], "assigned_key_ids": [key.token]}
    api.post("/v1/access_group", group)
    shown = [row["model_name"] for row in api.get("/model/info", bearer=secret).json["data"]]
    assert shown == ["alpha", "beta"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"access_group_name": "more"}, 409),
        ({"access_group_name": "x", "access_model_names": "beta"}, 422),
        ({"access_group_name": "x", "assigned_team_ids": ["nobody"]}, 400),
        ({"access_group_name": "x", "assigned_key_ids": ["0" * 64]}, 400),
        ({"access_group_name": "x", "access_mcp_server_ids": ["server"]}, 400),
        ({"access_group_name": "x", "access_agent_ids": ["agent"]}, 400),
    ],
)
def test_a_bad_grant_is_refused(api: Api, body: dict[str, Any], status: int) -> None:
    api.post("/v1/access_group", {"access_group_name": "more"})
    answer = api.post("/v1/access_group", body)
    assert answer.status == status, answer.text
    assert "detail" in answer.json
    assert AccessGroup.objects.count() == 1


def test_groups_are_for_platform_admins(api: Api, grace: User) -> None:
    _, secret = issue(user=grace)
    new = {"access_group": "g", "model_names": ["alpha"]}
    assert api.post("/access_group/new", new, bearer=secret).status == 401
    assert api.post("/v1/access_group", {"access_group_name": "x"}, bearer=secret).status == 401
    assert api.get("/access_group/list", bearer=secret).status == 401


@pytest.fixture
def group(api: Api) -> str:
    made = api.post("/v1/access_group", {"access_group_name": "g", "access_model_names": ["alpha"]})
    return str(made.json["access_group_id"])


def test_the_group_and_what_it_is_assigned_to_say_the_same(api: Api, group: str) -> None:
    path = f"/v1/access_group/{group}"
    key = api.key(access_group_ids=[group], models=["beta"])
    assert key["access_group_ids"] == [group]
    team = api.post("/team/new", {"team_id": "t", "access_group_ids": [group]}).json
    assert team["access_group_ids"] == [group]
    assert (api.get(path).json["assigned_key_ids"], api.get(path).json["assigned_team_ids"]) == ([key["token"]], ["t"])
    put(api, path, {"assigned_key_ids": [], "assigned_team_ids": []})
    assert api.get("/key/info", {"key": key["token"]}).json["info"]["access_group_ids"] == []
    assert api.get("/team/info", {"team_id": "t"}).json["team_info"]["access_group_ids"] == []
    for body in ({"access_group_ids": [group]}, {"key_alias": "named"}):
        assert api.post("/key/update", {"key": key["token"]} | body).json["access_group_ids"] == [group]
    assert api.post("/team/update", {"team_id": "t", "access_group_ids": [group]}).json["data"]["access_group_ids"]
    many = api.post("/key/bulk_update", {"keys": [{"key": key["token"], "access_group_ids": None}]}).json
    assert many["successful_updates"][0]["key_info"]["access_group_ids"] == []
    assert api.get(path).json["assigned_key_ids"] == []
    assert api.get("/key/list", {"return_full_object": "true"}).json["keys"][0]["access_group_ids"] == []
    said = AuditEvent.objects.filter(action="access_group.updated").order_by("pk")[0]
    assert said.after == {"keys": [VirtualKey.objects.get(token=key["token"]).public_id]}


def test_a_key_that_is_deleted_is_assigned_to_nothing(api: Api, group: str) -> None:
    key = api.key(access_group_ids=[group])
    api.post("/key/delete", {"keys": [key["token"]]})
    assert api.get(f"/v1/access_group/{group}").json["assigned_key_ids"] == []


@pytest.mark.parametrize(("path", "named"), [("/key/generate", {}), ("/team/new", {"team_id": "new"})])
def test_an_unknown_group_is_refused_and_nothing_is_made(api: Api, path: str, named: dict[str, str]) -> None:
    for wrong, status in ((["nobody"], 400), ("nobody", 422)):
        answer = api.post(path, {**named, "access_group_ids": wrong})
        assert (answer.status, "access_group_ids" in answer.text) == (status, True), answer.text
    assert not VirtualKey.objects.live().exists()
    assert not Team.objects.filter(public_id="new").exists()


def test_only_platform_admins_hand_groups_out(api: Api, search: Team, grace: User, group: str) -> None:
    own, secret = issue(user=grace)
    for path, body in (
        ("/key/generate", {}), ("/key/update", {"key": own.token}), ("/team/update", {"team_id": search.public_id}),
    ):  # fmt: skip
        answer = api.post(path, body | {"access_group_ids": [group]}, bearer=secret)
        assert (answer.status, "access_group_ids" in answer.text) == (403, True), answer.text
    api.post("/key/update", {"key": own.token, "access_group_ids": [group]})
    same = api.post("/key/update", {"key": own.token, "access_group_ids": [group], "key_alias": "mine"}, bearer=secret)
    assert same.json["access_group_ids"] == [group]
    assert api.get(f"/v1/access_group/{group}").json["assigned_key_ids"] == [own.token]


def test_a_key_that_a_group_opens_more_to_gives_its_secret_to_no_limited_key(api: Api, linus: User, group: str) -> None:
    (limited, secret), wider = (
        issue(user=linus, allowed_models=["alpha"]),
        issue(user=linus, allowed_models=["alpha"])[0],
    )
    again = {"key": wider.token}
    assert api.post("/key/regenerate", again, bearer=secret).status == 200
    wider.refresh_from_db()
    api.post("/key/update", {"key": wider.token, "access_group_ids": [group]})
    refused = api.post("/key/regenerate", {"key": wider.token}, bearer=secret)
    assert (refused.status, "access_group_ids" in refused.text) == (400, True)
    api.post("/key/update", {"key": limited.token, "access_group_ids": [group]})
    assert api.post("/key/regenerate", {"key": wider.token}, bearer=secret).status == 200


def test_a_pattern_passes_on_no_name_that_means_other_models(api: Api, linus: User, settings: Any) -> None:
    settings.MODEL_ALIASES = read_aliases({}, {"model_group_alias": {"al-alias": "beta"}})
    api.post("/access_group/new", {"access_group": "al-group", "model_names": ["beta"]})
    secret = issue(user=linus, allowed_models=["al*"])[1]
    body = NEW | {"model_name": "hidden", "litellm_params": NEW["litellm_params"] | {"model": "openai/hidden"}}
    assert api.post("/model/new", body).status == 200
    wide = issue(user=linus, allowed_models=["open*"])[1]
    assert [api.post("/key/generate", {"models": [name]}, bearer=wide).status for name in (
        "openai/hidden", "openai/*", "openai/other")] == [400, 400, 200]  # fmt: skip
    for name, status in (("alpha", 200), ("al-alias", 400), ("al-group", 400), ("al*", 200)):
        assert api.post("/key/generate", {"models": [name]}, bearer=secret).status == status, name
    organization_of("north", allowed_models=["al*"])
    for name, status in (("alpha", 200), ("al-alias", 400), ("al-group", 400)):
        assert api.post("/team/new", {"organization_id": "north", "models": [name]}).status == status, name
    by_name = issue(user=linus, allowed_models=["al-alias", "al-group"])[1]
    assert api.post("/key/generate", {"models": ["al-alias", "al-group"]}, bearer=by_name).status == 200


def test_a_group_with_a_slash_in_its_name_is_read_changed_and_deleted(api: Api) -> None:
    assert api.post("/access_group/new", {"access_group": "greek/old", "model_names": ["alpha"]}).status == 200
    assert api.get("/access_group/greek/old/info").json["access_group"] == "greek/old"
    assert put(api, "/access_group/greek/old/update", {"model_names": ["beta"]}).status == 200
    assert delete(api, "/access_group/greek/old/delete").status == 200
    assert api.get("/access_group/greek/old/info").status == 404
