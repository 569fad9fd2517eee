"""What the configuration file fills in is narrowed to what the caller has; what a request states is refused."""

from decimal import Decimal
from typing import Any

import pytest

from keys.key_rules import read_key_rules
from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, person
from tests.factories import issue

DEFAULTS = {"max_budget": 1.5, "duration": "10d", "models": ["fake-chat"], "tpm_limit": 1000, "rpm_limit": 20,
            "budget_duration": "1d"}  # fmt: skip
MONTHLY = {"max_budget": 200, "budget_duration": "30d"}


@pytest.fixture
def defaults(settings: Any) -> None:
    settings.KEY_RULES = read_key_rules({}, {"default_key_generate_params": DEFAULTS})


def made_with(api: Api, bearer: str, **body: object) -> dict[str, Any]:
    answer = api.post("/key/generate", body, bearer=bearer)
    assert answer.status == 200, answer.text
    made: dict[str, Any] = answer.json
    return made


def test_a_key_that_was_filled_makes_others_by_the_same_words(api: Api, defaults: None) -> None:
    first = made_with(api, key_of(person("mia")))
    second = made_with(api, first["key"])
    for name in ("expires", "max_budget", "budget_duration", "models", "tpm_limit", "rpm_limit"):
        assert second[name] == first[name], name


@pytest.mark.parametrize(
    ("limits", "name", "value"),
    [
        ({"max_budget_nano": 10**9}, "max_budget", 1),
        ({"rpm_limit": 5}, "rpm_limit", 5),
        ({"tpm_limit": 10}, "tpm_limit", 10),
        ({"allowed_models": ["tagged"]}, "models", ["tagged"]),
        ({"max_budget_nano": 5 * 10**9, "budget_duration": "30d"}, "budget_duration", "30d"),
    ],
)
def test_a_default_beyond_the_calling_key_is_narrowed_to_it(
    api: Api, defaults: None, limits: dict[str, Any], name: str, value: object
) -> None:
    bearer = issue(user=person("mia"), **limits)[1]
    assert made_with(api, bearer)[name] == value
    stated = DEFAULTS[name]
    assert api.post("/key/generate", {name: stated}, bearer=bearer).status == 400


def test_a_default_beyond_a_person_or_a_team_is_narrowed_to_them(api: Api, defaults: None, search: Team) -> None:
    poor = person("mia", max_budget_nano=10**9)
    assert made_with(api, key_of(poor))["max_budget"] == 1
    lead = person("lead")
    services.add_member(Membership(team=search, user=lead, role="admin"), actor=SYSTEM)
    Team.objects.filter(pk=search.pk).update(max_budget_nano=10**9, allowed_models=["tagged"])
    made = made_with(api, key_of(lead), team_id=search.public_id)
    assert (made["max_budget"], made["models"]) == (1, [])


def test_a_stated_end_takes_the_place_of_the_default_duration(api: Api, defaults: None) -> None:
    assert api.key(expires="2126-12-31")["expires"].startswith("2126-12-31")


def test_a_key_with_more_than_its_owner_has_makes_keys_within_the_owner(api: Api, settings: Any) -> None:
    settings.KEY_RULES = read_key_rules({}, {"upperbound_key_generate_params": {"max_budget": 100, "rpm_limit": 50}})
    first = api.post("/user/new", {"user_id": "mia", "max_budget": 7, "budget_duration": "30d"}).json["key"]
    made = made_with(api, first)
    assert (made["max_budget"], made["budget_duration"], made["rpm_limit"]) == (Decimal(7), "30d", 50)
    User.objects.filter(public_id="mia").update(max_budget_nano=2 * 10**9)
    assert made_with(api, made["key"])["max_budget"] == 2
    assert api.post("/key/generate", {"max_budget": 3}, bearer=first).status == 400


@pytest.mark.parametrize(
    "limits", [{"max_budget": 5}, {"max_budget": 5, "budget_duration": "60d"}, {"max_budget": 500}]
)
def test_a_bound_of_the_duration_holds_for_whoever_has_a_longer_one(
    api: Api, settings: Any, limits: dict[str, Any]
) -> None:
    settings.KEY_RULES = read_key_rules({}, {"upperbound_key_generate_params": MONTHLY})
    first = api.post("/user/new", {"user_id": "mia", **limits})
    assert first.status == 200, first.text
    top = min(200, limits["max_budget"])
    for made in (api.key(user_id="mia"), made_with(api, first.json["key"])):
        assert (made["max_budget"], made["budget_duration"]) == (top, "30d")
    assert made_with(api, first.json["key"], max_budget=3)["max_budget"] == 3


def test_members_with_a_budget_make_keys_under_a_bound_of_the_duration(api: Api, settings: Any, search: Team) -> None:
    settings.KEY_RULES = read_key_rules({}, {"upperbound_key_generate_params": MONTHLY})
    mia = person("mia")
    services.add_member(Membership(team=search, user=mia, max_budget_nano=5 * 10**9), actor=SYSTEM)
    services.grant_to_members(search, ["/key/generate"], actor=SYSTEM)
    for body in ({}, {"max_budget": 3}):
        made = made_with(api, key_of(mia), team_id=search.public_id, **body)
        assert (made["max_budget"], made["budget_duration"]) == (body.get("max_budget", 5), "30d")
