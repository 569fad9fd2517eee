"""Old links and changed forms: what is no id is refused or not found, and fails nowhere."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from keys.models import VirtualKey
from teams.models import Team
from tests.admin.conftest import form_of

PAGES = [f"admin:{m._meta.app_label}_{m._meta.model_name}" for m in admin.site._registry]
TOO_LARGE = "9" * 20
ODD = ["abc", "0", TOO_LARGE, "%00"]


@pytest.mark.parametrize("page", PAGES)
def test_a_link_to_no_row_leads_back(browser: Client, page: str) -> None:
    for odd in ODD:
        assert browser.get(reverse(f"{page}_changelist") + f"{odd}/change/").status_code in (302, 404)


@pytest.mark.parametrize("page", PAGES)
def test_a_filter_by_no_row_shows_the_list_without_it(browser: Client, page: str) -> None:
    url = reverse(f"{page}_changelist")
    for filtered in browser.get(url).context["cl"].filter_specs:
        for parameter in filtered.expected_parameters():
            for odd in ("abc", TOO_LARGE):
                assert browser.get(url, {parameter: odd}).status_code in (200, 302), (parameter, odd)


def test_an_action_on_no_row_says_so(browser: Client, key: VirtualKey) -> None:
    url = reverse("admin:keys_virtualkey_changelist")
    answer = browser.post(url, {"action": "block_selected", "_selected_action": ["abc"]}, follow=True)
    assert "Choose rows from the list." in answer.content.decode()


@pytest.mark.parametrize("odd", ["abc", TOO_LARGE, "a\x00b"])
def test_a_choice_that_no_page_offers_is_a_bad_request(
    browser: Client, key: VirtualKey, search: Team, odd: str
) -> None:
    page = reverse("admin:keys_virtualkey_change", args=[key.pk])
    sent = form_of(browser.get(page)) | {"user": odd}
    assert browser.post(page, sent).status_code == 400
    assert VirtualKey.objects.get(pk=key.pk).user is None
