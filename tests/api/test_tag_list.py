"""GET /tag/list between two dates: tags that were made, tags that calls named then, and what was spent then."""

from datetime import timedelta
from decimal import Decimal

import pytest

from keys.loading import load_tags
from keys.models import VirtualKey
from teams import tags_api
from teams.models import Tag
from tests.api.conftest import Api
from tests.api.people import organization_of
from tests.api.spending import DAY, spend
from tests.factories import NOON, issue

#: What each call costs, in nano-USD.
CENT = 10**7


@pytest.fixture
def key(api: Api) -> VirtualKey:
    key = issue()[0]
    load_tags(key.organization_id, ["seen", "later", "gone"])
    api.post("/tag/new", {"name": "made", "max_budget": 5})
    api.post("/tag/new", {"name": "idle"})
    for tags, at in ((("seen", "made"), NOON), (("seen",), NOON), (("gone",), NOON)):
        spend(key, CENT, at=at, tags=tags)
    spend(key, CENT, at=NOON + timedelta(days=1), tags=("later", "made"))
    api.post("/tag/delete", {"name": "gone"})
    return key


def spent(api: Api, **query: str) -> dict[str, Decimal]:
    answer = api.get("/tag/list", query)
    assert answer.status == 200, answer.text
    return {row["name"]: row["spend"] * 100 for row in answer.json}


def test_days_choose_among_the_tags_that_calls_named(api: Api, key: VirtualKey) -> None:
    assert spent(api, **DAY) == {"gone": 1, "idle": 0, "made": 1, "seen": 2}
    next_day = {"start_date": "2026-03-11", "end_date": "2026-03-11"}
    assert spent(api, **next_day) == {"idle": 0, "later": 1, "made": 1}
    assert spent(api, start_date="2026-03-10", end_date="2026-03-11")["made"] == 2
    assert spent(api, start_date="2025-01-01", end_date="2025-01-02") == {"idle": 0, "made": 0}
    (made,) = (row for row in api.get("/tag/list", DAY).json if row["name"] == "made")
    assert (made["max_budget"], made["litellm_budget_table"]["max_budget"]) == (5, 5)
    assert spent(api).keys() == {"idle", "later", "made", "seen"}


def test_tags_of_the_same_name_are_told_apart_by_their_organization(api: Api, key: VirtualKey) -> None:
    north = organization_of("north")
    load_tags(north.pk, ["seen"])
    spend(issue(organization=north)[0], 5 * CENT, tags=("seen",))
    assert spent(api, **DAY, organization_id="north") == {"seen": 5}
    shown = [(row["organization_id"], row["spend"] * 100) for row in api.get("/tag/list", DAY).json]
    assert {("north", 5), (None, 2)} < set(shown)


def test_where_there_are_too_many_the_dearest_are_shown(
    api: Api, key: VirtualKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags_api, "MOST", 3)
    assert spent(api, **DAY) == {"idle": 0, "made": 1, "seen": 2}


def test_what_calls_are_the_first_to_name_is_made_once_somebody_changes_it(api: Api, key: VirtualKey) -> None:
    assert Tag.objects.filter(name="later").exists()
    api.post("/tag/update", {"name": "later", "description": "by hand"})
    assert spent(api, **DAY)["later"] == 0


def test_what_only_calls_have_named_may_be_made_once(api: Api, key: VirtualKey) -> None:
    made = api.post("/tag/new", {"name": "seen", "description": "by hand", "max_budget": 5})
    assert (made.status, made.json["message"]) == (200, "Tag seen created successfully")
    again = api.post("/tag/new", {"name": "seen", "max_budget": 9})
    assert (again.status, again.json["detail"]["error"]) == (400, "name: Tag seen already exists")
    assert api.post("/tag/info", {"names": ["seen"]}).json["seen"]["max_budget"] == 5


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (DAY | {"start_date": "yesterday"}, "start_date"), ({"end_date": "2026-03-10"}, "start_date"),
        (DAY | {"end_date": "2026-03-40"}, "end_date"), ({"start_date": "2026-03-10"}, "end_date"),
        (DAY | {"end_date": "2026-03-09"}, "end_date"),
        (DAY | {"organization_id": "nowhere"}, "organization_id"),
    ],
)  # fmt: skip
def test_a_bad_query_names_its_field(api: Api, query: dict[str, str], field: str) -> None:
    answer = api.get("/tag/list", query)
    assert (answer.status, answer.told.split(":")[0]) == (400, field)
