"""/global/budget: what all organizations together may spend, and who may know and say so."""

from decimal import Decimal
from typing import Any

import pytest

from spend import services as ledger
from teams import platform_services
from teams.models import AuditEvent
from tests.api.conftest import Api
from tests.factories import NOON, intent_for, issue, posting_of

pytestmark = pytest.mark.django_db
LIMITS: dict[str, Any] = {
    "max_budget": 100.5, "soft_budget": 80, "budget_duration": "30d", "rpm_limit": 60, "tpm_limit": 1000,
    "max_parallel_requests": 5, "budget_limits": [{"budget_duration": "1d", "max_budget": 10}],
    "model_max_budget": {"gpt-4o": {"budget_limit": 5, "time_period": "1d"}}, "timezone": "Europe/Berlin",
}  # fmt: skip


def test_every_limit_that_other_scopes_have_is_set_kept_and_cleared(api: Api) -> None:
    assert api.get("/global/budget").json["max_budget"] is None
    answer = api.post("/global/budget", LIMITS)
    assert answer.status == 200, answer.text
    row = api.post("/global/budget", {"rpm_limit": 7}).json
    assert row == api.get("/global/budget").json
    assert (row["max_budget"], row["rpm_limit"], row["timezone"]) == (Decimal("100.5"), 7, "Europe/Berlin")
    assert row["model_max_budget"]["gpt-4o"]["budget_limit"] == 5
    assert row["budget_reset_at"] is not None
    assert api.get("/global/spend").json["max_budget"] == Decimal("100.5")
    assert api.post("/global/budget", {"max_budget": None, "soft_budget": None}).json["max_budget"] is None
    assert AuditEvent.objects.filter(action="platform.updated").count() == 3


def test_it_tells_what_everybody_spent_in_its_window(api: Api) -> None:
    key, _ = issue()
    intent = intent_for(key, at=NOON)
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, 700)], now=NOON)
    assert api.get("/global/budget").json["spend"] == Decimal("0.0000007")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_budget", -1), ("max_budget", "much"), ("max_budget", 1e12), ("budget_duration", "soon"),
        ("rpm_limit", -5), ("rpm_limit", 1.5), ("timezone", "Nowhere/Land"), ("timezone", None),
        ("budget_limits", [{"max_budget": 1}]), ("tpd_limit", 5),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_by_name_and_changes_nothing(api: Api, field: str, value: Any) -> None:
    answer = api.post("/global/budget", {"rpm_limit": 9, field: value})
    assert answer.status in (400, 422)
    assert field in answer.text
    assert platform_services.platform().rpm_limit is None


def test_only_platform_admins_may_look_or_change(api: Api) -> None:
    secret = api.key()["key"]
    assert api.get("/global/budget", bearer=secret).status == 401
    assert api.post("/global/budget", {"max_budget": 1}, bearer=secret).status == 401
    viewer = api.post("/user/new", {"user_role": "proxy_admin_viewer"}).json["key"]
    assert api.get("/global/budget", bearer=viewer).status == 200
    assert api.post("/global/budget", {"max_budget": 1}, bearer=viewer).status == 403
    assert platform_services.platform().max_budget_nano is None
