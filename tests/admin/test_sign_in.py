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


def test_too_many_attempts_of_an_address_wait(client: Client, ada: User) -> None:
    """Twenty-one within a minute: even if the counted minute turns over once, one of the two was full."""
    answers = [sign_in(client, "wrong") for _ in range(21)]
    assert set(answers) == {200, 429}
    assert answers[0] == 200


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
