"""Organizations, teams, people, credentials, deployments and prices: every write is one service's."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from proxy import services as proxy_services
from proxy.call_defaults import CallDefaults
from proxy.models import Credential, Deployment, Provider
from spend.models import Price
from teams import services
from teams.actors import SYSTEM
from teams.models import AuditEvent, Customer, Membership, Organization, OrganizationMembership, Tag, Team, User
from tests.admin.conftest import form_of

SECRET = "sk-upstream-0123456789abcdef"


def add(browser: Client, name: str, /, **fields: object) -> object:
    page = reverse(f"admin:{name}_add")
    return browser.post(page, form_of(browser.get(page)) | fields)


def change(browser: Client, name: str, pk: int, /, **fields: object) -> object:
    page = reverse(f"admin:{name}_change", args=[pk])
    return browser.post(page, form_of(browser.get(page)) | fields)


def errors(answer: object) -> dict[str, list[str]]:
    return answer.context["adminform"].form.errors  # type: ignore[attr-defined]


def actions() -> set[str]:
    return set(AuditEvent.objects.filter(actor="ada@example.com").values_list("action", flat=True))


def test_scopes_are_created_and_changed(browser: Client, organization: Organization) -> None:
    add(browser, "teams_organization", name="North", public_id="north", timezone="Europe/Oslo")
    north = Organization.objects.get(public_id="north")
    add(browser, "teams_team", name="Ice", organization=north.pk)
    add(browser, "teams_customer", public_id="acme", organization=north.pk)
    add(browser, "teams_tag", name="apollo", organization=north.pk)
    team = Team.objects.get(name="Ice")
    change(browser, "teams_team", team.pk, max_budget_nano="3", budget_duration="1d", rpm_limit=5)
    team.refresh_from_db()
    assert (team.max_budget_nano, team.budget_duration, team.rpm_limit) == (3 * 10**9, "1d", 5)
    assert Customer.objects.get(public_id="acme").organization == north
    assert Tag.objects.get(name="apollo").organization == north
    assert actions() == {
        "organization.created", "team.created", "customer.created", "tag.created", "team.updated",
    }  # fmt: skip


def test_bad_limits_are_errors_beside_their_fields(browser: Client, organization: Organization) -> None:
    answer = add(browser, "teams_team", name="x", organization=organization.pk, budget_duration="soon")
    assert "budget_duration" in errors(answer)
    answer = add(browser, "teams_team", name="x", organization=organization.pk, rpm_limit=-1)
    assert "a limit is never negative" in str(errors(answer))
    answer = add(browser, "teams_team", name="x", organization=organization.pk, rpm_limit=2**63)
    assert "rpm_limit" in errors(answer)
    assert not Team.objects.exists()


def test_members_of_an_organization(browser: Client, linus: User) -> None:
    north = services.create_organization(Organization(name="North"), actor=SYSTEM)
    add(browser, "teams_organizationmembership", organization=north.pk, user=linus.pk, max_budget_nano="1")
    place = OrganizationMembership.objects.get(organization=north)
    change(browser, "teams_organizationmembership", place.pk, max_budget_nano="2", role="org_admin")
    place.refresh_from_db()
    assert (place.max_budget_nano, place.role) == (2 * 10**9, "org_admin")
    page = browser.get(reverse("admin:teams_organization_change", args=[north.pk])).content
    assert b"linus@example.com" in page
    assert b"$2.00 total" in page
    assert b"$2.00" in browser.get(reverse("admin:teams_organizationmembership_changelist")).content
    browser.post(reverse("admin:teams_organizationmembership_delete", args=[place.pk]), {"post": "yes"})
    assert not OrganizationMembership.objects.filter(organization=north).exists()
    assert {
        "organization.member_added", "organizationmembership.updated", "organization.member_removed"
    } <= actions()  # fmt: skip


def test_members(browser: Client, search: Team, linus: User) -> None:
    add(browser, "teams_membership", team=search.pk, user=linus.pk, max_budget_nano="1")
    member = Membership.objects.get()
    assert "already exists" in str(errors(add(browser, "teams_membership", team=search.pk, user=linus.pk)))
    change(browser, "teams_membership", member.pk, max_budget_nano="2")
    member.refresh_from_db()
    assert member.max_budget_nano == 2 * 10**9
    assert b"linus@example.com" in browser.get(reverse("admin:teams_team_change", args=[search.pk])).content
    browser.post(reverse("admin:teams_membership_delete", args=[member.pk]), {"post": "yes"})
    assert not Membership.objects.exists()
    assert {"team.member_added", "membership.updated", "team.member_removed"} <= actions()


def test_people(browser: Client, ada: User) -> None:
    add(browser, "teams_user", email="new@example.com", role="proxy_admin_viewer", new_password="a-long-password-7")
    person = User.objects.get(email="new@example.com")
    assert person.username == "new@example.com"
    assert person.is_staff
    assert person.check_password("a-long-password-7")
    assert list(person.password_known_to.values_list("email", flat=True)) == ["ada@example.com"]
    change(browser, "teams_user", person.pk, role="internal_user", new_password="another-long-password-8")
    person.refresh_from_db()
    assert not person.is_staff
    assert person.check_password("another-long-password-8")
    assert "user.password_set" in actions()
    assert "new_password" in errors(change(browser, "teams_user", person.pk, new_password="short"))
    assert "email" in str(errors(add(browser, "teams_user", email="new@example.com")))


def test_nobody_locks_themselves_out(browser: Client, ada: User) -> None:
    assert "role" in errors(change(browser, "teams_user", ada.pk, role="internal_user"))
    page = reverse("admin:teams_user_change", args=[ada.pk])
    data = form_of(browser.get(page))
    data.pop("is_active")
    assert "is_active" in errors(browser.post(page, data))


@pytest.fixture
def openai(providers: None) -> Provider:
    return Provider.objects.get(slug="openai")


def test_a_credential_goes_in_and_never_comes_out(browser: Client, openai: Provider) -> None:
    add(browser, "proxy_credential", name="main", provider=openai.pk, secret=SECRET)
    row = Credential.objects.get()
    assert row.host == "api.openai.com"
    assert proxy_services.reveal(row) == SECRET
    page = reverse("admin:proxy_credential_change", args=[row.pk])
    assert SECRET not in browser.get(page).content.decode()
    answer = change(browser, "proxy_credential", row.pk, host="a/b", secret=SECRET)
    assert "host" in errors(answer)
    assert SECRET not in answer.content.decode()
    assert "secret" in errors(change(browser, "proxy_credential", row.pk, secret=""))
    assert "whole secret" in str(errors(change(browser, "proxy_credential", row.pk, secret="****")))
    change(browser, "proxy_credential", row.pk, secret="sk-other-0123456789")
    row.refresh_from_db()
    assert proxy_services.reveal(row) == "sk-other-0123456789"
    assert SECRET not in str(list(AuditEvent.objects.values()))


def test_a_credential_whose_models_stay_behind_keeps_its_host(browser: Client, openai: Provider) -> None:
    add(browser, "proxy_credential", name="main", provider=openai.pk, secret=SECRET)
    row = Credential.objects.get()
    used = Deployment(provider=openai, upstream_model="m", is_free=True, credential=row)
    proxy_services.add_deployment(used, "m", actor=SYSTEM, now=timezone.now())
    answer = change(browser, "proxy_credential", row.pk, host="llm.example.com", secret="sk-other-0123456789")
    assert errors(answer) == {"host": ["models still use this credential at its present host; change them first"]}
    stored = Credential.objects.get()
    assert (stored.host, proxy_services.reveal(stored)) == ("api.openai.com", SECRET)
    change(browser, "proxy_credential", row.pk, secret="sk-other-0123456789")
    assert proxy_services.reveal(Credential.objects.get()) == "sk-other-0123456789"


def test_a_deployment_from_model_to_price(browser: Client, openai: Provider) -> None:
    name = "proxy_deployment"
    answer = add(browser, name, model_name="m", provider=openai.pk, upstream_model="brand-new")
    assert "no price is known" in errors(answer)["input_price"][0]
    add(
        browser, name, model_name="m", provider=openai.pk, upstream_model="brand-new", secret=SECRET,
        input_price="0.15", output_price="0.60",
    )  # fmt: skip
    row = Deployment.objects.get()
    assert row.credential is not None
    assert row.base_url == "https://api.openai.com/v1"
    assert Price.objects.get(item=row.price_item).input == Decimal("0.00000015")
    listing = browser.get(reverse(f"admin:{name}_changelist")).content.decode()
    assert "$0.15 / $0.60" in listing
    assert row.stated == {}
    change(browser, name, row.pk, input_price="0.2", output_price="0.8", timeout_seconds=30)
    row.refresh_from_db()
    assert (row.timeout_seconds, row.stated) == (30, {"timeout": 30})
    assert Price.objects.filter(item=row.price_item).count() == 2
    change(browser, name, row.pk, base_url="https://api.openai.com/v2")
    row.refresh_from_db()
    assert row.stated == {"timeout": 30, "api_base": "https://api.openai.com/v2"}
    change(browser, name, row.pk, base_url="")
    row.refresh_from_db()
    assert (row.base_url, row.stated) == ("https://api.openai.com/v1", {"timeout": 30})
    wrong = change(browser, name, row.pk, base_url="https://elsewhere.example.com/v1")
    assert "api.openai.com only" in errors(wrong)["credential"][0]
    browser.post(reverse(f"admin:{name}_delete", args=[row.pk]), {"post": "yes"})
    assert not Deployment.objects.exists()
    assert {"model.created", "model.updated", "model.deleted"} <= actions()


def test_a_new_deployment_begins_with_the_timeout_and_retries_of_the_configuration(
    browser: Client, openai: Provider, settings: Any
) -> None:
    settings.CALL_DEFAULTS = CallDefaults(timeout_seconds=45, max_retries=4)
    add(browser, "proxy_deployment", model_name="m", provider=openai.pk, upstream_model="new", is_free="on")
    row = Deployment.objects.get()
    assert (row.timeout_seconds, row.max_retries) == (45, 4)
    settings.CALL_DEFAULTS = CallDefaults()
    change(browser, "proxy_deployment", row.pk, max_output_tokens=8)
    row.refresh_from_db()
    assert (row.timeout_seconds, row.max_retries, row.max_output_tokens) == (45, 4, 8)


def test_a_deployment_whose_credential_is_not_stored_yet_is_shown_to_wait(browser: Client, openai: Provider) -> None:
    row = Deployment(provider=openai, upstream_model="new", is_free=True, awaited_credential="house")
    proxy_services.add_deployment(row, "m", actor=SYSTEM, now=timezone.now())
    statuses = lambda: browser.get(reverse("admin:proxy_deployment_changelist")).content.decode()  # noqa: E731
    assert "waits" in statuses() and "house" in statuses()
    house = Credential(name="house", provider=openai, host="api.openai.com")
    proxy_services.store_credential(house, SECRET, actor=SYSTEM)
    assert "waits" not in statuses()
    assert "active" in statuses()


def test_prices_are_added_and_never_changed(browser: Client) -> None:
    now = timezone.now()
    given = {"valid_from_0": f"{now:%Y-%m-%d}", "valid_from_1": f"{now:%H:%M:%S}"}
    add(browser, "spend_price", item="openai/x", input="0.000001", output="2500", **given)
    price = Price.objects.get()
    assert (price.input, price.output) == (Decimal("1E-12"), Decimal("0.0025"))
    listing = browser.get(reverse("admin:spend_price_changelist")).content.decode()
    assert "$0.000001" in listing
    assert "$2,500.00" in listing
    assert "input" in errors(add(browser, "spend_price", item="openai/y", input="0.0000001", output="1", **given))
    assert "output" in errors(add(browser, "spend_price", item="openai/y", input="1", output="nan", **given))
    page = reverse("admin:spend_price_change", args=[price.pk])
    assert browser.get(page).status_code == 200
    assert browser.post(page, {"input": "9"}).status_code == 403
    assert browser.post(reverse("admin:spend_price_delete", args=[price.pk]), {"post": "yes"}).status_code == 403


def test_blocking_a_team(browser: Client, search: Team) -> None:
    browser.post(reverse("admin:teams_team_block", args=[search.pk]))
    assert Team.objects.get(pk=search.pk).blocked
    assert "team.blocked" in actions()


def test_a_price_has_classes_fees_long_inputs_and_service_tiers(browser: Client) -> None:
    given = {"valid_from_0": "2026-05-01", "valid_from_1": "00:00", "item": "openai/y", "input": "2.5", "output": "10"}
    tiers = '[{"above": 200000, "rates": {"input": "0.000005"}}]'
    add(
        browser, "spend_price", **given, audio_input="40", web_search="10", code_session="0.03", tiers=tiers,
        services='{"priority": {"rates": {"input": "0.000005"}}}',
    )  # fmt: skip
    price = Price.objects.get()
    assert price.extras == {"audio_input": "0.00004", "web_search": "0.01", "code_session": "0.03"}
    assert price.tiers[0]["above"] == 200_000
    assert price.services["priority"]["rates"] == {"input": "0.000005"}
    page = browser.get(reverse("admin:spend_price_change", args=[price.pk])).content.decode()
    assert "audio_input" in page
    for name, wrong in {"tiers": '[{"above": 1}]', "services": '{"auto": {"rates": {}}}', "audio_input": "-1"}.items():
        assert name in errors(add(browser, "spend_price", **given, **{name: wrong}))
