"""What one person may spend in an organization holds over all keys that the person has there."""

from concurrent.futures import ThreadPoolExecutor

from tests.gateway.running import Running, eventually
from tests.gateway.test_budgets import COST
from tests.gateway.test_models import refused, unique
from tests.gateway.upstream import Books, say

LIMIT = "max_budget_in_organization"


def _keys(latchkey: Running, **limits: float) -> tuple[dict[str, str], list[str]]:
    """A person's place, and two keys of that person there: a personal one, and one of a team."""
    organization = latchkey.manage("POST", "/organization/new", json={"organization_alias": "P"})["organization_id"]
    who = {"organization_id": organization, "user_id": unique("person")}
    member = {"user_id": who["user_id"], "role": "internal_user"}
    latchkey.manage("POST", "/organization/member_add", json={**who, "member": member, **limits})
    team = latchkey.manage("POST", "/team/new", json={"organization_id": organization})["team_id"]
    latchkey.manage("POST", "/team/member_add", json={"team_id": team, "member": {**member, "role": "user"}})
    return who, [latchkey.new_key(user_id=who["user_id"]), latchkey.new_key(user_id=who["user_id"], team_id=team)]


def test_no_number_of_calls_by_keys_of_one_person_gets_past_it(latchkey: Running, books: Books) -> None:
    limit = 10 * COST / 10**9 + 0.0001
    who, keys = _keys(latchkey, **{LIMIT: limit})
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda n: latchkey.chat(keys[n % 2], messages=say(delay=0.05)), range(60)))
    served = [answer for answer in answers if answer.status_code == 200]
    told = next(answer for answer in answers if answer.status_code != 200)
    assert refused(told, 429) == "budget_exceeded" and "OrganizationMember=" in told.text
    assert f"org member '{who['user_id']} in P'" in told.text
    spent = sum(amount for key in keys for (amount,) in latchkey.key_rows(key))
    assert spent == len(served) * COST == books.total_nano
    assert 8 <= len(served) <= 10
    [row] = latchkey.manage("GET", "/organization/info", params={"organization_id": who["organization_id"]})["members"]
    assert (round(row["spend"] * 10**9), round(row[LIMIT], 9)) == (books.total_nano, round(limit, 9))


def test_a_limit_that_is_set_or_left_behind_counts_at_once(latchkey: Running, books: Books) -> None:
    who, keys = _keys(latchkey)
    assert [latchkey.chat(key).status_code for key in keys] == [200, 200]
    latchkey.manage("PATCH", "/organization/member_update", json={**who, LIMIT: COST / 10**9})
    assert [refused(latchkey.chat(key), 429) for key in keys] == ["budget_exceeded"] * 2
    latchkey.manage("DELETE", "/organization/member_delete", json=who)
    eventually(lambda: [latchkey.chat(key).status_code for key in keys] == [200, 200], 1)
    member = {"user_id": who["user_id"], "role": "internal_user"}
    latchkey.manage("POST", "/organization/member_add", json={**who, "member": member, LIMIT: 0})
    assert [refused(latchkey.chat(key), 429) for key in keys] == ["budget_exceeded"] * 2


def test_a_member_from_elsewhere_is_held_there_too(latchkey: Running, books: Books) -> None:
    organization = latchkey.manage("POST", "/organization/new", json={"organization_alias": "G"})["organization_id"]
    user = latchkey.manage("POST", "/user/new", json={"auto_create_key": False, "max_budget": 0})["user_id"]
    who = {"organization_id": organization, "user_id": user}
    member = {"user_id": user, "role": "internal_user"}
    latchkey.manage("POST", "/organization/member_add", json={**who, "member": member, LIMIT: 1.5 * COST / 10**9})
    key = latchkey.new_key(**who)
    assert latchkey.chat(key).status_code == 200
    assert refused(latchkey.chat(key), 429) == "budget_exceeded"
    assert books.total_nano == COST
