"""What a burst of calls asks of the database when a worker has just started."""

import pytest
from pytest_django import DjangoAssertNumQueries

from proxy import books
from teams import services
from teams.actors import SYSTEM
from teams.models import Organization

pytestmark = pytest.mark.django_db


def test_a_thousand_calls_that_ask_for_the_same_cost_one_look(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    organization = services.create_organization(Organization(name="North"), actor=SYSTEM)
    with django_assert_num_queries(1):
        found = books.epochs([organization.pk] * 1000)
    assert {authority.epoch for authority in found} == {organization.epoch}
    assert len(found) == 1000
