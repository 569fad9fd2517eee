"""What the admin shows of people, teams and organizations, and what leaves with them."""

from django.test import Client
from django.urls import reverse

from keys.models import VirtualKey
from teams import departures, services
from teams.actors import SYSTEM
from teams.models import Membership, Organization, OrganizationMembership, SharedBudget, Team, User
from tests.admin.conftest import form_of
from tests.factories import issue


def test_removing_a_member_takes_the_members_keys_of_the_team(browser: Client, search: Team, grace: User) -> None:
    of_team, own = issue(team=search, user=grace)[0], issue(user=grace)[0]
    member = Membership.objects.get()
    browser.post(reverse("admin:teams_membership_delete", args=[member.pk]), {"post": "yes"})
    assert [VirtualKey.objects.get(pk=key.pk).status() for key in (of_team, own)] == ["deleted", "active"]


def test_what_was_deleted_is_hidden(browser: Client, search: Team, grace: User) -> None:
    departures.delete_team(search, actor=SYSTEM)
    departures.delete_user(grace, actor=SYSTEM)
    for name, pk in (("team", search.pk), ("user", grace.pk)):
        assert b"grace@example.com" not in browser.get(reverse(f"admin:teams_{name}_changelist")).content
        assert browser.get(reverse(f"admin:teams_{name}_change", args=[pk])).status_code == 302


def test_a_teams_page_sets_what_every_member_may_do_and_spend(browser: Client, search: Team, grace: User) -> None:
    budget = services.create_budget(SharedBudget(public_id="b", max_budget_nano=1), actor=SYSTEM)
    page = reverse("admin:teams_team_change", args=[search.pk])
    data = form_of(browser.get(page)) | {"member_budget": budget.pk, "member_permissions": "/key/generate\n/key/list"}
    assert browser.post(page, data).status_code == 302
    search.refresh_from_db()
    assert (search.member_budget, search.member_permissions) == (budget, ["/key/generate", "/key/list"])
    assert Membership.objects.get(user=grace).effective("max_budget_nano") == 1
    wrong = browser.post(page, data | {"member_permissions": "/user/delete"})
    assert b"cannot be granted to members" in wrong.content


def test_an_organizations_page_shows_its_people(browser: Client, grace: User) -> None:
    north = services.create_organization(Organization(name="North"), actor=SYSTEM)
    place = OrganizationMembership(organization=north, user=grace, role=OrganizationMembership.Role.ADMIN)
    services.join_organization(place, actor=SYSTEM)
    content = browser.get(reverse("admin:teams_organization_change", args=[north.pk])).content
    assert b"grace@example.com" in content
    assert b"Organization admin" in content
