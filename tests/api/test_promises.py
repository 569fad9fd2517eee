"""Fields that would promise what nobody enforces, of teams and what else has limits."""

from typing import Any

import pytest

from tests.api.conftest import Api


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tpm_limit_type", "guaranteed_throughput"),
        ("rpm_limit_type", "dynamic"),
        ("rpm_limit_type", "junk"),
        ("rpm_limit_type", 5),
        ("allowed_passthrough_routes", ["/bria"]),
        ("disable_global_guardrails", True),
    ],
)
def test_a_team_refuses_by_name_what_nothing_keeps_to(api: Api, field: str, value: Any) -> None:
    api.post("/team/new", {"team_id": "t"})
    for path in ("/team/new", "/team/update"):
        body = {"team_id": "t"} if path == "/team/update" else {}
        answer = api.post(path, body | {field: value})
        assert (answer.status, answer.error["param"]) == (400, field)


@pytest.mark.parametrize(
    "body",
    [
        {"tpm_limit_type": None, "rpm_limit_type": "best_effort_throughput"},
        {"allowed_passthrough_routes": [], "disable_global_guardrails": False},
    ],
)
def test_what_holds_anyway_passes(api: Api, body: dict[str, Any]) -> None:
    assert api.post("/team/new", body).status == 200
