"""A row is changed between somebody's look at it and their change: what the change does not name stays so."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from gateway_project.startup import _set_zone
from proxy import group_services, merging, pool_services, services
from proxy.from_litellm import read_model
from proxy.models import AccessGroup, Credential, Deployment, Pool
from proxy.pool_rules import read_provider_budgets
from teams import services as team_services
from teams.actors import MASTER
from teams.models import Membership, Organization, SharedBudget, Team, User
from tests.api.conftest import Api
from tests.api.test_access_groups import put
from tests.api.test_credentials import BODY
from tests.api.test_models import NEW
from tests.factories import NOON

BeforeLock = Callable[[type, Callable[[], object]], None]
SECOND = "sk-second-0123456789"


@pytest.fixture(autouse=True)
def providers(db: None) -> None:
    services.sync_providers()


def _replace_secret() -> None:
    row = Credential.objects.get()
    row.base_url = "https://llm.example.com/v2"
    services.change_credential(row, SECOND, actor=MASTER)


def _stored() -> tuple[str, str, str]:
    row = Credential.objects.get()
    return services.reveal(row), row.base_url, row.display_name


def test_a_credential_that_is_renamed_keeps_the_secret_that_it_gets_meanwhile(
    api: Api, before_lock: BeforeLock
) -> None:
    assert api.post("/credentials", BODY).status == 200
    before_lock(Credential, _replace_secret)
    assert api.patch("/credentials/house", {"display_name": "House"}).status == 200
    assert _stored() == (SECOND, "https://llm.example.com/v2", "House")


def test_whoever_saves_a_whole_credential_does_not_bring_an_old_secret_back(api: Api) -> None:
    assert api.post("/credentials", BODY).status == 200
    late = Credential.objects.get()
    _replace_secret()
    services.change_credential(late, "", actor=MASTER)
    assert _stored()[0] == SECOND


def test_a_credential_that_is_gone_meanwhile_is_said_to_be(api: Api, before_lock: BeforeLock) -> None:
    assert api.post("/credentials", BODY).status == 200
    before_lock(Credential, lambda: Credential.objects.all().delete())
    answer = api.patch("/credentials/house", {"display_name": "House"})
    assert (answer.status, "deleted this credential meanwhile" in answer.text) == (400, True)


def _grant_group(api: Api) -> AccessGroup:
    body = {"access_group_name": "g", "access_model_names": ["a", "b"]}
    assert api.post("/v1/access_group", body).status == 201
    return AccessGroup.objects.get()


def _take_model_out() -> None:
    group = AccessGroup.objects.get()
    group.model_names = ["a"]
    group_services.save_group(group, teams=None, keys=None, actor=MASTER)


def test_a_group_that_is_described_grants_no_model_that_is_taken_out_of_it_meanwhile(
    api: Api, before_lock: BeforeLock
) -> None:
    group = _grant_group(api)
    before_lock(AccessGroup, _take_model_out)
    answer = put(api, f"/v1/access_group/{group.public_id}", {"description": "ours"})
    assert (answer.status, answer.json["access_model_names"], answer.json["description"]) == (200, ["a"], "ours")


def test_a_group_that_is_gone_meanwhile_is_said_to_be(api: Api) -> None:
    group = _grant_group(api)
    AccessGroup.objects.all().delete()
    with pytest.raises(ValidationError, match="deleted this access group meanwhile"):
        group_services.save_group(group, teams=None, keys=None, actor=MASTER)


def _limit_pool() -> None:
    pool = Pool.objects.get()
    pool.rpm_limit = 7
    pool_services.save_pool(pool, actor=MASTER, now=NOON)


def test_a_groups_budget_is_set_without_lifting_a_limit_that_it_gets_meanwhile(
    api: Api, before_lock: BeforeLock
) -> None:
    assert api.post("/model/new", NEW | {"model_name": "alpha", "model_info": {"id": "alpha"}}).status == 200
    assert api.post("/access_group/new", {"access_group": "greek", "model_names": ["alpha"]}).status == 200
    path = "/access_group/greek/budget"
    assert put(api, path, {"max_budget": 5}).status == 200
    before_lock(Pool, _limit_pool)
    assert put(api, path, {"max_budget": 6}).status == 200
    pool = Pool.objects.get()
    assert (pool.max_budget_nano, pool.rpm_limit) == (6 * 10**9, 7)


def test_a_budget_of_the_file_lifts_no_limit_that_a_provider_gets_meanwhile(before_lock: BeforeLock, db: None) -> None:
    for limit in (5, 6):
        budgets = {"openai": {"budget_limit": limit, "time_period": "1d"}}
        pool_services.apply_file(read_provider_budgets({"provider_budget_config": budgets}), actor=MASTER, now=NOON)
        if limit == 5:
            before_lock(Pool, _limit_pool)
    pool = Pool.objects.get()
    assert (pool.max_budget_nano, pool.rpm_limit) == (6 * 10**9, 7)


def test_a_model_of_the_file_stays_in_the_group_that_it_is_put_into_meanwhile(before_lock: BeforeLock) -> None:
    def read(**params: Any) -> Any:
        given = {
            "model": "openai/m",
            "api_key": SECOND,
            "input_cost_per_token": 1,
            "output_cost_per_token": 1,
            **params,
        }
        return merging.plain(read_model("m", given, {"id": "m"}, Deployment.Source.CONFIG))

    new = read()
    services.add_deployment(new.deployment, "m", actor=MASTER, now=NOON, secret=new.secret, price=new.price)
    known = Deployment.objects.get()
    before_lock(Deployment, lambda: group_services.set_members("greek", [known], actor=MASTER))
    merging.apply_to(known, read(timeout=33), actor=MASTER, now=NOON)
    stored = Deployment.objects.get()
    assert (stored.timeout_seconds, stored.access_groups) == (33, ["greek"])


def _limit_member() -> None:
    row = Membership.objects.get()
    row.rpm_limit = 7
    team_services.update_limits(row, actor=MASTER)


def test_a_member_who_gets_the_teams_new_budget_keeps_a_limit_of_that_moment(
    api: Api, search: Team, grace: User, before_lock: BeforeLock
) -> None:
    before_lock(Membership, _limit_member)
    answer = api.post("/team/update", {"team_id": search.public_id, "team_member_budget": 5})
    assert answer.status == 200, answer.text
    member = Membership.objects.get()
    assert (member.rpm_limit, member.effective("max_budget_nano")) == (7, 5 * 10**9)


def _limit_budget() -> None:
    budget = SharedBudget.objects.get()
    budget.max_parallel_requests = 3
    team_services.update_budget(budget, actor=MASTER)


def test_a_new_amount_for_members_lifts_no_limit_that_their_budget_gets_meanwhile(
    api: Api, search: Team, before_lock: BeforeLock
) -> None:
    named = {"team_id": search.public_id}
    assert api.post("/team/update", named | {"team_member_budget": 5}).status == 200
    before_lock(SharedBudget, _limit_budget)
    assert api.post("/team/update", named | {"team_member_budget": 6}).status == 200
    budget = SharedBudget.objects.get()
    assert (budget.max_budget_nano, budget.max_parallel_requests) == (6 * 10**9, 3)


def _rename_organization() -> None:
    row = Organization.objects.get()
    row.name = "renamed"
    team_services.update_limits(row, actor=MASTER)


def test_a_time_zone_of_the_file_undoes_no_change_that_is_made_meanwhile(
    organization: Organization, before_lock: BeforeLock
) -> None:
    before_lock(Organization, _rename_organization)
    _set_zone("Europe/Oslo")
    organization.refresh_from_db()
    assert (organization.timezone, organization.name) == ("Europe/Oslo", "renamed")
