"""Virtual keys: shown once, never deleted for good, a fixed number of queries."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from keys import secrets, services
from keys.key_rules import read_key_rules
from keys.models import RetiredSecret, VirtualKey
from teams import departures
from teams.actors import SYSTEM
from teams.models import AuditEvent, Team, User
from tests.admin.conftest import form_of
from tests.factories import issue

ADD = "admin:keys_virtualkey_add"


def create(browser: Client, /, **fields: object) -> object:
    return browser.post(reverse(ADD), form_of(browser.get(reverse(ADD))) | fields)


def test_a_new_key_is_shown_once_and_kept_nowhere(browser: Client, search: Team) -> None:
    answer = create(browser, alias="app", team=search.pk, max_budget_nano="12.5", budget_duration="30d")
    secret = answer.context["secret"]
    key = VirtualKey.objects.get()
    assert answer.status_code == 200
    assert key.token == secrets.token_of(secret)
    assert key.max_budget_nano == 12_500_000_000
    assert key.created_by == "ada@example.com"
    assert answer.headers["cache-control"].startswith("no-store")
    assert f'base_url="http://testserver/v1",\n    api_key="{secret}"' in answer.content.decode()
    assert not any(secret in str(cookie) for cookie in answer.cookies.values())
    assert not any(secret in str(event.after) for event in AuditEvent.objects.all())
    assert secret not in browser.get(reverse("admin:keys_virtualkey_change", args=[key.pk])).content.decode()


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("NaN", "plain number"), ("-1", "never negative"), ("Infinity", "plain number"), ("1e3", "plain number"),
        ("0.0000000001", "nine decimals"), ("9000000.01", "9,000,000"), (".", "plain number"), ("1,5", "plain number"),
    ],
)  # fmt: skip
def test_a_bad_amount_is_an_error_beside_its_field(browser: Client, search: Team, amount: str, message: str) -> None:
    answer = create(browser, alias="app", team=search.pk, max_budget_nano=amount)
    assert message in answer.context["adminform"].form.errors["max_budget_nano"][0]
    assert not VirtualKey.objects.exists()


def test_upper_bounds_hold_in_the_admin_too(browser: Client, search: Team, settings: Any) -> None:
    bounds = {"max_budget": 10, "rpm_limit": 5, "duration": "30d"}
    settings.KEY_RULES = read_key_rules({"key_alias_pattern": "[a-z]+"}, {"upperbound_key_generate_params": bounds})
    wide = {"alias": "app", "team": search.pk, "rpm_limit": "6", "expires_at_0": "2126-01-01", "expires_at_1": "00:00"}
    errors = create(browser, **wide).context["adminform"].form.errors
    assert errors.keys() == {"rpm_limit", "expires_at"}
    assert "above its upper bound" in errors["expires_at"][0]
    assert "must have the form" in str(create(browser, alias="app-1").context["adminform"].form.errors["alias"])
    create(browser, alias="app", team=search.pk, rpm_limit="4")
    key = VirtualKey.objects.get()
    assert (key.max_budget_nano, key.rpm_limit, key.expires_at is None) == (10 * 10**9, 4, False)
    page = reverse("admin:keys_virtualkey_change", args=[key.pk])
    answer = browser.post(page, form_of(browser.get(page)) | {"max_budget_nano": ""})
    assert answer.context["adminform"].form.errors.keys() == {"max_budget_nano"}
    settings.KEY_RULES = read_key_rules({}, {"upperbound_key_generate_params": {"rpm_limit": 3}})
    assert browser.post(page, form_of(browser.get(page)) | {"alias": "other"}).status_code == 302


def test_an_alias_can_be_taken_only_once(browser: Client, key: VirtualKey, search: Team) -> None:
    answer = create(browser, alias=key.alias, team=search.pk)
    assert "another key has this alias already" in str(answer.context["adminform"].form.errors)


def test_a_stranger_to_the_team_gets_no_key_of_it(browser: Client, search: Team, linus: User) -> None:
    answer = create(browser, alias="app", team=search.pk, user=linus.pk)
    assert "no member" in answer.context["adminform"].form.errors["user"][0]


def test_what_the_service_refuses_appears_in_the_form(
    browser: Client, search: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_of", lambda key: "0" * 64)
    create(browser, alias="one", team=search.pk)
    answer = create(browser, alias="two", team=search.pk)
    assert answer.status_code == 200
    assert "already exists" in str(answer.context["adminform"].form.errors)


def test_an_edit_goes_through_the_service(browser: Client, key: VirtualKey) -> None:
    page = reverse("admin:keys_virtualkey_change", args=[key.pk])
    shown = form_of(browser.get(page))
    assert shown["max_budget_nano"] == "10.00"
    answer = browser.post(page, shown | {"max_budget_nano": "$1,250.000000001", "allowed_models": "a\n\n b \na"})
    key.refresh_from_db()
    assert answer.status_code == 302
    assert key.max_budget_nano == 1_250_000_000_001
    assert key.allowed_models == ["a", "b"]
    assert AuditEvent.objects.filter(action="key.updated", actor="ada@example.com").exists()


def test_asking_changes_nothing_and_confirming_does(browser: Client, key: VirtualKey) -> None:
    page = reverse("admin:keys_virtualkey_block", args=[key.pk])
    assert browser.get(page).status_code == 200
    key.refresh_from_db()
    assert not key.blocked
    browser.post(page)
    key.refresh_from_db()
    assert key.blocked
    browser.post(reverse("admin:keys_virtualkey_unblock", args=[key.pk]))
    key.refresh_from_db()
    assert not key.blocked


def test_regenerating_shows_the_new_secret_once(browser: Client, key: VirtualKey) -> None:
    page = reverse("admin:keys_virtualkey_regenerate", args=[key.pk])
    answer = browser.post(page, {"grace_hours": "24"})
    old = key.token
    key.refresh_from_db()
    assert key.token == secrets.token_of(answer.context["secret"]) != old
    retired = RetiredSecret.objects.get()
    assert (retired.valid_until - retired.retired_at).total_seconds() == 86400
    assert browser.post(page, {"grace_hours": "9999"}).context.get("secret") is None


def test_a_deleted_key_stays_as_history(browser: Client, key: VirtualKey) -> None:
    browser.post(reverse("admin:keys_virtualkey_archive", args=[key.pk]), follow=True)
    key.refresh_from_db()
    assert key.deleted_at
    listing = reverse("admin:keys_virtualkey_changelist")
    assert b"search-prod" not in browser.get(listing).content
    assert b"search-prod" in browser.get(listing, {"status": "deleted"}).content
    page = reverse("admin:keys_virtualkey_change", args=[key.pk])
    assert browser.get(page).status_code == 200
    assert browser.post(page, {"alias": "back"}).status_code == 403
    assert browser.post(reverse("admin:keys_virtualkey_regenerate", args=[key.pk])).status_code == 403
    assert browser.get(reverse("admin:keys_virtualkey_delete", args=[key.pk])).status_code == 403


def test_bulk_actions(browser: Client, key: VirtualKey) -> None:
    listing = reverse("admin:keys_virtualkey_changelist")
    for action in ("block_selected", "unblock_selected", "delete_selected_keys"):
        browser.post(listing, {"action": action, "_selected_action": [key.pk]})
    actions = AuditEvent.objects.filter(action__startswith="key.").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["key.issued", "key.blocked", "key.unblocked", "key.deleted"]


@pytest.mark.parametrize("term", ["search-prod", "masked", "public", "ada", "sk-..."])
def test_search(browser: Client, key: VirtualKey, term: str) -> None:
    wanted = {"masked": key.masked, "public": key.public_id}.get(term, term)
    found = browser.get(reverse("admin:keys_virtualkey_changelist"), {"q": wanted})
    assert (b"search-prod" in found.content) == (term != "ada")


def test_the_list_costs_the_same_for_one_row_and_for_thirty(
    browser: Client, key: VirtualKey, grace: User, search: Team, django_assert_num_queries: object
) -> None:
    listing = reverse("admin:keys_virtualkey_changelist")
    browser.get(listing)
    with django_assert_num_queries(7) as one:
        browser.get(listing)
    for i in range(29):
        more = VirtualKey(alias=f"k{i}", team=search, user=grace, max_budget_nano=i, budget_duration="1d")
        services.issue_key(more, actor=SYSTEM)
    with django_assert_num_queries(len(one.captured_queries)):
        page = browser.get(listing)
    assert page.context["cl"].result_count == 30


def test_the_master_keys_row_is_in_no_list_and_changed_by_nobody(browser: Client) -> None:
    row = services.ensure_master_key("sk-" + "m" * 20)
    assert "master key" not in browser.get(reverse("admin:keys_virtualkey_changelist")).content.decode()
    page = browser.get(reverse("admin:keys_virtualkey_change", args=[row.pk]))
    assert page.status_code == 200 and 'name="_save"' not in page.content.decode()
    for change in (services.block_key, services.delete_key, services.regenerate_key):
        with pytest.raises(ValidationError, match="LATCHKEY_MASTER_KEY"):
            change(row, actor=SYSTEM)


def test_who_else_may_know_a_key_is_on_its_page_and_filters_the_list(
    browser: Client, key: VirtualKey, grace: User, linus: User
) -> None:
    other, _ = issue(alias="other", user=grace)
    other.user = linus
    services.update_key(other, actor=SYSTEM)
    page = browser.get(reverse("admin:keys_virtualkey_change", args=[other.pk])).content.decode()
    assert f"{grace}. In the management API the key does only what all of them may" in page
    assert "nobody" in browser.get(reverse("admin:keys_virtualkey_change", args=[key.pk])).content.decode()
    departures.delete_user(grace, actor=SYSTEM)
    page = browser.get(reverse("admin:keys_virtualkey_change", args=[other.pk])).content.decode()
    assert f"{grace.public_id} (deleted). In the management API" in page
    answer = browser.get(reverse("admin:keys_virtualkey_changelist"), {"known_to__id__exact": str(grace.pk)})
    assert [one.alias for one in answer.context["cl"].result_list] == ["other"]
