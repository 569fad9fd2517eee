"""An edit that began before another change must not undo it."""

import pytest
from django.core.exceptions import ValidationError

from keys import services
from keys.models import VirtualKey
from teams import changes
from teams.actors import SYSTEM
from teams.models import Organization, Team
from teams.services import create_organization, update_limits


def test_a_late_edit_brings_back_neither_an_old_secret_nor_a_deleted_key(organization: Organization) -> None:
    key = VirtualKey(alias="edited twice")
    services.issue_key(key, actor=SYSTEM)
    late = VirtualKey.objects.get(pk=key.pk)
    services.regenerate_key(key, actor=SYSTEM)
    services.delete_key(key, actor=SYSTEM)
    late.rpm_limit = 7
    services.update_key(late, actor=SYSTEM)
    stored = VirtualKey.objects.get(pk=key.pk)
    assert (stored.token, stored.rpm_limit) == (key.token, 7)
    assert stored.deleted_at is not None


def test_a_late_edit_does_not_lower_the_epoch(organization: Organization) -> None:
    late = Organization.objects.get(pk=organization.pk)
    changes.raise_epoch(organization.pk)
    late.name = "renamed"
    update_limits(late, actor=SYSTEM)
    assert Organization.objects.get(pk=organization.pk).epoch == organization.epoch + 1


def test_a_team_stays_with_the_books_of_its_organization(search: Team) -> None:
    search.organization = create_organization(Organization(name="other"), actor=SYSTEM)
    with pytest.raises(ValidationError) as refused:
        update_limits(search, actor=SYSTEM)
    assert "organization" in refused.value.message_dict
