"""/key/...: minting, reading and changing virtual keys as clients of the contract do."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from keys.models import VirtualKey
from keys.secrets import token_of
from spend import services as ledger
from teams.models import AuditEvent, Organization, Team, User
from tests.api.conftest import Api
from tests.factories import intent_for, issue, posting_of

SEED = """{"models": ["gpt-4o-mini"], "max_budget": 25.50, "budget_duration": "30d", "rpm_limit": 100,
"tpm_limit": 200000, "expires": "2126-12-31", "metadata": {"team": "search", "ratio": 1.5}}"""


def spend(key: VirtualKey, nano: int, at: datetime | None = None) -> None:
    intent = intent_for(key, at=at or timezone.now())
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, nano)], now=timezone.now())


def test_a_key_is_made_with_every_limit_that_was_asked_for(api: Api) -> None:
    answer = api.post("/key/generate", raw=SEED)
    assert answer.status == 200
    made = answer.json
    assert made["key"].startswith("sk-")
    assert made["token"] == made["token_id"] == token_of(made["key"])
    assert made["key_name"] == f"sk-...{made['key'][-4:]}"
    assert made["models"] == ["gpt-4o-mini"]
    assert '"max_budget":25.5,' in answer.text
    assert (made["budget_duration"], made["rpm_limit"], made["tpm_limit"]) == ("30d", 100, 200000)
    assert made["expires"] == "2126-12-31T23:59:59Z"
    assert made["metadata"] == {"team": "search", "ratio": Decimal("1.5")}
    assert made["created_by"] == made["updated_by"] == "default_user_id"
    assert {"created_at", "updated_at", "soft_budget", "litellm_budget_table"} <= made.keys()


def test_the_secret_of_a_fresh_key_authenticates(api: Api) -> None:
    assert api.get("/key/info", bearer=api.key()["key"]).status == 200


def test_an_empty_body_makes_a_key_without_limits(api: Api) -> None:
    made = api.key()
    assert made["max_budget"] is None
    assert made["expires"] is None
    assert made["models"] == []


def test_unknown_fields_are_ignored(api: Api) -> None:
    assert api.post("/key/generate", {"guardrails": ["x"], "permissions": {}, "no_such_field": 1}).status == 200


def test_a_custom_key_is_taken_as_it_is(api: Api) -> None:
    assert api.key(key="sk-my-own-key-0123456789")["key"] == "sk-my-own-key-0123456789"


@pytest.mark.parametrize("custom", ["sk-short", "pk-0123456789abcdef", "sk-with space-0123456789"])
def test_a_bad_custom_key_is_400(api: Api, custom: Any) -> None:
    answer = api.post("/key/generate", {"key": custom})
    assert (answer.status, answer.error["param"]) == (400, "key")


def test_the_master_key_cannot_be_minted_as_a_virtual_key(api: Api) -> None:
    answer = api.post("/key/generate", {"key": settings.MASTER_KEY})
    assert (answer.status, answer.error["param"]) == (400, "key")
    assert settings.MASTER_KEY not in answer.text


def test_a_custom_key_exists_once(api: Api) -> None:
    api.key(key="sk-my-own-key-0123456789")
    answer = api.post("/key/generate", {"key": "sk-my-own-key-0123456789"})
    assert (answer.status, answer.error["param"]) == (400, "key")
    assert "sk-my-own-key-0123456789" not in answer.text


@pytest.mark.parametrize("key", ["sk-live:Zq9!~p@ss#word", "sk-abc/def-this-is-secret", 'sk-abcdefghijk"0123456789'])
def test_a_custom_key_that_logs_could_not_hide_is_refused(api: Api, key: str) -> None:
    answer = api.post("/key/generate", {"key": key})
    assert (answer.status, answer.error["param"]) == (400, "key")
    assert key not in answer.text


def test_an_alias_exists_once(api: Api) -> None:
    api.key(key_alias="reports")
    answer = api.post("/key/generate", {"key_alias": "reports"})
    assert (answer.status, answer.error["param"]) == (400, "key_alias")


def test_the_alias_of_a_deleted_key_is_free_again(api: Api) -> None:
    made = api.key(key_alias="reports")
    api.post("/key/delete", {"keys": [made["key"]]})
    assert api.key(key_alias="reports")["key_alias"] == "reports"


@pytest.mark.parametrize(
    "amount",
    ["-1", "-0.000000001", "-1e-12", "1e400", "9000000.000000001", "9000000.0000000000001", '"NaN"', '"Infinity"',
     "1e-999999999"],
)  # fmt: skip
@pytest.mark.parametrize("field", ["max_budget", "soft_budget"])
def test_a_budget_that_is_no_amount_is_400(api: Api, field: str, amount: str) -> None:
    answer = api.post("/key/generate", raw=f'{{"{field}": {amount}}}')
    assert (answer.status, answer.error["param"]) == (400, field)
    assert field in answer.error["message"]


@pytest.mark.parametrize(
    ("sent", "nano"),
    [("25.50", 25_500_000_000), ("0.000000042", 42), ("0.1", 100_000_000), ("9000000", 9 * 10**15), ("0", 0),
     ("8999999.999999999", 8_999_999_999_999_999), ("1e-9", 1)],
)  # fmt: skip
def test_budgets_are_exact_both_ways(api: Api, sent: str, nano: int) -> None:
    answer = api.post("/key/generate", raw=f'{{"max_budget": {sent}}}')
    assert VirtualKey.objects.get(token=answer.json["token"]).max_budget_nano == nano
    assert answer.json["max_budget"] == Decimal(sent)
    assert "e-" not in answer.text.partition('"max_budget":')[2].partition(",")[0].lower()


@pytest.mark.parametrize(("sum_of_floats", "nano"), [(0.1 + 0.2, 300_000_000), (1.1 * 3, 3_300_000_000)])
def test_the_noise_of_a_client_that_counts_in_floats_is_dropped(api: Api, sum_of_floats: float, nano: int) -> None:
    assert VirtualKey.objects.get(token=api.key(max_budget=sum_of_floats)["token"]).max_budget_nano == nano


@pytest.mark.parametrize(
    ("sent", "nano"),
    [("3.3333333333333335", 3_333_333_333), ("14.285714285714286", 14_285_714_285),
     ("6.666666666666667", 6_666_666_666), ("1e-12", 0), ("0.0000000019", 1),
     ("25.0000000000000000000000000001", 25 * 10**9),
     ('"0.1234567899"', 123_456_789), ("8999999.99999999999", 8_999_999_999_999_999)],
)  # fmt: skip
def test_what_is_finer_than_a_nano_dollar_is_rounded_down(api: Api, sent: str, nano: int) -> None:
    fields = ("max_budget", "temp_budget_increase")
    windows = f'"budget_limits": [{{"budget_duration": "1d", "max_budget": {sent}}}]'
    models = f'"model_max_budget": {{"m": {{"budget_limit": {sent}, "time_period": "1d"}}}}'
    flat = ", ".join(f'"{field}": {sent}' for field in fields)
    answer = api.post("/key/generate", raw=f'{{{flat}, "temp_budget_expiry": "1d", {windows}, {models}}}')
    assert answer.status == 200, answer.text
    key = VirtualKey.objects.get(token=answer.json["token"])
    further, of_model = key.budget_limits[0]["max_nano"], key.model_limits["m"]["max_nano"]
    assert [key.max_budget_nano, key.raise_nano, further, of_model] == [nano] * 4


@pytest.mark.parametrize("field", ["rpm_limit", "tpm_limit", "max_parallel_requests"])
@pytest.mark.parametrize("value", ["-1", "9007199254740993", "1e30"])
def test_a_limit_out_of_range_is_400(api: Api, field: str, value: str) -> None:
    answer = api.post("/key/generate", raw=f'{{"{field}": {value}}}')
    assert (answer.status, answer.error["param"]) == (400, field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("budget_duration", "soon"), ("budget_duration", "0d"), ("budget_duration", "-1d"), ("budget_duration", "2mo"),
        ("duration", "soon"), ("expires", "tomorrow"), ("expires", "2026-13-01"), ("expires", "2001-01-01"),
        ("expires", "9999-12-31"), ("models", [""]), ("key_alias", "a..b"), ("key_alias", "a\nb"),
        ("key_alias", "x" * 256),
    ],
)  # fmt: skip
def test_a_bad_value_is_400_naming_its_field(api: Api, field: str, value: Any) -> None:
    answer = api.post("/key/generate", {field: value})
    assert (answer.status, answer.error["param"]) == (400, field)
    assert VirtualKey.objects.count() == 0


@pytest.mark.parametrize("field", ["team_id", "organization_id"])
def test_an_unknown_owner_is_400_naming_it(api: Api, field: str) -> None:
    answer = api.post("/key/generate", {field: "nobody"})
    assert (answer.status, answer.error["param"]) == (400, field)


def test_a_person_that_nobody_knows_is_created_with_the_key(api: Api) -> None:
    made = api.key(user_id="new-person@example.com")
    assert made["user_id"] == "new-person@example.com"
    assert not User.objects.get(public_id="new-person@example.com").has_usable_password()
    assert AuditEvent.objects.filter(action="user.created").count() == 1


def test_a_refused_key_leaves_no_person_behind(api: Api) -> None:
    assert api.post("/key/generate", {"user_id": "new-person", "key": "bad"}).status == 400
    assert not User.objects.filter(public_id="new-person").exists()


def test_a_key_belongs_to_its_team_and_its_person(api: Api, search: Team, grace: User) -> None:
    made = api.key(team_id=search.public_id, user_id=grace.public_id)
    assert (made["team_id"], made["user_id"]) == (search.public_id, grace.public_id)


def test_a_key_is_not_placed_outside_its_teams_organization(api: Api, search: Team) -> None:
    Organization.objects.create(public_id="other", name="Other")
    answer = api.post("/key/generate", {"team_id": search.public_id, "organization_id": "other"})
    assert (answer.status, answer.error["param"]) == (400, "organization_id")


def test_a_date_lasts_to_its_end_in_the_organizations_zone(api: Api, organization: Organization) -> None:
    Organization.objects.filter(pk=organization.pk).update(timezone="America/New_York")
    assert api.key(expires="2126-12-31")["expires"] == "2127-01-01T04:59:59Z"


def test_a_duration_counts_from_now(api: Api) -> None:
    expires = datetime.fromisoformat(api.key(duration="30d")["expires"])
    assert abs(expires - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)


@pytest.mark.parametrize("never", ["-1", None])
def test_a_key_without_end_never_expires(api: Api, never: str | None) -> None:
    assert api.key(duration=never)["expires"] is None


def test_duration_and_expires_exclude_each_other(api: Api) -> None:
    answer = api.post("/key/generate", {"duration": "30d", "expires": "2126-12-31"})
    assert (answer.status, answer.error["param"]) == (400, "expires")


@pytest.mark.parametrize(
    ("key_type", "routes"),
    [
        ("default", []), ("llm_api", ["llm_api_routes"]), ("management", ["management_routes"]),
        ("read_only", ["info_routes"]),
    ],
)  # fmt: skip
def test_the_type_of_a_key_sets_its_routes(api: Api, key_type: str, routes: list[str]) -> None:
    assert api.key(key_type=key_type)["allowed_routes"] == routes


def test_tags_inside_metadata_are_tags(api: Api) -> None:
    made = api.key(metadata={"tags": ["batch"], "cost_centre": "R&D"})
    assert made["tags"] == ["batch"]
    assert made["metadata"] == {"tags": ["batch"], "cost_centre": "R&D"}


def test_a_number_beyond_a_float_in_metadata_is_400(api: Api) -> None:
    assert api.post("/key/generate", raw='{"metadata": {"a": 1e400}}').error["param"] == "metadata"
    assert api.post("/key/generate", raw='{"metadata": {"a": 99999999999999999999}}').error["param"] == "metadata"


# --- /key/info -----------------------------------------------------------------------------------


def test_info_shows_the_row_without_the_token(api: Api) -> None:
    made = api.key(key_alias="reports", max_budget=10)
    answer = api.get("/key/info", {"key": made["token"]})
    info = answer.json["info"]
    assert answer.json["key"] == made["token"]
    assert (info["key_alias"], info["status"], info["spend"]) == ("reports", "active", 0)
    assert "token" not in info
    assert made["key"] not in answer.text


def test_a_key_is_found_by_itself_and_by_its_hash(api: Api) -> None:
    made = api.key(key_alias="reports")
    for name in (made["key"], made["token"]):
        answer = api.get("/key/info", {"key": name})
        assert (answer.json["key"], answer.json["info"]["key_alias"]) == (name, "reports")


def test_an_unknown_key_is_404(api: Api) -> None:
    answer = api.get("/key/info", {"key": "sk-unknown-0123456789"})
    assert (answer.status, answer.error["type"]) == (404, "not_found_error")
    assert "sk-unknown" not in answer.text


def test_a_key_may_read_itself_and_no_other(api: Api) -> None:
    key, secret = issue(alias="mine")
    other, _ = issue(alias="theirs")
    for query in ({}, {"key": secret}, {"key": key.token}):
        answer = api.get("/key/info", query, bearer=secret)
        assert (answer.status, answer.json["info"]["key_alias"]) == (200, "mine")
    assert api.get("/key/info", {"key": other.token}, bearer=secret).status == 403
    assert api.get("/key/info", {"key": "sk-unknown-0123456789"}, bearer=secret).status == 404


def test_a_key_that_spent_everything_may_still_ask(api: Api) -> None:
    key, secret = issue(max_budget_nano=1000)
    spend(key, 2000)
    info = api.get("/key/info", bearer=secret).json["info"]
    assert info["spend"] == Decimal("0.000002")


def test_spend_is_that_of_the_current_window(api: Api) -> None:
    key, secret = issue(max_budget_nano=10**9, budget_duration="1d")
    spend(key, 7_000_000_001)
    spend(key, 5, at=timezone.now() - timedelta(days=3))
    answer = api.get("/key/info", bearer=secret)
    assert '"spend":7.000000001,' in answer.text
    assert answer.json["info"]["budget_reset_at"] > timezone.now().astimezone(UTC).isoformat()


def test_spend_without_a_duration_is_that_of_a_lifetime(api: Api) -> None:
    key, secret = issue(max_budget_nano=10**9)
    spend(key, 40)
    spend(key, 2, at=timezone.now() - timedelta(days=300))
    assert '"spend":0.000000042,' in api.get("/key/info", bearer=secret).text


@pytest.mark.parametrize(
    ("fields", "status"),
    [({}, "active"), ({"blocked": True}, "revoked"), ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expired")],
)
def test_info_names_the_status(api: Api, fields: dict[str, Any], status: str) -> None:
    key, _ = issue(**fields)
    assert api.get("/key/info", {"key": key.token}).json["info"]["status"] == status


# --- /key/update ---------------------------------------------------------------------------------


def test_an_update_keeps_what_is_omitted(api: Api) -> None:
    made = api.key(key_alias="a", max_budget=10, budget_duration="30d", rpm_limit=5, models=["m"], metadata={"x": 1})
    after = api.post("/key/update", {"key": made["key"], "rpm_limit": 9}).json
    assert after["key"] == made["key"]
    assert after["rpm_limit"] == 9
    for name in ("key_alias", "max_budget", "budget_duration", "models", "metadata", "expires", "token"):
        assert after[name] == made[name], name


def test_null_clears(api: Api) -> None:
    made = api.key(
        key_alias="a", max_budget=10, budget_duration="30d", rpm_limit=5, models=["m"], duration="30d", user_id="u",
        aliases={"a": "b"}, allowed_routes=["/key/info"],
    )  # fmt: skip
    fields = ("key_alias", "max_budget", "budget_duration", "rpm_limit", "expires", "user_id")
    after = api.post(
        "/key/update",
        {"key": made["token"], "models": None, "duration": None, "aliases": None, "allowed_routes": None}
        | dict.fromkeys(fields[:4])
        | {"user_id": None},
    ).json
    assert {after[name] for name in fields} == {None}
    assert (after["models"], after["aliases"], after["allowed_routes"]) == ([], {}, [])


def test_null_never_unblocks_and_keeps_tags(api: Api) -> None:
    made = api.key(blocked=True, tags=["a"])
    after = api.post("/key/update", {"key": made["token"], "blocked": None, "tags": None}).json
    assert (after["blocked"], after["tags"]) == (True, ["a"])


def test_metadata_is_replaced_whole(api: Api) -> None:
    made = api.key(metadata={"a": 1, "b": 2})
    assert api.post("/key/update", {"key": made["token"], "metadata": {"c": 3}}).json["metadata"] == {"c": 3}


def test_an_update_is_one_audit_event_with_only_what_changed(api: Api) -> None:
    made = api.key(max_budget=10)
    api.post("/key/update", {"key": made["key"], "max_budget": 20.5})
    event = AuditEvent.objects.get(action="key.updated")
    assert event.before["max_budget_nano"] == 10_000_000_000
    assert event.after["max_budget_nano"] == 20_500_000_000
    assert made["key"] not in f"{event.before}{event.after}"
    assert made["token"] not in f"{event.before}{event.after}"


def test_a_key_keeps_its_own_alias_but_takes_no_others(api: Api) -> None:
    made, _ = api.key(key_alias="a"), api.key(key_alias="b")
    assert api.post("/key/update", {"key": made["key"], "key_alias": "a"}).status == 200
    assert api.post("/key/update", {"key": made["key"], "key_alias": "b"}).error["param"] == "key_alias"


def test_a_key_is_updated_by_its_alias(api: Api) -> None:
    api.key(key_alias="a")
    assert api.post("/key/update", {"key_alias": "a", "rpm_limit": 3}).json["rpm_limit"] == 3


def test_updating_nothing_or_an_unknown_key_is_refused(api: Api) -> None:
    missing = api.post("/key/update", {"rpm_limit": 3})
    assert (missing.status, missing.json["detail"][0]["type"], missing.fault) == (422, "missing", "key")
    assert api.post("/key/update", {"key": "sk-unknown-0123456789"}).status == 404
    assert api.post("/key/update", {"key_alias": "unknown"}).status == 404


def test_a_refused_update_changes_nothing(api: Api) -> None:
    made = api.key(rpm_limit=5)
    assert api.post("/key/update", {"key": made["key"], "rpm_limit": 6, "max_budget": -1}).status == 400
    assert VirtualKey.objects.get(token=made["token"]).rpm_limit == 5


def test_a_key_can_be_made_to_expire_at_once(api: Api) -> None:
    made = api.key()
    api.post("/key/update", {"key": made["key"], "expires": "2001-01-01"})
    assert api.get("/key/info", bearer=made["key"]).error["type"] == "expired_key"


def test_the_policy_for_calls_without_an_output_cap_is_kept(api: Api) -> None:
    made = api.key(output_cap_policy="reject")
    assert made["output_cap_policy"] == "reject"
    assert api.post("/key/update", {"key": made["token"], "output_cap_policy": None}).status == 200
    assert api.get("/key/info", {"key": made["token"]}).json["info"]["output_cap_policy"] == "reject"
    assert api.key()["output_cap_policy"] == "clamp"
