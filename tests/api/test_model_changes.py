"""/model/update, /model/{id}/update, /model/block, /model/unblock, and models that belong to one team."""

import json
from decimal import Decimal
from typing import Any

import pytest

from proxy import services
from proxy.models import Credential, Deployment
from spend import book
from teams.actors import SYSTEM
from teams.models import AuditEvent, Membership, Team, User
from teams.services import add_member, create_team
from tests.api.conftest import Api
from tests.api.people import key_of, person
from tests.api.test_models import NEW, SECRET
from tests.factories import NOON, issue


@pytest.fixture(autouse=True)
def providers(db: None) -> None:
    services.sync_providers()


@pytest.fixture
def house(api: Api) -> Deployment:
    api.post("/model/new", NEW)
    return Deployment.objects.get()


def patch(api: Api, body: dict[str, Any], **how: Any) -> Any:
    return api.patch("/model/house-1/update", body, **how)


def test_what_a_patch_does_not_name_stays(api: Api, house: Deployment) -> None:
    answer = patch(api, {"litellm_params": {"rpm": 90, "temperature": None}, "model_info": {"owner": "search"}})
    assert answer.status == 200, answer.text
    row = answer.json
    assert (row["model_name"], row["litellm_params"]["model"]) == ("fast", "openai/house-model")
    assert (row["litellm_params"]["rpm"], row["litellm_params"]["temperature"]) == (90, Decimal("0.5"))
    assert (row["model_info"]["owner"], row["model_info"]["max_output_tokens"]) == ("search", 1000)
    assert row["model_info"]["input_cost_per_token"] == Decimal("1.5e-7")
    assert services.reveal(Credential.objects.get()) == SECRET
    assert SECRET not in answer.text


def test_a_post_names_the_model_in_its_info(api: Api, house: Deployment) -> None:
    body = {"model_name": "faster", "litellm_params": {"output_cost_per_token": "0.000002"}}
    answer = api.post("/model/update", body | {"model_info": {"id": "house-1"}})
    assert answer.status == 200, answer.text
    assert answer.json["model_name"] == "faster"
    assert answer.json["model_info"]["output_cost_per_token"] == Decimal("2e-6")
    assert answer.json["model_info"]["input_cost_per_token"] == Decimal("1.5e-7")
    assert AuditEvent.objects.filter(action="model.updated").count() == 1


def test_a_new_secret_replaces_the_old_one_and_is_not_echoed(api: Api, house: Deployment) -> None:
    fresh = "sk-another-provider-secret"
    answer = patch(api, {"litellm_params": {"api_key": fresh, "api_base": "https://other.example.com/v1"}})
    assert answer.status == 200, answer.text
    credential = Credential.objects.get()
    assert (services.reveal(credential), credential.host) == (fresh, "other.example.com")
    assert fresh not in answer.text + str(list(AuditEvent.objects.values()))


def test_a_model_that_moves_leaves_its_secret_to_others_that_use_it(api: Api, house: Deployment) -> None:
    other = Deployment(
        provider=house.provider, upstream_model="o", base_url=house.base_url, credential=house.credential, is_free=True
    )
    services.add_deployment(other, "other", actor=SYSTEM, now=NOON)
    fresh = "sk-another-provider-secret"
    answer = patch(api, {"litellm_params": {"api_key": fresh, "api_base": "https://other.example.com/v1"}})
    assert answer.status == 200, answer.text
    kept, moved = (Deployment.objects.get(pk=row.pk).credential for row in (other, house))
    assert kept is not None and moved is not None
    assert (kept.host, services.reveal(kept)) == ("llm.example.com", SECRET)
    assert (moved.host, services.reveal(moved)) == ("other.example.com", fresh)


def test_another_host_needs_the_secret_again(api: Api, house: Deployment) -> None:
    answer = patch(api, {"litellm_params": {"api_base": "https://evil.example.com/v1"}})
    assert answer.status == 400
    assert "bound to llm.example.com" in answer.error["message"]


