"""Budgets and limits of every kind as people type and read them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client
from django.urls import reverse

from keys.models import VirtualKey
from keys.services import update_key
from proxy.models import Pool
from spend import services as ledger
from spend.wire import Crossing
from teams import platform_services, services
from teams.actors import SYSTEM
from teams.models import AuditEvent, Organization, Platform, SharedBudget, Tag, Team
from tests.admin.conftest import form_of
from tests.admin.test_forms import add, change, errors
from tests.factories import NOON, intent_for, posting_of

WINDOWS = "5.00 per 1d\n\n  1.5 per rolling 1h \n"
MODELS = "openai/*: 2 per 7d, 10 rpm\ngpt-4o: $1,000.00 total\nollama/llama3:8b: 20,000 tpm, 5rpm"


@pytest.fixture
def gold(organization: Organization) -> SharedBudget:
    return services.create_budget(
        SharedBudget(public_id="gold", max_budget_nano=50 * 10**9, budget_duration="30d"), actor=SYSTEM
    )


def test_windows_and_models_are_typed_one_per_line_and_read_back(browser: Client, search: Team) -> None:
    change(browser, "teams_team", search.pk, budget_limits=WINDOWS, model_limits=MODELS)
    search.refresh_from_db()
    assert search.budget_limits == [
        {"duration": "1d", "max_nano": 5 * 10**9}, {"duration": "rolling 1h", "max_nano": 1_500_000_000},
    ]  # fmt: skip
    assert search.model_limits == {
        "openai/*": {"max_nano": 2 * 10**9, "duration": "7d", "rpm": 10},
        "gpt-4o": {"max_nano": 1000 * 10**9},
        "ollama/llama3:8b": {"tpm": 20_000, "rpm": 5},
    }
    form = form_of(browser.get(reverse("admin:teams_team_change", args=[search.pk])))
    assert form["budget_limits"] == "5.00 per 1d\n1.50 per rolling 1h"
    assert form["model_limits"] == (
        "gpt-4o: 1000.00 total\nollama/llama3:8b: 5 rpm, 20,000 tpm\nopenai/*: 2.00 per 7d, 10 rpm"
    )


def test_saving_a_page_unchanged_changes_nothing(browser: Client, search: Team) -> None:
    change(browser, "teams_team", search.pk, budget_limits=WINDOWS, model_limits=MODELS)
    before = AuditEvent.objects.get(action="team.updated").after
    change(browser, "teams_team", search.pk)
    assert before.keys() == {"budget_limits", "model_limits"}
    assert AuditEvent.objects.filter(action="team.updated").first().after == {}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("budget_limits", "5", "line 1: write an amount"),
        ("budget_limits", "5 per 1d\n5 per soon", "line 2: 'soon' is not a duration"),
        ("budget_limits", "5 total", "line 1: write an amount"),
        ("budget_limits", "-5 per 1d", "line 1: an amount is never negative"),
        ("budget_limits", "1.0000000001 per 1d", "nine decimals"),
        ("budget_limits", "9000001 per 1d", "between 0 and 9,000,000 USD"),
        ("budget_limits", "5 per 1d\n6 per daily", "twice"),
        ("model_limits", "gpt-4o 5 per 1d", "line 1: write a model, a colon"),
        ("model_limits", "gpt-4o: 5 apples", "line 1: '5 apples' is none of"),
        ("model_limits", "gpt-4o: 5 rpm, 6 rpm", "such a limit already"),
        ("model_limits", "gpt-4o: 5 rpm\ngpt-4o: 6 tpm", "twice"),
        ("raise_nano", "5", "say when the raise ends"),
    ],
)
def test_what_cannot_be_read_is_an_error_beside_its_field(
    browser: Client, search: Team, field: str, text: str, message: str
) -> None:
    answer = change(browser, "teams_team", search.pk, **{field: text})
    assert message in errors(answer)["raise_until" if field == "raise_nano" else field][0]
    assert AuditEvent.objects.filter(action="team.updated").count() == 0


def test_a_raise_is_typed_with_its_end_and_taken_back(browser: Client, key: VirtualKey) -> None:
    until = {"raise_until_0": "2126-01-31", "raise_until_1": "12:00:00"}
    change(browser, "keys_virtualkey", key.pk, raise_nano="2.50", **until)
    key.refresh_from_db()
    assert (key.raise_nano, key.raise_until) == (2_500_000_000, datetime(2126, 1, 31, 12, tzinfo=UTC))
    change(browser, "keys_virtualkey", key.pk, raise_nano="")
    key.refresh_from_db()
    assert key.raise_nano == 0


def test_a_shared_budget_is_made_used_changed_and_deleted(browser: Client, search: Team, key: VirtualKey) -> None:
    add(browser, "teams_sharedbudget", public_id="gold", max_budget_nano="50", budget_duration="30d")
    gold = SharedBudget.objects.get()
    assert (gold.max_budget_nano, gold.created_by) == (50 * 10**9, "ada@example.com")
    change(browser, "teams_team", search.pk, shared_budget=gold.pk)
    change(browser, "teams_sharedbudget", gold.pk, max_budget_nano="60", model_limits="gpt-4o: 1 per 1d")
    search.refresh_from_db()
    assert [budget.limit_nano for budget in search.budgets()] == [60 * 10**9, 10**9]
    remove = reverse("admin:teams_sharedbudget_delete_budget", args=[gold.pk])
    assert b"still used by 1 team" in browser.post(remove, follow=True).content
    change(browser, "teams_team", search.pk, shared_budget="")
    assert browser.get(remove).status_code == 200
    browser.post(remove)
    assert not SharedBudget.objects.exists()
    trail = AuditEvent.objects.filter(object_id="gold").order_by("pk").values_list("action", flat=True)
    assert list(trail) == ["budget.created", "budget.updated", "budget.deleted"]


def test_lists_show_the_budget_in_force_and_the_tightest_one_spent(
    browser: Client, key: VirtualKey, gold: SharedBudget
) -> None:
    key.budget_limits, key.max_budget_nano, key.shared_budget = [{"duration": "1d", "max_nano": 10**9}], None, gold
    update_key(key, actor=SYSTEM)
    intent = intent_for(VirtualKey.objects.get(pk=key.pk), at=datetime.now(UTC))
    assert ledger.write_intents([intent]) == [True]
    ledger.post([posting_of(intent, 9 * 10**8)], now=NOON)
    page = browser.get(reverse("admin:keys_virtualkey_changelist")).content.decode()
    assert "$50.00 / 30d +1" in page
    assert "$0.90 of $50.00 / 30d\n$0.90 of $1.00 / 1d" in page
    assert "width:90%" in page


def test_the_read_only_role_reads_limits_in_words(viewing: Client, search: Team) -> None:
    search.budget_limits, search.model_limits = [{"duration": "1d", "max_nano": 10**9}], {"gpt-4o": {"rpm": 3}}
    search.max_budget_nano, search.raise_nano, search.raise_until = 2 * 10**9, 10**9, NOON
    services.update_limits(search, actor=SYSTEM)
    page = viewing.get(reverse("admin:teams_team_change", args=[search.pk])).content.decode()
    for text in ("$2.00 total<br>$1.00 / 1d", "gpt-4o: 3 rpm", "$1.00 until 2026-03-10 12:00"):
        assert text in page


def test_crossings_are_browsed(browser: Client, organization: Organization) -> None:
    ledger.note_crossings([Crossing("team:7", "team:7|1d@1", 5 * 10**9)], now=NOON)
    page = browser.get(reverse("admin:spend_crossing_changelist")).content.decode()
    assert "team:7|1d@1" in page
    assert "$5.00" in page


@pytest.mark.parametrize("number", [1, 8])
def test_a_list_takes_a_fixed_number_of_queries(
    browser: Client, organization: Organization, gold: SharedBudget, django_assert_max_num_queries: object, number: int
) -> None:
    for index in range(number):
        tag = Tag(organization=organization, name=f"t{index}", shared_budget=gold, model_limits={"m": {"max_nano": 1}})
        services.create_tag(tag, actor=SYSTEM)
    with django_assert_max_num_queries(13):  # type: ignore[operator]
        assert browser.get(reverse("admin:teams_tag_changelist")).status_code == 200


def test_the_platform_has_a_page_and_no_second_row(browser: Client) -> None:
    change(browser, "teams_platform", 1, max_budget_nano="1000", budget_duration="30d", budget_limits=WINDOWS)
    platform = platform_services.platform()
    assert (platform.max_budget_nano, platform.budget_limits[0]["duration"]) == (1000 * 10**9, "1d")
    assert AuditEvent.objects.filter(action="platform.updated").count() == 1
    assert b"$1,000.00 / 30d" in browser.get(reverse("admin:teams_platform_changelist")).content
    assert browser.get(reverse("admin:teams_platform_add")).status_code == 403


def test_the_platform_is_locked_before_any_pool(
    browser: Client, providers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the service does it that every other door goes through: else two would wait for each other."""
    locked: list[type] = []
    plain = QuerySet.select_for_update

    def lock(rows: Any, *args: Any, **how: Any) -> Any:
        locked.append(rows.model)
        return plain(rows, *args, **how)

    monkeypatch.setattr(QuerySet, "select_for_update", lock)
    add(browser, "proxy_pool", kind="provider", name="openai", max_budget_nano="5")
    pool = Pool.objects.get()
    locked.clear()
    change(browser, "proxy_pool", pool.pk, max_budget_nano="6")
    pool.refresh_from_db()
    assert (pool.max_budget_nano, locked[:2]) == (6 * 10**9, [Platform, Pool])
