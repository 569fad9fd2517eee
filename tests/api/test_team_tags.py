"""Tags of a team: every call of its keys has them."""

from keys.loading import load_grants
from tests.api.conftest import Api


def test_calls_of_a_team_have_the_tags_of_key_and_team(api: Api) -> None:
    team = api.post("/team/new", {"tags": ["cost-1", "both"], "metadata": {"a": 1}}).json
    assert team["metadata"] == {"a": 1, "tags": ["cost-1", "both"]}
    token = api.key(team_id=team["team_id"], tags=["own", "both"])["token"]
    assert load_grants([token])[token].tags == ("own", "both", "cost-1")
    api.post("/team/update", {"team_id": team["team_id"], "tags": ["cost-2"]})
    assert load_grants([token])[token].tags == ("own", "both", "cost-2")


def test_tags_of_a_team_are_shown_beside_its_metadata_too(api: Api) -> None:
    made = api.post("/team/new", {"team_id": "t", "tags": ["cost-1"]}).json
    assert made["tags"] == made["metadata"]["tags"] == ["cost-1"]
    changed = api.post("/team/update", {"team_id": "t", "tags": ["cost-2"]}).json["data"]
    assert changed["tags"] == api.get("/team/info", {"team_id": "t"}).json["team_info"]["tags"] == ["cost-2"]
    assert api.post("/team/new", {"metadata": {"tags": {"not": "a list"}}}).json["tags"] == []


def test_tags_that_are_none_are_refused_and_foreign_shapes_in_metadata_ignored(api: Api) -> None:
    assert api.post("/team/new", {"tags": "one"}).status == 422
    team = api.post("/team/new", {"metadata": {"tags": {"not": "a list"}}}).json["team_id"]
    token = api.key(team_id=team)["token"]
    assert load_grants([token])[token].tags == ()
