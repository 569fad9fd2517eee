"""Every page opens for those who may read, and for nobody else."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from keys import services as key_services
from keys.models import VirtualKey
from teams.actors import SYSTEM
from teams.models import AuditEvent, Team, User
from tests.factories import issue

READ_ONLY = {"spend.LedgerEntry", "spend.Hold", "spend.Rollup", "spend.Crossing", "teams.AuditEvent", "proxy.Provider"}
PAGES = [f"admin:{m._meta.app_label}_{m._meta.model_name}" for m in admin.site._registry]


@pytest.mark.parametrize("page", PAGES)
def test_every_list_opens_empty_and_with_a_search(browser: Client, page: str) -> None:
    assert browser.get(reverse(f"{page}_changelist")).status_code == 200
    assert browser.get(reverse(f"{page}_changelist"), {"q": "no such thing"}).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_lists_open_for_the_read_only_role_and_not_for_developers(viewing: Client, linus: User, page: str) -> None:
    assert viewing.get(reverse(f"{page}_changelist")).status_code == 200
    assert viewing.get(reverse(f"{page}_add")).status_code == 403
    User.objects.filter(pk=linus.pk).update(is_staff=True)
    outsider = Client()
    outsider.force_login(linus)
    assert outsider.get(reverse(f"{page}_changelist")).status_code == 403


def test_a_list_offers_to_show_all_where_something_is_left_out_alone(browser: Client, key: VirtualKey) -> None:
    url = reverse("admin:keys_virtualkey_changelist")
    assert "Show all" not in browser.get(url).content.decode()
    for asked in ({"q": key.alias}, {"status": "active"}):
        assert "Show all" in browser.get(url, asked).content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_add_pages(browser: Client, page: str) -> None:
    model = next(m for m in admin.site._registry if page == f"admin:{m._meta.app_label}_{m._meta.model_name}")
    expected = 403 if model._meta.label in READ_ONLY | {"proxy.LanguageModel", "teams.Platform"} else 200
    assert browser.get(reverse(f"{page}_add")).status_code == expected


def test_the_read_only_role_writes_nothing(viewing: Client, key: VirtualKey, search: Team) -> None:
    before = AuditEvent.objects.count()
    page = reverse("admin:keys_virtualkey_change", args=[key.pk])
    assert viewing.get(page).status_code == 200
    assert viewing.post(page, {"alias": "mine"}).status_code == 403
    for action in ("block", "regenerate", "archive"):
        assert viewing.post(reverse(f"admin:keys_virtualkey_{action}", args=[key.pk])).status_code == 403
    selected = {"action": "block_selected", "_selected_action": [search.pk]}
    viewing.post(reverse("admin:teams_team_changelist"), selected)
    assert not Team.objects.get(pk=search.pk).blocked
    assert AuditEvent.objects.count() == before


def test_the_front_page_counts_what_there_is(browser: Client, key: VirtualKey) -> None:
    page = browser.get(reverse("admin:index")).content.decode()
    assert "Spent this month" in page
    assert "No calls yet this month." in page
    assert "key.issued" in page


def test_the_root_leads_to_the_portal(client: Client) -> None:
    assert client.get("/").headers["location"] == "/portal/"
    page = client.get("/portal/")
    assert 'base_url="http://testserver/v1"' in page.content.decode()
    assert b"<script" not in page.content


def test_posted_money_cannot_be_changed_or_deleted_by_anybody(browser: Client) -> None:
    for page in ("ledgerentry", "hold", "rollup"):
        listing = browser.get(reverse(f"admin:spend_{page}_changelist"))
        assert b'name="action"' not in listing.content


def test_history_is_the_audit_trail(browser: Client, key: VirtualKey) -> None:
    key_services.regenerate_key(key, actor=SYSTEM)
    other, _ = issue()
    answer = browser.get(reverse("admin:keys_virtualkey_history", args=[key.pk]), follow=True)
    found = [(event.action, event.object_id) for event in answer.context["cl"].result_list]
    assert [action for action, _ in found] == ["key.regenerated", "key.issued"]
    assert other.public_id not in dict(found).values()
