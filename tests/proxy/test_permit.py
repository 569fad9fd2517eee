"""A call with two faults is told the one that clients of LiteLLM are told: the order is part of the contract."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

from keys.grants import Grant, Owners, ScopePolicy
from proxy.gate_rules import GateRules, read_rules
from proxy.runtime.call import read_call
from proxy.runtime.errors import GatewayError
from proxy.runtime.permit import check_call, check_route
from proxy.runtime.routes import CHAT, find

CALL = read_call(CHAT, b'{"model": "house", "messages": []}', "", {})
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
CUSTOMER = ScopePolicy("customer:9", "customer 'c'", 1)
GRANT = Grant(
    "t", "k", Owners(1, 1), "UTC",
    (ScopePolicy("org:1", "org 'o'", 1), ScopePolicy("team:2", "team 's'", 1), ScopePolicy("key:3", "key 'k'", 1)),
)  # fmt: skip


def _change(scope: str, **fields: Any) -> Any:
    def change(grant: Grant, customer: ScopePolicy) -> tuple[Grant, ScopePolicy]:
        if scope == customer.scope:
            return grant, replace(customer, **fields)
        return replace(
            grant, chain=tuple(replace(p, **fields) if p.scope == scope else p for p in grant.chain)
        ), customer

    return change


def _of_grant(**fields: Any) -> Any:
    return lambda grant, customer: (replace(grant, **fields), customer)


#: In the order in which they answer: what is wrong, and the status, type and words of the refusal.
FAULTS = [
    (_change("key:3", blocked=True), (401, "auth_error", "Key is blocked")),
    (_change("key:3", models=("other",)), (403, "key_model_access_denied", "key not allowed to access model")),
    (_of_grant(owner_deactivated=True), (401, "auth_error", "deactivated")),
    (_of_grant(expires_at=NOW - timedelta(seconds=1)), (401, "expired_key", "Expired Key")),
    (_change("team:2", blocked=True), (401, "auth_error", "Team is blocked")),
    (_change("team:2", models=("other",)), (403, "team_model_access_denied", "team not allowed to access model")),
    (_change("customer:9", models=("other",)), (403, "customer_model_access_denied", "customer not allowed")),
    (_change("org:1", models=("other",)), (403, "org_model_access_denied", "org not allowed to access model")),
    (_of_grant(allowed_routes=("/v1/embeddings",)), (403, "auth_error", "Virtual key is not allowed to call")),
]  # fmt: skip


def _refusal(*faults: Any) -> GatewayError:
    grant, customer = GRANT, CUSTOMER
    for fault in faults:
        grant, customer = fault(grant, customer)
    with pytest.raises(GatewayError) as refused:
        check_call(grant, (*grant.chain, customer), "house", CALL, "/v1/chat/completions", NOW)
    return refused.value


def test_a_call_without_a_fault_is_not_refused() -> None:
    check_call(GRANT, (*GRANT.chain, CUSTOMER), "house", CALL, "/v1/chat/completions", NOW)


@pytest.mark.parametrize(("earlier", "later"), list(combinations(range(len(FAULTS)), 2)))
def test_of_two_faults_the_earlier_one_is_told(earlier: int, later: int) -> None:
    (first, (status, kind, says)), (second, _) = FAULTS[earlier], FAULTS[later]
    told = _refusal(second, first)
    assert (told.status, told.type) == (status, kind)
    assert says in told.message


def test_where_an_end_user_is_required_its_absence_is_told_before_a_route_and_after_everything_else() -> None:
    narrow, blocked = replace(GRANT, allowed_routes=("/v1/embeddings",)), _change("key:3", blocked=True)
    for grant, says in ((narrow, "'user' param not passed in"), (blocked(GRANT, CUSTOMER)[0], "Key is blocked")):
        with pytest.raises(GatewayError, match=says):
            check_call(grant, grant.chain, "house", CALL, "/v1/chat/completions", NOW, GateRules(enforce_user=True))
    named = replace(CALL, customer="c")
    check_call(GRANT, GRANT.chain, "house", named, "/v1/chat/completions", NOW, GateRules(enforce_user=True))


@pytest.mark.parametrize(
    ("allowed", "path", "may"),
    [
        ("llm_api_routes", "/v1/chat/completions", True),
        ("openai_routes", "/chat/completions", True),
        ("info_routes", "/v1/chat/completions", False),
        ("management_routes", "/v1/chat/completions", False),
        ("/chat/*", "/v1/chat/completions", True),
        ("/v1/*", "/chat/completions", True),
        ("/v1/chat/completions", "/chat/completions", True),
        ("/chat/completions", "/openai/deployments/house/chat/completions", False),
        ("/v1/embeddings", "/v1/chat/completions", False),
    ],
)
def test_a_key_calls_only_the_routes_it_is_narrowed_to(allowed: str, path: str, may: bool) -> None:
    grant = replace(GRANT, allowed_routes=(allowed,))
    if may:
        check_call(grant, grant.chain, "house", CALL, path, NOW)
    else:
        with pytest.raises(GatewayError, match="not allowed to call this route"):
            check_call(grant, grant.chain, "house", CALL, path, NOW)


@pytest.mark.parametrize(
    "path",
    ["/v1/embeddings", "/embeddings", "/v1/embeddings/", "/openai/embeddings", "/engines/x/embeddings",
     "/openai/deployments/x/embeddings"],
)  # fmt: skip
def test_a_route_of_admins_is_theirs_in_every_form(path: str) -> None:
    rules, found = read_rules({"admin_only_routes": ["/v1/embeddings"]}), find(path)
    assert found
    with pytest.raises(GatewayError, match="admin only route"):
        check_route(GRANT, found[0], path, rules)
    check_route(replace(GRANT, is_admin=True), found[0], path, rules)
