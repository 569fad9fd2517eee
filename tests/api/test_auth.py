"""Who may call the management API, and what everybody else is told."""

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import redis
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from keys import services
from keys.loading import load_grants
from keys.models import VirtualKey
from keys.secrets import token_of
from proxy.gate_rules import read_rules
from teams import services as people
from teams.actors import MASTER
from teams.models import AuditEvent, Team, User
from tests.api.conftest import Api
from tests.factories import issue


def test_without_a_key_the_answer_is_401_in_the_contracts_words(api: Api) -> None:
    answer = api.get("/key/list", headers={})
    assert answer.status == 401
    assert "No api key passed in" in answer.error["message"]
    assert answer.error["type"] == "auth_error"
    assert answer.error["code"] == "401"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-litellm-api-key": "{key}", "authorization": "Bearer sk-somebody-elses-key"},
        {"x-litellm-api-key": "Bearer {key}"},
        {"authorization": "Bearer {key}"},
        {"authorization": "bearer {key}"},
        {"authorization": "Basic {key}"},
        {"api-key": "{key}"},
        {"x-api-key": "{key}"},
        {"x-goog-api-key": "{key}"},
        {"ocp-apim-subscription-key": "{key}"},
    ],
)
def test_the_key_is_taken_from_each_header_of_the_contract(api: Api, headers: dict[str, str]) -> None:
    sent = {name: value.format(key=settings.MASTER_KEY) for name, value in headers.items()}
    assert api.get("/key/list", headers=sent).status == 200


def test_an_authorization_of_another_shape_is_no_key(api: Api) -> None:
    assert api.get("/key/list", headers={"authorization": settings.MASTER_KEY}).status == 401


@pytest.mark.parametrize("bad", ["sk-unknown-key-0123456789", "not-a-key", "sk-short", "sk-ключ-0123456789abcdef"])
def test_an_unknown_or_malformed_key_is_401(api: Api, bad: str) -> None:
    answer = api.get("/key/info", headers={"x-api-key": bad.encode().decode("latin-1")})
    assert answer.status == 401
    assert bad not in answer.text


def test_an_unknown_key_is_named_as_such(api: Api) -> None:
    error = api.get("/key/info", bearer="sk-unknown-key-0123456789").error
    assert (error["type"], error["param"]) == ("token_not_found_in_db", "key")


def test_the_hash_of_a_key_never_authenticates(api: Api) -> None:
    key, _ = issue()
    assert api.get("/key/info", bearer=key.token).status == 401


def test_a_row_planted_in_the_database_does_not_authenticate(api: Api) -> None:
    key, secret = issue()
    VirtualKey.objects.filter(pk=key.pk).update(seal="0" * 64)
    assert api.get("/key/info", bearer=secret).status == 401


def test_a_blocked_key_is_401(api: Api) -> None:
    key, secret = issue()
    services.block_key(key, actor=MASTER)
    answer = api.get("/key/info", bearer=secret)
    assert answer.status == 401
    assert "blocked" in answer.error["message"]


def test_an_expired_key_is_401_with_a_type_of_its_own(api: Api) -> None:
    _, secret = issue(expires_at=timezone.now() - timedelta(seconds=1))
    answer = api.get("/key/info", bearer=secret)
    assert (answer.status, answer.error["type"]) == (401, "expired_key")


def test_a_key_of_a_blocked_team_is_401(api: Api, search: Team) -> None:
    _, secret = issue(team=search)
    people.set_blocked(search, True, actor=MASTER)
    answer = api.get("/key/info", bearer=secret)
    assert answer.status == 401
    assert "Team is blocked" in answer.error["message"]


def test_a_deleted_key_is_401(api: Api) -> None:
    key, secret = issue()
    services.delete_key(key, actor=MASTER)
    assert api.get("/key/info", bearer=secret).status == 401


def test_a_key_for_llm_routes_alone_may_not_even_ask_about_itself(api: Api) -> None:
    _, secret = issue(allowed_routes=["llm_api_routes"])
    answer = api.get("/key/info", bearer=secret)
    assert answer.status == 403
    assert "not allowed to call this route" in answer.error["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/key/generate"), ("post", "/key/update"), ("post", "/key/delete"), ("post", "/key/block"),
        ("post", "/key/unblock"), ("get", "/key/list"), ("post", "/key/regenerate"), ("post", "/key/abc/regenerate"),
        ("post", "/team/new"), ("post", "/team/block"), ("post", "/team/unblock"),
        ("post", "/user/new"), ("get", "/health"),
    ],
)  # fmt: skip
def test_a_virtual_key_manages_nothing(api: Api, method: str, path: str) -> None:
    _, secret = issue()
    answer = getattr(api, method)(path, bearer=secret)
    assert answer.status == 401
    assert "Only proxy admin can be used to" in answer.error["message"]


