"""Signing in: counted per address, and never impossible because a dependency is down."""

import pytest
from django.test import Client
from django.urls import reverse
from redis.exceptions import ConnectionError as StoreGone

from teams.models import AuditEvent, User
from tests.conftest import PASSWORD


def sign_in(client: Client, password: str) -> int:
    data = {"username": "ada", "password": password}
    return client.post(reverse("admin:login"), data).status_code


def test_the_eleventh_attempt_of_a_minute_waits(client: Client, ada: User) -> None:
    statuses = [sign_in(client, "wrong") for _ in range(10)]
    answer = client.post(reverse("admin:login"), {"username": "ada", "password": PASSWORD})
    assert answer.status_code in (302, 429)
    # The window may turn over in the middle of the test; it never does so twice.
    assert set(statuses) <= {200, 429}
    if answer.status_code == 429:
        assert answer.headers["retry-after"] == "60"


def test_without_the_counter_store_people_still_get_in(
    client: Client, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*args: object, **kwargs: object) -> None:
        raise StoreGone("no store")

    monkeypatch.setattr("gateway_project.admin_site.is_ratelimited", down)
    assert sign_in(client, PASSWORD) == 302


def test_a_new_password_is_audited(browser: Client, ada: User) -> None:
    given = {"old_password": PASSWORD, "new_password1": "a-brand-new-phrase-9", "new_password2": "a-brand-new-phrase-9"}
    assert browser.get(reverse("admin:password_change")).status_code == 200
    assert browser.post(reverse("admin:password_change"), given).status_code == 302
    ada.refresh_from_db()
    assert ada.check_password("a-brand-new-phrase-9")
    assert AuditEvent.objects.filter(action="user.password_set").exists()
