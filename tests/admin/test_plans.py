"""Lists of huge tables are read off an index, whatever they are filtered by."""

import pytest
from django.test import Client
from django.urls import reverse

from keys.models import VirtualKey
from tests.plans import wasteful

#: The theme's filter leaves it to Django in which zone its instants are.
pytestmark = pytest.mark.filterwarnings("ignore:DateTimeField")

DAY = {
    "admitted_at_from_0": "2026-03-10", "admitted_at_from_1": "00:00", "admitted_at_to_0": "2026-03-11",
    "admitted_at_to_1": "00:00",
}  # fmt: skip


@pytest.mark.parametrize(
    "query", [{}, DAY, {"usage_source__exact": "estimated_partial"}, {"usage_source__exact": "estimated_orphan"},
              {"kind__exact": "correction"},
              {"team__id__exact": 1}, {"user__id__exact": 1}, {"key__id__exact": 1}, {"organization__id__exact": 1}]
)  # fmt: skip
def test_entries(browser: Client, key: VirtualKey, query: dict[str, str]) -> None:
    assert wasteful(lambda: browser.get(reverse("admin:spend_ledgerentry_changelist"), query)) == []


def test_quarters_of_an_hour(browser: Client, key: VirtualKey) -> None:
    query = {name.replace("admitted_at", "quarter"): value for name, value in DAY.items()}
    assert wasteful(lambda: browser.get(reverse("admin:spend_rollup_changelist"), query)) == []