def test_a_row_that_was_read_can_be_sent_back(api: Api, house: Deployment) -> None:
    shown = json.loads(api.get("/model/info").text)["data"][0]
    again = patch(api, {name: shown[name] for name in ("model_name", "litellm_params", "model_info")})
    assert again.status == 200, again.text
    ignored = ("updated_at", "updated_by")
    assert {k: v for k, v in again.json["model_info"].items() if k not in ignored} == {
        k: v for k, v in api.get("/model/info").json["data"][0]["model_info"].items() if k not in ignored
    }


BOOKED = {"model_name": "m", "litellm_params": {"model": "openai/gpt-4o-mini", "api_key": SECRET}}


@pytest.mark.parametrize("clone", [False, True])
def test_a_row_that_is_sent_back_or_cloned_goes_on_with_the_price_book(api: Api, clone: bool) -> None:
    book.seed_prices(now=NOON)
    api.post("/model/new", BOOKED | {"model_info": {"id": "house-1"}})
    row = json.loads(api.get("/model/info", {"litellm_model_id": "house-1"}).text)["data"][0]
    if clone:
        row["litellm_params"] |= {"api_key": SECRET, "model": "openai/gpt-4o"}
        assert api.post("/model/new", row | {"model_info": row["model_info"] | {"id": "house-2"}}).status == 200
    else:
        assert api.post("/model/update", row).status == 200
    named = "house-2" if clone else "house-1"
    moved = {"model_info": {"id": named}, "litellm_params": {"model": "openai/gpt-4o", "api_key": SECRET}}
    shown = api.post("/model/update", moved).json
    assert "input_cost_per_token" not in shown["litellm_params"]
    assert shown["model_info"]["input_cost_per_token"] == Decimal("0.0000025")


def test_a_price_in_the_info_of_a_model_replaces_the_one_that_is_there(api: Api, house: Deployment) -> None:
    prices = {"input_cost_per_token": 9e-6, "output_cost_per_token": 9e-6}
    changed = api.post("/model/update", {"model_info": {"id": "house-1", **prices}})
    assert changed.json["litellm_params"]["input_cost_per_token"] == Decimal("0.000009")


@pytest.mark.parametrize("part", ["model_info", "litellm_params"])
def test_one_price_that_is_changed_in_a_row_has_the_others_from_the_book(api: Api, part: str) -> None:
    book.seed_prices(now=NOON)
    api.post("/model/new", BOOKED | {"model_info": {"id": "house-1"}})
    row = json.loads(api.get("/model/info", {"litellm_model_id": "house-1"}).text)["data"][0]
    row[part]["input_cost_per_token"] = 1e-5
    shown = api.post("/model/update", row).json["model_info"]
    assert (shown["input_cost_per_token"], shown["output_cost_per_token"]) == (Decimal("0.00001"), Decimal("0.0000006"))


@pytest.mark.parametrize("part", ["model_info", "litellm_params"])
def test_a_price_that_is_changed_in_the_row_of_a_model_with_its_own_is_heard(
    api: Api, house: Deployment, part: str
) -> None:
    row = json.loads(api.get("/model/info", {"litellm_model_id": "house-1"}).text)["data"][0]
    row[part]["input_cost_per_token"] = 3e-5
    shown = api.post("/model/update", {name: row[name] for name in ("model_name", "litellm_params", "model_info")}).json
    assert shown["model_info"]["input_cost_per_token"] == Decimal("0.00003")


def test_models_of_the_file_are_changed_in_the_file(api: Api, house: Deployment) -> None:
    Deployment.objects.update(source=Deployment.Source.CONFIG)
    for answer in (patch(api, {"model_name": "x"}), api.post("/model/update", {"model_info": {"id": "house-1"}})):
        assert answer.status == 400
        assert "Can't edit model. Model in config" in answer.error["message"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/model/update", {"model_info": {"id": "nobody"}}, 400),
        ("/model/update", {}, 422),
        ("/model/block", {"model_id": "nobody"}, 404),
        ("/model/unblock", {}, 422),
        ("/model/delete", {"id": "nobody"}, 400),
    ],
)
def test_an_unknown_model_is_named(api: Api, path: str, body: dict[str, Any], status: int) -> None:
    assert api.post(path, body).status == status
    assert api.patch("/model/nobody/update", {}).status == 404


