"""People and customers who were deleted and made anew under their id: reports know them as one."""

from decimal import Decimal
from typing import Any

import pytest

from keys.grants import Owners
from teams.models import Customer, Team, User
from tests.api.conftest import Api
from tests.api.spending import DAY, spend
from tests.factories import issue

NANO = Decimal("0.000000001")


@pytest.fixture
def anew(api: Api, linus: User) -> None:
    """Eve spent 4 and 3 as two, Linus 5; the customer of Eve's calls was made anew, too, that of Linus' was not."""
    spend(issue(user=linus)[0], 5, customer_id=_customer(api, "other"))
    for name, nano in (("before", 4), ("now", 3)):
        made = {"user_id": "eve", "user_alias": name, "user_email": "eve@example.com", "auto_create_key": False}
        assert api.post("/user/new", made).status == 200
        spend(issue(user=User.objects.live().get(public_id="eve"))[0], nano, customer_id=_customer(api, "acme"))
        if name == "before":
            assert api.post("/user/delete", {"user_ids": ["eve"]}).status == 200
            assert api.post("/customer/delete", {"user_ids": ["acme"]}).status == 200


def _customer(api: Api, public_id: str) -> int:
    assert api.post("/customer/new", {"user_id": public_id}).status == 200
    return Customer.objects.live().get(public_id=public_id).pk


def people(rows: Any) -> list[tuple[str, Decimal]]:
    return [(row["user_id"], row["spend"] / NANO) for row in rows]


@pytest.mark.parametrize("days", [{}, DAY])
def test_a_person_made_anew_is_one_row_where_the_sum_belongs(
    api: Api, anew: None, linus: User, days: dict[str, str]
) -> None:
    rows = api.get("/spend/users", days).json
    assert people(rows) == [("eve", 7), (linus.public_id, 5)]
    assert (rows[0]["user_alias"], rows[0]["api_requests"], rows[0]["total_tokens"]) == ("now", 2, 24)


def test_a_person_who_leads_brings_along_what_an_earlier_one_spent(api: Api, anew: None) -> None:
    spend(issue(user=User.objects.live().get(public_id="eve"))[0], 100)
    assert people(api.get("/spend/users", {"limit": 1}).json) == [("eve", 107)]
    assert people(api.get("/spend/users", DAY | {"limit": 1}).json) == [("eve", 107)]


def test_what_a_person_made_anew_spent_on_a_model_is_one_row(api: Api, anew: None, linus: User) -> None:
    rows = api.get("/user/spend/report", DAY).json
    assert [(row["user_id"], row["total_cost"] / NANO) for row in rows] == [("eve", 7), (linus.public_id, 5)]
    [model] = rows[0]["model_details"]
    assert (model["total_cost"], rows[0]["total_output_tokens"]) == (7 * NANO, model["total_output_tokens"])


def test_a_customer_made_anew_is_one_row_and_one_name(api: Api, anew: None) -> None:
    rows = api.post("/global/spend/end_users", {"startTime": "2026-03-01", "endTime": "2026-03-31"}).json
    found = [(row["end_user"], row["total_spend"] / NANO, row["total_count"]) for row in rows]
    assert found == [("acme", 7, 2), ("other", 5, 1)]
    assert api.get("/global/all_end_users").json == {"end_users": ["acme", "other"]}


def test_a_team_counts_a_person_made_anew_once(api: Api, anew: None, search: Team) -> None:
    key, _ = issue(team=search)
    for nano, eve in enumerate(User.objects.filter(public_id="eve").order_by("pk"), 1):
        spend(key, nano, owners=Owners(key.organization_id, key.pk, search.pk, None, eve.pk))
    found = api.get("/team/spend/by_user", DAY | {"team_id": search.public_id}).json
    assert [(row["user_id"], row["total_spend"] / NANO) for row in found["results"]] == [("eve", 3)]
    assert found["total_spend"] == 3 * NANO
