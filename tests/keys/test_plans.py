"""What is looked for every few minutes is found by index, however many keys there are."""

from datetime import timedelta

import pytest

from keys import rotation, services
from teams.actors import SYSTEM
from tests.factories import NOON
from tests.plans import plans, wasteful

pytestmark = pytest.mark.django_db


def test_keys_whose_time_has_passed_are_found_by_an_index_of_those_not_noted_yet() -> None:
    def look() -> None:
        services.note_expired_keys(now=NOON, actor=SYSTEM)

    assert "keys_expiring" in plans(look)
    assert wasteful(look) == []


def test_keys_to_rotate_are_found_by_index() -> None:
    def look() -> None:
        rotation.rotate_due(now=NOON, actor=SYSTEM, grace=timedelta(0))

    assert "keys_by_rotation" in plans(look)
    assert wasteful(look) == []
