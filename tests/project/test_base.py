"""The base of the suite itself: people, store and database are as the other tests assume."""

import pytest
from django.contrib.auth import authenticate

from teams import store
from teams.models import AuditEvent, Membership, Team, User
from tests.conftest import PASSWORD


def test_the_counter_store_answers_and_is_empty() -> None:
    assert store.client().ping()
    assert store.client().dbsize() == 0


def test_people_are_made_by_services_and_can_sign_in(ada: User) -> None:
    assert authenticate(username="ada", password=PASSWORD) == ada
    assert AuditEvent.objects.filter(action="user.created", object_id=ada.public_id).exists()


@pytest.mark.usefixtures("linus")
def test_grace_leads_the_search_team(search: Team, grace: User) -> None:
    roles = Membership.objects.filter(team=search).values_list("user__username", "role")
    assert list(roles) == [(grace.username, "admin")]
