"""Signing in: counted per address, and never impossible because a dependency is down."""

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from redis.exceptions import ConnectionError as StoreGone

from teams import services
from teams.actors import SYSTEM
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


def test_who_is_blocked_signs_in_no_more_and_is_signed_out(client: Client, ada: User) -> None:
    assert sign_in(client, PASSWORD) == 302
    assert client.get(reverse("admin:index")).status_code == 200
    User.objects.filter(pk=ada.pk).update(blocked=True)
    assert client.get(reverse("admin:index")).status_code == 302
    assert sign_in(client, PASSWORD) == 200


def test_a_new_password_is_audited(browser: Client, ada: User) -> None:
    given = {"old_password": PASSWORD, "new_password1": "a-brand-new-phrase-9", "new_password2": "a-brand-new-phrase-9"}
    assert browser.get(reverse("admin:password_change")).status_code == 200
    assert browser.post(reverse("admin:password_change"), given).status_code == 302
    ada.refresh_from_db()
    assert ada.check_password("a-brand-new-phrase-9")
    assert AuditEvent.objects.filter(action="user.password_set").exists()


def by_form(client: Client, username: str, password: str, **headers: str) -> tuple[int, str]:
    """Status, and where it leads on to."""
    answer = client.post("/login", {"username": username, "password": password}, headers=headers)
    return answer.status_code, answer.headers.get("Location", "")


def test_the_master_key_signs_in_the_admin_whom_it_makes_when_first_needed(client: Client, db: None) -> None:
    assert by_form(client, "admin", settings.MASTER_KEY) == (303, reverse("admin:index"))
    assert client.get(reverse("admin:index")).status_code == 200
    account = User.objects.get(username="admin")
    assert account.is_superuser and not account.has_usable_password()
    assert AuditEvent.objects.filter(action="user.created", object_id=account.public_id).exists()


def test_a_script_signs_in_with_the_password_of_an_account(client: Client, ada: User) -> None:
    assert by_form(client, "ada", "wrong") == (401, "")
    assert by_form(client, "ada", settings.MASTER_KEY) == (401, "")
    assert by_form(client, "ada", PASSWORD) == (303, reverse("admin:index"))


def test_the_master_key_opens_no_account_that_is_not_an_admins(client: Client, db: None) -> None:
    services.create_user(User(username="admin"), actor=SYSTEM)
    assert by_form(client, "admin", settings.MASTER_KEY) == (401, "")


def test_a_form_on_a_foreign_page_signs_nobody_in(ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert by_form(client, "ada", PASSWORD, origin="https://elsewhere.example") == (303, reverse("admin:login"))
    assert client.get(reverse("admin:index")).status_code == 302
    assert client.get("/login").headers["Location"] == reverse("admin:login")