def test_a_change_is_audited_under_the_id_of_the_master_key(api: Api) -> None:
    api.key()
    assert AuditEvent.objects.get(action="key.issued").actor == "default_user_id"


def test_a_change_is_audited_under_the_human_named_in_the_header(api: Api) -> None:
    api.post(
        "/key/generate",
        headers={"authorization": f"Bearer {settings.MASTER_KEY}", "litellm-changed-by": "ada@example.com"},
    )
    assert AuditEvent.objects.get(action="key.issued").actor == "ada@example.com"


def test_a_name_that_cannot_be_audited_is_refused(api: Api) -> None:
    answer = api.post(
        "/key/generate", headers={"authorization": f"Bearer {settings.MASTER_KEY}", "litellm-changed-by": "x" * 256}
    )
    assert (answer.status, answer.error["param"]) == (400, "litellm-changed-by")


@pytest.mark.parametrize(("error", "named"), [(OperationalError, "database"), (redis.RedisError, "counter store")])
def test_what_is_broken_is_named_in_a_503_and_never_401(api: Api, error: type[Exception], named: str) -> None:
    _, secret = issue()
    with mock.patch("gateway_project.api_auth.load_grants", side_effect=error("password=hunter2")):
        answer = api.get("/key/info", bearer=secret)
    assert (answer.status, answer.error["type"]) == (503, "no_db_connection")
    assert f"The {named} is not available" in answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert "hunter2" not in answer.text


def test_a_database_that_breaks_in_the_middle_is_503(api: Api) -> None:
    with mock.patch("keys.services.issue_key", side_effect=OperationalError("gone")):
        assert api.post("/key/generate").status == 503


def test_an_unforeseen_error_shows_nothing_of_the_inside(api: Api) -> None:
    with mock.patch("keys.services.issue_key", side_effect=RuntimeError("inside")):
        answer = api.post("/key/generate")
    assert (answer.status, answer.error["type"]) == (500, "internal_server_error")
    assert "inside" not in answer.text
    assert "Traceback" not in answer.text


def test_no_answer_may_be_stored_on_the_way(api: Api) -> None:
    assert api.post("/key/generate").headers["Cache-Control"] == "no-store"


def test_a_wrong_method_is_405_in_the_same_shape(api: Api) -> None:
    answer = api.get("/key/generate")
    assert (answer.status, answer.error["code"]) == (405, "405")


def test_the_configured_header_replaces_all_others(api: Api, settings: Any) -> None:
    settings.GATE_RULES = read_rules({"litellm_key_header_name": "X-Our-Key"})
    both = {"authorization": "Bearer of-somebody-else", "x-our-key": f"Bearer {settings.MASTER_KEY}"}
    assert api.get("/key/list", headers=both).status == 200
    assert api.get("/key/list", headers=both | {"x-our-key": settings.MASTER_KEY}).status == 401
    assert api.get("/key/list").status == 200


def test_a_key_of_a_deactivated_person_is_401_also_in_a_team(api: Api, search: Team) -> None:
    person = people.create_user(User(username="linus", email="linus@example.com"), actor=MASTER)
    secrets = [issue(user=person)[1], issue(user=person, team=search)[1]]
    assert {api.get("/key/info", bearer=secret).status for secret in secrets} == {200}
    person.is_active = False
    people.update_limits(person, actor=MASTER)
    for secret in secrets:
        answer = api.get("/key/info", bearer=secret)
        assert (answer.status, "deactivated" in answer.error["message"]) == (401, True)
    grants = load_grants(map(token_of, secrets)).values()
    assert {grant.owner_deactivated for grant in grants} == {True}
    assert all((person.scope, person.version) in [v for p in grant.chain for v in p.versions] for grant in grants)


def test_two_authorization_headers_are_refused_by_name(api: Api) -> None:
    one = f"Bearer {settings.MASTER_KEY}"
    answer = api.get("/key/list", headers={"authorization": f"{one},{one}"})
    assert (answer.status, "two Authorization headers" in answer.error["message"]) == (401, True)
