"""What a caller is told who has spent too much or calls too often: whose limit, how much, until when, who can help."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keys.secrets import token_of
from tests.gateway.running import Running
from tests.gateway.test_limits import ONE_CALL, SCOPES
from tests.gateway.upstream import Books

SAYS = {
    "key": "Budget has been exceeded! Key=",
    "place": "Budget has been exceeded! OrganizationMember=",
    "team": "Budget has been exceeded! Team=",
    "member": "Budget has been exceeded! TeamMember=",
    "user": "Budget has been exceeded! ExceededBudget: User=",
    "customer": "Budget has been exceeded! ExceededBudget: End User=",
    "tag": "Budget has been exceeded! Tag=",
    "organization": "Budget has been exceeded! Organization=",
}
HIDDEN = {"customer", "tag", "organization"}
RATED = {
    "key": "api_key", "team": "team", "member": "team_member", "user": "user", "customer": "end_user", "tag": "tag",
    "organization": "organization", "place": "organization_member",
}  # fmt: skip


def _error(latchkey: Running, key: str, **named: Any) -> tuple[dict[str, Any], Any]:
    answer = latchkey.chat(key, **named)
    assert answer.status_code == 429, answer.text
    return answer.json()["error"], answer.headers


@pytest.mark.parametrize("scope", SCOPES)
def test_a_budget_names_its_scope_its_end_and_who_can_raise_it(latchkey: Running, books: Books, scope: str) -> None:
    key, named = SCOPES[scope](latchkey, {"max_budget": ONE_CALL, "budget_duration": "30d"})
    assert latchkey.chat(key, **named).status_code == 200
    latchkey.key_rows(key)
    error, headers = _error(latchkey, key, **named)
    message = error["message"]
    assert (error["type"], error["code"], headers["x-should-retry"]) == ("budget_exceeded", "429", "false")
    assert message.startswith(SAYS[scope])
    assert re.search(r"Its window ends at \d{4}-\d\d-01T00:00:00", message)
    assert "platform admin to raise the budget" in message
    amounts = "Current cost: 0.000225, Max budget: 0.0003375"
    assert (amounts in message) is (scope not in HIDDEN)
    assert ("0.0003375" in message) is (scope not in HIDDEN)


def test_of_several_windows_the_one_that_is_full_is_named(latchkey: Running, books: Books) -> None:
    windows = [{"budget_duration": "1h", "max_budget": 1}, {"budget_duration": "1d", "max_budget": 0.000001}]
    key = latchkey.new_key(budget_limits=windows)
    assert "over 1d budget" in _error(latchkey, key)[0]["message"]


def test_the_budget_of_one_model_is_named_with_the_model(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(model_max_budget={"gpt-b*": {"budget_limit": 0.000001, "time_period": "1d"}})
    message = _error(latchkey, key)[0]["message"]
    assert f"Key={token_of(key)}, Model=gpt-b*" in message


@pytest.mark.parametrize("scope", SCOPES)
def test_a_rate_names_its_scope_and_its_end(latchkey: Running, books: Books, scope: str) -> None:
    key, named = SCOPES[scope](latchkey, {"rpm_limit": 0})
    error, headers = _error(latchkey, key, **named)
    assert re.match(
        rf"Rate limit exceeded for {RATED[scope]}: \S+. Limit type: requests. Current limit: 0, Remaining: 0. "
        r"Limit resets at: \d{4}-\d\d-\d\d \d\d:\d\d:00 UTC",
        error["message"],
    )
    assert headers["rate_limit_type"] == "requests"
    assert 1 <= int(headers["retry-after"]) <= 60
    assert headers["reset_at"]
    assert "x-should-retry" not in headers


def test_rates_of_one_model_and_parallel_calls_have_words_of_their_own(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(model_tpm_limit={"gpt-books": 1}, max_parallel_requests=0)
    error, headers = _error(latchkey, key)
    assert f"model_per_key: {token_of(key)}:gpt-books. Limit type: tokens. Current limit: 1" in error["message"]
    assert headers["rate_limit_type"] == "tokens"
    error, headers = _error(latchkey, key, model="gpt-free")
    assert "Limit type: max_parallel_requests. Current limit: 0, Remaining: 0" in error["message"]
    # A slot may be free at any moment: it is worth another try in a second.
    soon = datetime.fromisoformat(headers["reset_at"]) - datetime.now(UTC)
    assert timedelta(seconds=-5) < soon <= timedelta(seconds=1)
