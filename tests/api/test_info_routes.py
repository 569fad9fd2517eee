"""Keys that only read (`info_routes`) see the lists that their owner sees, and change nothing."""

import pytest

from teams.models import Team, User
from tests.api.conftest import Api
from tests.factories import issue

_OF_PEOPLE = (
    "/key/list", "/key/info", "/team/list", "/v2/team/list", "/organization/list", "/team/available", "/user/filter/ui",
    "/user/info",
)  # fmt: skip


@pytest.mark.parametrize("path", _OF_PEOPLE)
def test_a_key_that_only_reads_sees_what_a_plain_key_of_its_owner_sees(
    api: Api, search: Team, grace: User, path: str
) -> None:
    reading, plain = issue(user=grace, allowed_routes=["info_routes"])[1], issue(user=grace)[1]
    query = {"user_id": grace.public_id} if path.endswith("team/list") else {}
    seen = api.get(path, query, bearer=reading)
    assert seen.status == 200
    if path != "/key/info":
        assert seen.json == api.get(path, query, bearer=plain).json


def test_the_health_of_services_is_told_to_an_admins_key_that_only_reads(api: Api, ada: User, grace: User) -> None:
    query = {"service": "prometheus"}
    reading = issue(user=ada, allowed_routes=["info_routes"])[1]
    answer = api.get("/health/services", query, bearer=reading)
    assert answer.status == api.get("/health/services", query, bearer=issue(user=ada)[1]).status != 403
    assert api.get("/health/services", query, bearer=issue(user=grace, allowed_routes=["info_routes"])[1]).status == 401


def test_a_key_that_only_reads_changes_nothing(api: Api, ada: User) -> None:
    reading = issue(user=ada, allowed_routes=["info_routes"])[1]
    for path in ("/key/generate", "/team/new", "/user/new", "/budget/new"):
        assert api.post(path, {}, bearer=reading).status == 403


def test_a_key_may_be_narrowed_to_a_group_of_routes(api: Api, ada: User) -> None:
    keys = issue(user=ada, allowed_routes=["key_management_routes"])[1]
    assert api.get("/key/list", bearer=keys).status == 200
    assert api.post("/key/generate", {}, bearer=keys).status == 200
    assert api.get("/spend/logs", bearer=keys).status == 403
    assert api.get("/team/list", bearer=keys).status == 403
    spend = issue(user=ada, allowed_routes=["spend_tracking_routes", "global_spend_tracking_routes"])[1]
    assert api.get("/spend/logs", bearer=spend).status == 200
    assert api.get("/global/spend", bearer=spend).status == 200
    assert api.get("/key/list", bearer=spend).status == 403
