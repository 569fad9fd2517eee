"""What a limited member of a team may spend holds over the keys of programs that the member makes, too."""

from tests.gateway.running import Running, eventually
from tests.gateway.test_budgets import COST
from tests.gateway.test_models import refused, unique
from tests.gateway.upstream import Books

ROBOT = "/key/service-account/generate"


def test_keys_of_programs_share_the_budget_of_the_member_who_made_them(latchkey: Running, books: Books) -> None:
    team, user = latchkey.manage("POST", "/team/new", json={"team_alias": unique("team")})["team_id"], unique("person")
    who = {"team_id": team, "user_id": user}
    member = {"user_id": user, "role": "user"}
    latchkey.manage("POST", "/team/member_add", json={"team_id": team, "member": member})
    permissions = {"team_id": team, "team_member_permissions": [ROBOT]}
    latchkey.manage("POST", "/team/permissions_update", json=permissions)
    own = {"authorization": f"Bearer {latchkey.new_key(user_id=user)}"}
    made = [latchkey.http.post(ROBOT, json={"team_id": team}, headers=own).json() for _ in range(2)]
    robots = [str(one["key"]) for one in made]
    assert [latchkey.chat(key).status_code for key in robots] == [200, 200]
    latchkey.manage("POST", "/team/member_update", json={**who, "max_budget_in_team": 5 * COST / 10**9})
    answers = [latchkey.chat(key) for _ in range(3) for key in robots]
    assert books.total_nano <= 5 * COST
    told = next(answer for answer in answers if answer.status_code != 200)
    assert refused(told, 429) == "budget_exceeded" and "TeamMember=" in told.text
    latchkey.manage("POST", "/team/member_delete", json=who)
    eventually(lambda: [latchkey.chat(key).status_code for key in robots] == [200, 200], 5)
