"""What scripts written for LiteLLM's management API do, step by step, against a running Latchkey."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.gateway.running import MASTER, Running, eventually


def post(latchkey: Running, path: str, bearer: str = MASTER, /, **body: Any) -> httpx.Response:
    return latchkey.http.post(path, json=body, headers={"authorization": f"Bearer {bearer}"})


def get(latchkey: Running, path: str, bearer: str = MASTER, /, **query: Any) -> httpx.Response:
    return latchkey.http.get(path, params=query, headers={"authorization": f"Bearer {bearer}"})


def made(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, f"{answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json()


def new_person(latchkey: Running, **fields: Any) -> Any:
    """As portals create people: a name of their own, models and aliases of the first key."""
    body = {"models": ["gpt-books"], "aliases": {"mistral-7b": "gpt-books"}, "duration": None, "max_budget": None}
    return made(post(latchkey, "/user/new", **body | {"user_id": str(uuid.uuid4())} | fields))


def new_team(latchkey: Running, **fields: Any) -> Any:
    return made(post(latchkey, "/team/new", **{"team_alias": "my-new-team"} | fields))


def test_the_seed_guides_first_line_works_as_it_is_pasted(latchkey: Running) -> None:
    key = made(
        post(
            latchkey, "/key/generate", models=["gpt-books"], max_budget=25.50, budget_duration="30d", rpm_limit=100,
            tpm_limit=200000, expires="2099-12-31", metadata={"team": "core", "project": "seed"},
        )
    )  # fmt: skip
    assert key["max_budget"] == 25.5
    assert key["key"].startswith("sk-")
    assert latchkey.chat(key["key"]).status_code == 200


def test_keys_are_made_side_by_side_with_nulls_and_models_that_nobody_knows(latchkey: Running) -> None:
    body = {"models": ["azure-models", "gpt-4"], "aliases": {"mistral-7b": "gpt-3.5-turbo"}, "duration": None}
    with ThreadPoolExecutor(10) as pool:
        keys = list(pool.map(lambda _: made(post(latchkey, "/key/generate", **body, max_budget=None)), range(10)))
    assert len({key["key"] for key in keys}) == 10


def test_a_key_is_updated_used_and_deleted(latchkey: Running) -> None:
    key = made(post(latchkey, "/key/generate", models=["gpt-4"]))["key"]
    assert latchkey.chat(key).status_code == 403
    made(post(latchkey, "/key/update", key=key, models=["gpt-books"]))
    eventually(lambda: latchkey.chat(key).status_code == 200)
    assert made(post(latchkey, "/key/delete", keys=[key])) == {"deleted_keys": [key]}
    eventually(lambda: latchkey.chat(key).status_code == 401)


def test_a_key_is_shown_to_admins_and_to_itself_only(latchkey: Running) -> None:
    key, other = latchkey.new_key(), latchkey.new_key()
    assert made(get(latchkey, "/key/info", key=key))["key"] == key
    assert latchkey.http.get("/key/info", headers={"authorization": f"Bearer {key}"}).status_code == 200
    headers = {"authorization": f"Bearer {other}"}
    assert latchkey.http.get("/key/info", params={"key": key}, headers=headers).status_code == 403


def test_what_a_call_cost_is_found_by_the_id_of_its_answer(latchkey: Running) -> None:
    key = latchkey.new_key()
    answer = latchkey.chat(key).json()
    latchkey.key_rows(key)
    eventually(lambda: made(get(latchkey, "/spend/logs", request_id=answer["id"])) != [])
    [row] = [r for r in made(get(latchkey, "/spend/logs", api_key=key)) if r["spend"] > 0]
    assert row["prompt_tokens"] == answer["usage"]["prompt_tokens"]
    assert row["completion_tokens"] == answer["usage"]["completion_tokens"]
    shown = latchkey.http.get("/key/info", headers={"authorization": f"Bearer {key}"}).json()
    assert shown["info"]["spend"] == row["spend"]


def test_people_see_themselves_and_nobody_else(latchkey: Running) -> None:
    person, other = new_person(latchkey), new_person(latchkey)
    assert made(get(latchkey, "/user/info", user_id=person["user_id"]))["user_info"]["user_id"] == person["user_id"]
    made(get(latchkey, "/user/info", person["key"], user_id=person["user_id"]))
    assert get(latchkey, "/user/info", other["key"], user_id=person["user_id"]).status_code == 403


def test_the_spend_of_the_whole_platform_is_shown_under_the_name_that_scripts_ask_for(latchkey: Running) -> None:
    def spend() -> float:
        total: float = made(get(latchkey, "/user/info", user_id="litellm-proxy-budget"))["user_info"]["spend"]
        return total

    before = spend()
    assert latchkey.chat(MASTER).status_code == 200
    eventually(lambda: spend() > before)


def test_the_maker_of_a_team_joins_it_and_an_update_keeps_everything_else(latchkey: Running) -> None:
    admin = new_person(latchkey)["user_id"]
    team = new_team(latchkey, members_with_roles=[{"role": "admin", "user_id": admin}])
    members = [{"role": "user", "user_id": f"krrish_{uuid.uuid4()}@example.com"} for _ in range(10)]
    made(post(latchkey, "/team/member_add", team_id=team["team_id"], member=members))
    info = made(get(latchkey, "/team/info", team_id=team["team_id"]))["team_info"]
    assert len(info["members_with_roles"]) == 12
    changed = made(post(latchkey, "/team/update", team_id=team["team_id"], team_alias="my-new-team"))["data"]
    may_differ = {"members_with_roles", "created_at", "updated_at"}
    same = {name: value for name, value in changed.items() if name not in may_differ}
    assert same == {name: team[name] for name in same}


def test_a_member_is_added_and_removed_by_e_mail(latchkey: Running) -> None:
    email = f"{uuid.uuid4()}@example.com"
    person = new_person(latchkey, user_email=email)
    team = new_team(latchkey, members_with_roles=[{"role": "user", "user_email": email}])
    assert email in {member["user_email"] for member in team["members_with_roles"]}
    teams = made(get(latchkey, "/user/info", user_id=person["user_id"]))["teams"]
    assert team["team_id"] in {row["team_id"] for row in teams}
    made(post(latchkey, "/team/member_delete", team_id=team["team_id"], user_email=email))
    assert post(latchkey, "/team/member_delete", team_id=team["team_id"], user_email=email).status_code == 400


def test_a_deleted_team_is_gone_for_its_members_too(latchkey: Running) -> None:
    person = new_person(latchkey)["user_id"]
    team = new_team(latchkey, members_with_roles=[{"role": "user", "user_id": person}])["team_id"]
    key = latchkey.new_key(team_id=team)
    made(post(latchkey, "/team/delete", team_ids=[team]))
    assert made(get(latchkey, "/user/info", user_id=person))["teams"] == []
    assert get(latchkey, "/team/info", team_id=team).status_code == 404
    eventually(lambda: latchkey.chat(key).status_code == 401)


def test_a_team_is_shown_to_its_own_keys_only(latchkey: Running) -> None:
    team = new_team(latchkey)["team_id"]
    made(get(latchkey, "/team/info", latchkey.new_key(team_id=team), team_id=team))
    assert get(latchkey, "/team/info", latchkey.new_key(), team_id=team).status_code in (401, 403, 404)


def test_a_teams_alias_of_a_model_is_called(latchkey: Running) -> None:
    team = new_team(latchkey, model_aliases={"cheap-model": "gpt-books"})["team_id"]
    key = latchkey.new_key(team_id=team, models=["gpt-books"])
    assert latchkey.chat(key, model="cheap-model").status_code == 200


def test_a_person_made_in_a_team_gets_a_key_of_the_team(latchkey: Running) -> None:
    team = new_team(latchkey)["team_id"]
    person = new_person(latchkey, team_id=team)
    assert person["team_id"] == team
    assert made(get(latchkey, "/key/info", key=person["key"]))["info"]["team_id"] == team


def _refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "team_member_permission_error"), answer.text


def test_members_look_at_the_keys_of_their_team_and_no_more(latchkey: Running) -> None:
    team = new_team(latchkey, team_member_permissions=None)["team_id"]
    key = latchkey.new_key(team_id=team)
    person = new_person(latchkey, team_id=team)["user_id"]
    mine = latchkey.new_key(user_id=person)
    _refused(post(latchkey, "/key/generate", mine, team_id=team))
    _refused(post(latchkey, "/key/update", mine, key=key, metadata={"updated": True}, team_id="ATTACKER_TEAM_ID"))
    _refused(post(latchkey, "/key/delete", mine, keys=[key]))
    _refused(post(latchkey, "/key/regenerate", mine, key=key))
    assert get(latchkey, "/key/info", mine, key=key).status_code == 200


def test_members_do_what_their_team_grants_them(latchkey: Running) -> None:
    granted = ["/key/update", "/key/delete", "/key/info"]
    team = new_team(latchkey, team_member_permissions=granted)["team_id"]
    key, person = latchkey.new_key(team_id=team), new_person(latchkey, team_id=team)["user_id"]
    mine = latchkey.new_key(user_id=person)
    made(post(latchkey, "/key/update", mine, key=key, metadata={"updated": True}, team_id=team))
    assert post(latchkey, "/key/generate", mine, team_id=team).status_code != 200
    assert post(latchkey, "/key/regenerate", mine, key=key).status_code != 200
    made(post(latchkey, "/key/delete", mine, keys=[key]))


def test_members_who_may_make_keys_may_not_change_others(latchkey: Running) -> None:
    team = new_team(latchkey, team_member_permissions=["/key/generate"])["team_id"]
    person = str(uuid.uuid4())
    made(post(latchkey, "/team/member_add", team_id=team, member={"role": "user", "user_id": person}))
    key, mine = latchkey.new_key(team_id=team), latchkey.new_key(user_id=person)
    assert made(post(latchkey, "/key/generate", mine, team_id=team))["team_id"] == team
    for path, body in (
        ("/key/update", {"key": key}),
        ("/key/delete", {"keys": [key]}),
        ("/key/regenerate", {"key": key}),
    ):
        assert post(latchkey, path, mine, **body).status_code != 200, path


def test_an_end_users_shared_budget_limits_the_tokens_of_every_key(latchkey: Running) -> None:
    budget, customer = f"free-tier-{uuid.uuid4()}", str(uuid.uuid4())
    made(post(latchkey, "/budget/new", budget_id=budget, tpm_limit=2))
    made(
        post(
            latchkey, "/end_user/new", user_id=customer, budget_id=budget, allowed_model_region=None, default_model=None
        )
    )
    statuses = [latchkey.chat(key, user=customer).status_code for key in (MASTER, latchkey.new_key(models=[]))]
    assert statuses == [429, 429]


def test_a_key_sees_the_models_that_it_may_call(latchkey: Running) -> None:
    key = latchkey.new_key(models=["gpt-books"])
    rows = made(get(latchkey, "/model/info", key))["data"]
    assert {row["model_name"] for row in rows} == {"gpt-books"}
    alone = made(get(latchkey, "/model/info", key, litellm_model_id=rows[0]["model_info"]["id"]))["data"]
    assert alone == rows[:1]
    groups = made(get(latchkey, "/model_group/info", new_person(latchkey)["key"]))["data"]
    assert [group["model_group"] for group in groups] == ["gpt-books"]
    assert made(get(latchkey, "/models", key, only_model_access_groups="True"))["data"] == []


def test_a_model_is_added_for_a_team_and_deleted(latchkey: Running, provider: Any) -> None:
    team = new_team(latchkey, models=[])["team_id"]
    params = {"model": "gpt-4", "custom_llm_provider": "openai", "api_key": "fake_key"}
    model = made(
        post(latchkey, "/model/new", model_name="gpt-4-team-test", litellm_params=params, model_info={"team_id": team})
    )
    assert "gpt-4-team-test" in made(get(latchkey, "/team/info", team_id=team))["team_info"]["models"]
    made(post(latchkey, "/model/delete", id=model["model_info"]["id"]))


def test_organizations_are_made_side_by_side_and_listed(latchkey: Running) -> None:
    name = f"Organization: {uuid.uuid4()}"
    body = {"organization_alias": name, "models": ["gpt-books"], "max_budget": None}
    with ThreadPoolExecutor(10) as pool:
        rows = list(pool.map(lambda _: made(post(latchkey, "/organization/new", **body)), range(10)))
    assert len({row["organization_id"] for row in rows}) == 10
    assert name in {row["organization_alias"] for row in made(get(latchkey, "/organization/list"))}


@pytest.mark.parametrize("path", ["/health/liveliness", "/health/readiness", "/routes"])
def test_probes_and_the_list_of_routes_are_public(latchkey: Running, path: str) -> None:
    assert latchkey.http.get(path).status_code == 200


def test_the_details_of_readiness_tell_the_version(latchkey: Running) -> None:
    details = made(get(latchkey, "/health/readiness/details"))
    assert details["status"]
    assert details["litellm_version"]


def test_models_are_listed_once_whatever_else_a_key_calls_them(latchkey: Running) -> None:
    key = latchkey.new_key(models=["gpt-books"], aliases={"fast": "gpt-books"})
    assert [row["id"] for row in made(get(latchkey, "/v1/models", key))["data"]] == ["gpt-books"]
    assert made(get(latchkey, "/v1/models/fast", key))["id"] == "fast"
    assert latchkey.chat(key, model="fast").status_code == 200


def test_a_call_that_names_a_fallback_beyond_its_key_is_refused(latchkey: Running) -> None:
    key = latchkey.new_key(models=["gpt-books", "gpt-free"])
    assert latchkey.chat(key, fallbacks=["gpt-free"]).status_code == 200
    for beyond in (["gpt-down"], [{"model": "gpt-down"}]):
        refusal = latchkey.chat(key, fallbacks=beyond)
        assert (refusal.status_code, refusal.json()["error"]["type"]) == (403, "key_model_access_denied")


def test_the_first_organization_of_the_list_can_be_deleted(latchkey: Running) -> None:
    made(post(latchkey, "/organization/new", organization_alias="short-lived"))
    first = made(get(latchkey, "/organization/list"))[0]["organization_id"]
    headers = {"authorization": f"Bearer {MASTER}"}
    made(latchkey.http.request("DELETE", "/organization/delete", json={"organization_ids": [first]}, headers=headers))


def test_a_plain_key_that_asks_about_an_unknown_key_is_told_so(latchkey: Running) -> None:
    assert get(latchkey, "/key/info", latchkey.new_key(), key=f"sk-{uuid.uuid4()}").status_code == 404


def test_a_person_of_the_team_of_litellms_own_pages_is_of_no_team(latchkey: Running) -> None:
    assert new_person(latchkey, team_id="litellm-dashboard", user_role="proxy_admin")["teams"] == []


def test_teams_and_keys_that_name_the_same_new_person_are_made_side_by_side(latchkey: Running) -> None:
    """Whoever is second finds the person that the first has just made."""
    for _ in range(3):
        name = str(uuid.uuid4())
        member = {"role": "user", "user_id": name}
        bodies = [("/team/new", {"members_with_roles": [member]}), ("/key/generate", {"user_id": name})] * 6

        def send(call: tuple[str, dict[str, Any]]) -> int:
            headers = {"authorization": f"Bearer {MASTER}"}
            url = f"http://127.0.0.1:{latchkey.port}{call[0]}"
            return httpx.post(url, json=call[1], headers=headers, timeout=30).status_code

        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(send, bodies)) == {200}
