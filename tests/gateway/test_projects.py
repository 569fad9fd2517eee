"""A project's limits hold at every call of its keys."""

from tests.gateway.running import Running, eventually
from tests.gateway.test_models import refused, unique
from tests.gateway.upstream import Books


def project(latchkey: Running, **fields: object) -> str:
    team = latchkey.manage("POST", "/team/new", json={"team_alias": unique("team"), "max_budget": 50})["team_id"]
    made: str = latchkey.manage("POST", "/project/new", json={"team_id": team, **fields})["project_id"]
    return made


def test_the_budget_of_a_project_is_a_ceiling_for_all_its_keys_together(latchkey: Running, books: Books) -> None:
    # A call may cost 0.0007 USD at most, and costs 0.000225.
    name = project(latchkey, project_alias="Handbook", max_budget=0.001)
    one, two = latchkey.new_key(project_id=name), latchkey.new_key(project_id=name)
    answers = [latchkey.chat(key) for _ in range(6) for key in (one, two)]
    passed = [answer for answer in answers if answer.status_code == 200]
    assert 0 < len(passed) < 12
    told = next(answer for answer in answers if answer.status_code != 200)
    assert refused(told, 429) == "budget_exceeded"
    assert "Project=" in told.text and "Handbook" in told.text
    rows = latchkey.key_rows(one) + latchkey.key_rows(two)
    assert sum(amount for (amount,) in rows) == books.total_nano <= 1_000_000
    row = latchkey.manage("GET", "/project/info", params={"project_id": name})
    assert round(row["spend"] * 10**9) == books.total_nano


def test_models_rates_and_blocking_of_a_project_hold_within_a_second(latchkey: Running, books: Books) -> None:
    name = project(latchkey, models=["gpt-books"], rpm_limit=2)
    key = latchkey.new_key(project_id=name)
    assert refused(latchkey.chat(key, model="gpt-free"), 403) == "project_model_access_denied"
    told = latchkey.chat(key)
    assert told.headers["x-ratelimit-project-limit-requests"] == "2"
    assert latchkey.chat(key).status_code == 200
    assert refused(latchkey.chat(key), 429) == "rate_limit_error"
    latchkey.manage("POST", "/project/update", json={"project_id": name, "rpm_limit": None, "blocked": True})
    assert refused(latchkey.chat(key), 401) == "auth_error"
    latchkey.manage("POST", "/project/update", json={"project_id": name, "blocked": False})
    eventually(lambda: latchkey.chat(key).status_code == 200, 1)
    latchkey.manage("DELETE", "/project/delete", json={"project_ids": [name]})
    assert latchkey.chat(key).status_code == 401
