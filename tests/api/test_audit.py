"""/audit: who changed what, in the words that clients know, for platform admins alone, and free of secrets."""

from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings

from keys.secrets import token_of
from proxy import services
from teams.models import Team, User
from tests.api.conftest import Api
from tests.api.test_models import NEW, SECRET
from tests.factories import issue


def logs(api: Api, **query: Any) -> list[dict[str, Any]]:
    answer = api.get("/audit", {"page_size": 100, **query})
    assert answer.status == 200, answer.text
    rows: list[dict[str, Any]] = answer.json["audit_logs"]
    return rows


def test_the_life_of_a_key_is_told_in_the_words_of_clients(api: Api) -> None:
    key = api.key(key_alias="watched")
    body = {"key": key["key"]}
    for path in ("/key/block", "/key/unblock", "/key/regenerate", "/key/update"):
        answer = api.post(path, body | ({"metadata": {"a": 1}} if path == "/key/update" else {}))
        assert answer.status == 200, answer.text
        body = {"key": answer.json.get("key", body["key"])} if path == "/key/regenerate" else body
    api.post("/key/delete", {"keys": [body["key"]]})
    rows = [row for row in logs(api) if row["table_name"] == "LiteLLM_VerificationToken"]
    assert [row["action"] for row in reversed(rows)] == [
        "created", "blocked", "unblocked", "rotated", "updated", "deleted",
    ]  # fmt: skip
    newest = rows[0]
    assert newest["object_id"] == token_of(body["key"])
    assert (newest["changed_by"], newest["changed_by_api_key"]) == ("default_user_id", token_of(settings.MASTER_KEY))
    update = next(row for row in rows if row["action"] == "updated")
    assert (update["before_value"]["metadata"], update["updated_values"]["metadata"]) == ({}, {"a": 1})
    assert key["key"] not in str(rows)
    # Before it was regenerated it had another hash, by which its trail is found as well, whole and under one name.
    for named in (token_of(key["key"]), newest["object_id"]):
        assert logs(api, object_id=named) == rows
    assert {row["object_id"] for row in rows} == {newest["object_id"]}


def test_values_are_told_in_the_words_and_units_of_the_api(api: Api, ada: User, search: Team) -> None:
    api.post("/budget/new", {"budget_id": "house", "max_budget": 50})
    limits = {
        "max_budget": 25.5, "model_max_budget": {"gpt-4o": {"budget_limit": 2, "time_period": "1d"}},
        "budget_limits": [{"budget_duration": "1d", "max_budget": 3}], "model_rpm_limit": {"gpt-4o": 7},
    }  # fmt: skip
    key = api.key(key_alias="told", models=["gpt-4o"], team_id=search.public_id, user_id=ada.public_id, **limits)
    api.post("/key/update", {"key": key["key"], "max_budget": 30, "budget_id": "house", "duration": "9d"})
    updated, made = logs(api, table_name="LiteLLM_VerificationToken")
    values = made["updated_values"]
    assert {name: values[name] for name in limits} == limits | {"max_budget": Decimal("25.5")}
    assert [values[name] for name in ("key_alias", "models", "team_id", "user_id")] == [
        "told", ["gpt-4o"], search.public_id, ada.public_id,
    ]  # fmt: skip
    assert (updated["before_value"]["max_budget"], updated["updated_values"]["max_budget"]) == (Decimal("25.5"), 30)
    assert (updated["before_value"]["budget_id"], updated["updated_values"]["budget_id"]) == (None, "house")
    assert updated["updated_values"]["expires"].startswith("20")
    assert not {"id", "alias", "allowed_models", "shared_budget_id", "model_limits"} & values.keys()
    assert "_nano" not in str(logs(api))


def test_the_human_behind_a_key_is_named(api: Api, ada: User) -> None:
    key, secret = issue(user=ada)
    api.post("/team/new", {"team_alias": "hers"}, bearer=secret)
    api.post("/team/new", {"team_alias": "his"}, headers={
        "authorization": f"Bearer {settings.MASTER_KEY}", "litellm-changed-by": "brian@example.com",
    })  # fmt: skip
    his, hers = logs(api, table_name="LiteLLM_TeamTable")
    assert (his["changed_by"], his["changed_by_api_key"]) == ("brian@example.com", token_of(settings.MASTER_KEY))
    assert (hers["changed_by"], hers["changed_by_api_key"]) == (ada.public_id, key.token)
    assert [row["id"] for row in logs(api, table_name="LiteLLM_TeamTable", changed_by=ada.public_id)] == [hers["id"]]
    assert [row["id"] for row in logs(api, table_name="LiteLLM_TeamTable", changed_by="brian@example.com")] == [
        his["id"]
    ]
    assert [row["id"] for row in logs(api, table_name="LiteLLM_TeamTable", changed_by_api_key=key.token)] == [
        hers["id"]
    ]


def test_models_and_their_secrets(api: Api) -> None:
    services.sync_providers()
    api.post("/model/new", NEW)
    api.post("/model/delete", {"id": "house-1"})
    rows = logs(api, table_name="LiteLLM_ProxyModelTable")
    assert [(row["action"], row["object_id"]) for row in rows] == [("deleted", "house-1"), ("created", "house-1")]
    assert rows[0]["before_value"]["upstream_model"] == "house-model"
    assert SECRET not in str(logs(api))


def test_pages_filters_and_order(api: Api, search: Team) -> None:
    for number in range(3):
        api.post("/team/new", {"team_alias": f"t{number}"})
    first = api.get("/audit", {"page": 1, "page_size": 2, "table_name": "LiteLLM_TeamTable"}).json
    assert {k: v for k, v in first.items() if k != "audit_logs"} == {
        "total": 4,
        "page": 1,
        "page_size": 2,
        "total_pages": 2,
    }
    oldest = logs(api, table_name="LiteLLM_TeamTable", sort_order="asc")[0]
    assert oldest["object_id"] == search.public_id
    assert logs(api, object_id=search.public_id) == [oldest]
    assert logs(api, action="deleted") == []
    assert len(logs(api, action="created", table_name="LiteLLM_TeamTable")) == 4
    assert logs(api, action="nonsense") == []
    assert logs(api, end_date="2020-01-01") == []
    assert len(logs(api, end_date="9999-12-31", table_name="LiteLLM_TeamTable")) == 4
    assert len(logs(api, start_date="2020-01-01 00:00:00", table_name="LiteLLM_TeamTable")) == 4
    one = api.get(f"/audit/{oldest['id']}")
    assert one.json == oldest


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"page": "0"}, 422), ({"page_size": "x"}, 422), ({"sort_by": "mood"}, 400), ({"sort_order": "up"}, 400),
        ({"start_date": "soon"}, 400),
    ],
)  # fmt: skip
def test_a_bad_parameter_is_named(api: Api, query: dict[str, str], status: int) -> None:
    answer = api.get("/audit", query)
    assert answer.status == status
    assert next(iter(query)) in answer.told


@pytest.mark.parametrize("event", ["0", "x", "9" * 30])
def test_an_unknown_event_is_404(api: Api, event: str) -> None:
    assert api.get(f"/audit/{event}").status == 404


def test_the_trail_is_for_admins_and_read_only_admins(api: Api, grace: User, ada: User) -> None:
    _, secret = issue(user=grace)
    assert api.get("/audit", bearer=secret).status == 401
    User.objects.filter(pk=ada.pk).update(role=User.Role.PROXY_ADMIN_VIEWER, is_superuser=False)
    _, viewer = issue(user=ada)
    assert api.get("/audit", bearer=viewer).status == 200