def test_a_change_that_has_no_price_is_refused(api: Api) -> None:
    book.seed_prices(now=NOON)
    params = {"model": "openai/gpt-4o-mini", "api_key": SECRET}
    api.post("/model/new", {"model_name": "mini", "litellm_params": params, "model_info": {"id": "house-1"}})
    answer = patch(api, {"litellm_params": {"model": "openai/unheard-of"}})
    assert (answer.status, answer.error["param"]) == (400, "input_cost_per_token")
    assert Deployment.objects.get().upstream_model == "gpt-4o-mini"


def test_blocking_shows_and_is_audited(api: Api, house: Deployment) -> None:
    blocked = api.post("/model/block", {"model_id": "house-1"}).json
    assert (blocked["blocked"], blocked["model_info"]["blocked"]) == (True, True)
    assert api.post("/model/unblock", {"id": "house-1"}).json["model_info"]["blocked"] is False
    actions = set(AuditEvent.objects.filter(object_id="house-1").values_list("action", flat=True))
    assert {"model.blocked", "model.unblocked"} <= actions


def test_a_model_prices_itself_by_its_base_model(api: Api) -> None:
    book.seed_prices(now=NOON)
    params = {"model": "hosted_vllm/my-mini", "api_base": "https://llm.example.com/v1"}
    info = {"base_model": "openai/gpt-4o-mini"}
    answer = api.post("/model/new", {"model_name": "mine", "litellm_params": params, "model_info": info})
    assert answer.status == 200, answer.text
    assert answer.json["model_info"]["input_cost_per_token"] == Decimal("1.5e-7")


# --- Models of one team --------------------------------------------------------------------------


def of_team(team: Team, **info: Any) -> dict[str, Any]:
    return NEW | {"model_name": "ours", "model_info": {"team_id": team.public_id, **info}}


def test_a_teams_model_is_listed_with_the_team_and_seen_by_its_keys_alone(api: Api, search: Team) -> None:
    answer = api.post("/model/new", of_team(search))
    assert answer.status == 200, answer.text
    info = answer.json["model_info"]
    assert (info["team_id"], info["team_public_model_name"]) == (search.public_id, "ours")
    search.refresh_from_db()
    # It could call everything before, and still can.
    assert search.allowed_models == ["all-proxy-models", "ours"]
    _, inside = issue(team=search)
    _, outside = issue()
    for path in ("/model/info", "/v2/model/info", "/v1/model/info"):
        assert [row["model_name"] for row in api.get(path, bearer=inside).json["data"]] == ["ours"]
        assert api.get(path, bearer=outside).json["data"] == []
    assert [row["model_group"] for row in api.get("/model_group/info", bearer=inside).json["data"]] == ["ours"]


def test_a_deleted_model_leaves_its_teams_list(api: Api, search: Team) -> None:
    Team.objects.filter(pk=search.pk).update(allowed_models=["shared"])
    public_id = api.post("/model/new", of_team(search)).json["model_id"]
    search.refresh_from_db()
    assert search.allowed_models == ["shared", "ours"]
    assert api.post("/model/delete", {"id": public_id}).status == 200
    search.refresh_from_db()
    assert search.allowed_models == ["shared"]


def test_a_list_that_loses_its_last_model_does_not_become_one_of_everything(api: Api, search: Team) -> None:
    Team.objects.filter(pk=search.pk).update(allowed_models=["ours"])
    public_id = api.post("/model/new", of_team(search)).json["model_id"]
    api.post("/model/delete", {"id": public_id})
    search.refresh_from_db()
    assert search.allowed_models == ["no-default-models"]


def test_a_model_of_an_unknown_team_is_400(api: Api, search: Team) -> None:
    answer = api.post("/model/new", NEW | {"model_info": {"team_id": "nobody"}})
    assert (answer.status, answer.error["param"]) == (400, "model_info.team_id")


