"""PATCH /team/{team_id}: metadata is changed member by member, as RFC 7396 has it."""

from typing import Any

import pytest

from teams import services
from teams.actors import MASTER, SYSTEM
from teams.callers import Caller
from teams.models import Tag, Team, User
from teams.reach import MASTER_ROLE
from teams.scope_serializers import TeamPatchSerializer, patched
from tests.api.conftest import Api
from tests.api.people import key_of


def make(api: Api, **fields: Any) -> None:
    answer = api.post("/team/new", {"team_id": "t", **fields})
    assert answer.status == 200, answer.text


def patch(api: Api, **body: Any) -> dict[str, Any]:
    """The team's row afterwards."""
    answer = api.patch("/team/t", body)
    assert (answer.status, answer.json.keys()) == (200, {"team_id", "data"}), answer.text
    row: dict[str, Any] = answer.json["data"]
    return row


@pytest.mark.parametrize(
    ("stored", "sent", "left"),
    [
        ({"a": 1, "b": 2}, {"a": None, "c": 3}, {"b": 2, "c": 3}),
        ({"a": {"b": 1, "c": {"d": 2, "e": 3}}}, {"a": {"b": None, "c": {"d": 4}}}, {"a": {"c": {"d": 4, "e": 3}}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"b": {"c": None}}, {"a": 1, "b": {}}),
        ({"a": 1}, None, {}),
    ],
)
def test_a_patch_changes_only_what_it_names_in_metadata(
    api: Api, stored: dict[str, Any], sent: Any, left: dict[str, Any]
) -> None:
    make(api, metadata=stored)
    assert patch(api, metadata=sent)["metadata"] == left
    assert Team.objects.get(public_id="t").metadata == left


def test_a_patch_without_metadata_leaves_it_alone(api: Api) -> None:
    make(api, metadata={"a": 1})
    assert patch(api, rpm_limit=60)["metadata"] == {"a": 1}


@pytest.mark.parametrize("send", ["post", "patch"])
def test_team_update_goes_on_replacing_metadata(api: Api, send: str) -> None:
    make(api, metadata={"a": 1, "b": 2})
    answer = getattr(api, send)("/team/update", {"team_id": "t", "metadata": {"c": 3}})
    assert answer.json["data"]["metadata"] == {"c": 3}


def test_patches_that_were_begun_at_the_same_time_are_all_kept(search: Team) -> None:
    early, late = Team.objects.get(pk=search.pk), Team.objects.get(pk=search.pk)
    admin = Caller(MASTER, MASTER_ROLE)
    patched(early, TeamPatchSerializer, {"metadata": {"a": 1, "in": {"b": 2}}}, admin)
    patched(late, TeamPatchSerializer, {"metadata": {"c": 3, "in": {"d": 4}}}, admin)
    assert Team.objects.get(pk=search.pk).metadata == {"a": 1, "in": {"b": 2, "d": 4}, "c": 3}


@pytest.mark.parametrize("metadata", [[], "x", 7])
def test_metadata_that_is_no_object_is_refused(api: Api, metadata: Any) -> None:
    make(api, metadata={"a": 1})
    answer = api.patch("/team/t", {"metadata": metadata})
    assert (answer.status, answer.fault) == (422, "metadata")
    assert Team.objects.get(public_id="t").metadata == {"a": 1}


def test_tags_stay_until_a_patch_names_them(api: Api) -> None:
    make(api, tags=["one"], metadata={"a": 1})
    assert patch(api, metadata={"a": None})["metadata"] == {"tags": ["one"]}
    assert patch(api, metadata=None)["metadata"] == {"tags": ["one"]}
    assert patch(api, tags=["two"], metadata={"b": 2, "tags": None})["metadata"] == {"b": 2, "tags": ["two"]}
    assert patch(api, metadata={"tags": None})["metadata"] == {"b": 2}


def test_a_team_admin_takes_no_limited_tag_off_by_a_patch(api: Api, search: Team, grace: User) -> None:
    tag = Tag(name="cost", organization=search.organization, max_budget_nano=1)
    services.create_tag(tag, actor=SYSTEM)
    path, secret = f"/team/{search.public_id}", key_of(grace)
    assert api.patch(path, {"tags": ["cost"]}).status == 200
    refused = api.patch(path, {"metadata": {"tags": None}}, bearer=secret)
    assert (refused.status, refused.error["param"]) == (403, "tags")
    assert api.patch(path, {"metadata": {"note": "x"}}, bearer=secret).status == 200


def test_rates_of_models_are_patched_where_they_are_shown_and_kept_outside(api: Api) -> None:
    make(api, model_rpm_limit={"m": 5, "n": 6}, model_max_budget={"m": {"budget_limit": 1}}, metadata={"a": 1})
    row = patch(api, metadata={"model_rpm_limit": {"m": None, "o": 7}})
    assert row["metadata"] == {"a": 1, "model_rpm_limit": {"n": 6, "o": 7}}
    assert row["model_max_budget"].keys() == {"m"}
    assert patch(api, metadata={"model_rpm_limit": None})["metadata"] == {"a": 1}
    assert Team.objects.get(public_id="t").metadata == {"a": 1}
    wrong = api.patch("/team/t", {"metadata": {"model_rpm_limit": "x"}})
    assert (wrong.status, wrong.fault) == (422, "model_rpm_limit")


def test_secrets_of_callbacks_are_not_kept_by_a_patch(api: Api) -> None:
    make(api, metadata={"callback_settings": {"callback_vars": {"langfuse_public_key": "pk"}}})
    row = patch(api, metadata={"callback_settings": {"callback_vars": {"langfuse_secret_key": "sk-private"}}})
    kept = {"langfuse_public_key": "pk", "langfuse_secret_key": "********"}
    assert row["metadata"] == {"callback_settings": {"callback_vars": kept}}


@pytest.mark.parametrize(("sent", "status"), [("other", 400), ("", 400), (7, 422)])
def test_another_team_in_the_body_than_in_the_path_is_refused(api: Api, sent: Any, status: int) -> None:
    make(api)
    api.post("/team/new", {"team_id": "other"})
    answer = api.patch("/team/t", {"team_id": sent, "team_alias": "new"})
    assert (answer.status, answer.fault) == (status, "team_id")
    assert not Team.objects.filter(name="new").exists()
    assert patch(api, team_id="t", team_alias="new")["team_alias"] == "new"
