"""A key or a model goes to another team while who led it is about to change it: by then they lead it no more."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keys import services as key_services
from keys.models import VirtualKey
from proxy import services
from proxy.models import Deployment
from teams.actors import MASTER
from teams.models import Team, User
from teams.services import create_team
from tests.api.conftest import Api
from tests.api.people import key_of
from tests.api.test_model_changes import of_team
from tests.factories import issue

BeforeLock = Callable[[type, Callable[[], object]], None]


@pytest.fixture
def ads(search: Team) -> Team:
    """A team that Grace has nothing to do with."""
    return create_team(Team(name="ads"), actor=MASTER)


def _filled(part: Any, known: dict[str, str]) -> Any:
    """A body with the ids of a test in it."""
    if isinstance(part, dict):
        return {name: _filled(value, known) for name, value in part.items()}
    return [_filled(value, known) for value in part] if isinstance(part, list) else known.get(part, part)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/key/delete", {"keys": ["{key}"]}), ("/key/delete", {"key_aliases": ["ours"]}),
        ("/key/block", {"key": "{key}"}), ("/key/unblock", {"key": "{key}"}),
        ("/key/update", {"key": "{key}", "rpm_limit": 1}),
    ],
)  # fmt: skip
def test_a_key_that_is_moved_meanwhile_is_left_to_its_new_team(
    api: Api, search: Team, grace: User, ads: Team, before_lock: BeforeLock, path: str, body: dict[str, Any]
) -> None:
    key, _ = issue(team=search, alias="ours", blocked=path == "/key/unblock")
    bearer = key_of(grace)

    def move() -> None:
        row = VirtualKey.objects.get(pk=key.pk)
        row.team = ads
        key_services.update_key(row, actor=MASTER)

    before_lock(VirtualKey, move)
    answer = api.post(path, _filled(body, {"{key}": key.token}), bearer=bearer)
    assert answer.status == 403, answer.text
    stored = VirtualKey.objects.get(pk=key.pk)
    assert (stored.deleted_at, stored.blocked, stored.rpm_limit) == (None, key.blocked, None)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/model/update", {"model_name": "mine", "model_info": {"id": "{model}", "team_id": "{team}"}}),
        ("/model/block", {"id": "{model}"}), ("/model/delete", {"id": "{model}"}),
    ],
)  # fmt: skip
def test_a_model_that_is_moved_meanwhile_is_left_to_its_new_team(
    api: Api, search: Team, grace: User, ads: Team, before_lock: BeforeLock, path: str, body: dict[str, Any]
) -> None:
    """Who led it does not even see it any more."""
    services.sync_providers()
    made, bearer = api.post("/model/new", of_team(search)).json, key_of(grace)

    def move() -> None:
        row = Deployment.objects.with_owners().get()
        row.team = ads
        services.update_deployment(row, actor=MASTER)

    before_lock(Deployment, move)
    sent = _filled(body, {"{model}": made["model_id"], "{team}": search.public_id})
    answer = api.post(path, sent, bearer=bearer)
    assert "not found in db" in answer.text
    stored = Deployment.objects.get()
    assert (stored.model.name, stored.blocked) == (made["model_name"], False)


def test_many_keys_are_found_and_locked_at_once(api: Api, search: Team, grace: User) -> None:
    bearer = key_of(grace)

    def searches(number: int) -> int:
        keys = [issue(team=search)[0].token for _ in range(number)]
        with CaptureQueriesContext(connection) as queries:
            assert api.post("/key/delete", {"keys": keys}, bearer=bearer).json == {"deleted_keys": keys}
        return sum('"token"' in query["sql"].partition(" WHERE ")[2] for query in queries)

    assert searches(5) == searches(1)