def test_team_admins_manage_the_models_of_their_team_and_no_others(api: Api, search: Team, grace: User) -> None:
    _, secret = issue(user=grace)
    public_id = api.post("/model/new", of_team(search), bearer=secret).json["model_id"]
    assert api.patch(f"/model/{public_id}/update", {"model_name": "new"}, bearer=secret).status == 200
    assert api.post("/model/block", {"id": public_id}, bearer=secret).status == 200
    assert api.post("/model/delete", {"id": public_id}, bearer=secret).status == 200
    api.post("/model/new", NEW)
    assert api.post("/model/new", NEW | {"model_info": None}, bearer=secret).status == 403
    assert api.post("/model/delete", {"id": "house-1"}, bearer=secret).status == 403
    assert api.post("/model/block", {"id": "house-1"}, bearer=secret).status == 403
    assert patch(api, {"model_name": "mine"}, bearer=secret).status == 403
    assert Deployment.objects.get().model.name == "fast"


def test_a_team_admin_cannot_move_a_model_to_another_team(api: Api, search: Team, grace: User) -> None:
    other = create_team(Team(name="other"), actor=SYSTEM)
    _, secret = issue(user=grace)
    public_id = api.post("/model/new", of_team(search), bearer=secret).json["model_id"]
    body = {"model_info": {"team_id": other.public_id}}
    assert api.patch(f"/model/{public_id}/update", body, bearer=secret).status == 403
    assert Deployment.objects.get().team == search


def test_who_leads_nothing_manages_no_models_and_hears_it_in_the_words_of_clients(api: Api, search: Team) -> None:
    api.post("/model/new", NEW)
    member = person("mia")
    add_member(Membership(team=search, user=member), actor=SYSTEM)
    viewers = [person(role, role=role) for role in ("internal_user_viewer", "proxy_admin_viewer")]
    people = (member, person("oscar"), *viewers)
    for secret in (*map(key_of, people), issue()[1], issue(team=search)[1]):
        answers = [
            api.post("/model/new", of_team(search), bearer=secret),
            api.post("/model/update", {"model_name": "x", "model_info": {"id": "house-1"}}, bearer=secret),
            patch(api, {"model_name": "x"}, bearer=secret),
            *(api.post(f"/model/{verb}", {"id": "house-1"}, bearer=secret) for verb in ("delete", "block", "unblock")),
        ]
        assert [answer.status for answer in answers] == [403] * 6
        said = [answer.error["message"] for answer in answers]
        assert all("User does not have permission to make this model call" in message for message in said)
    assert [(row.model.name, row.blocked) for row in Deployment.objects.all()] == [("fast", False)]


def test_a_deleted_team_takes_its_models_and_their_secrets_along(api: Api, search: Team) -> None:
    api.post("/model/new", of_team(search))
    api.post("/model/new", NEW)
    answer = api.post("/team/delete", {"team_ids": [search.public_id]})
    assert answer.status == 200, answer.text
    assert [row.model.name for row in Deployment.objects.all()] == ["fast"]
    assert Credential.objects.count() == 1
    assert Team.objects.get(pk=search.pk).deleted_at is not None
    assert api.post("/model/new", of_team(search)).error["param"] == "model_info.team_id"


def test_a_member_who_leaves_takes_no_models_along(api: Api, search: Team, grace: User) -> None:
    api.post("/model/new", of_team(search))
    body = {"team_id": search.public_id, "user_id": grace.public_id}
    assert api.post("/team/member_delete", body).status == 200
    assert Deployment.objects.count() == 1


def test_what_is_null_is_not_kept(api: Api) -> None:
    params = NEW["litellm_params"] | {"aws_secret_access_key": None, "drop_params": None}  # type: ignore[operator]
    row = api.post("/model/new", NEW | {"litellm_params": params}).json
    assert not {"aws_secret_access_key", "drop_params"} & row["litellm_params"].keys()


def test_a_new_model_that_names_one_further_price_has_the_others_from_the_book(api: Api) -> None:
    book.seed_prices(now=NOON)
    params = {**BOOKED["litellm_params"], "cache_read_input_token_cost": 5e-8}
    api.post("/model/new", BOOKED | {"litellm_params": params, "model_info": {"id": "house-1"}})
    row = api.get("/model/info", {"litellm_model_id": "house-1"}).json["data"][0]
    assert row["litellm_params"]["cache_read_input_token_cost"] == Decimal("0.00000005")
    assert row["model_info"]["input_cost_per_token"] == Decimal("0.00000015")
