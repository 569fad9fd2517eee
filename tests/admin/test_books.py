"""What was posted, in the admin."""

import pytest
from django.test import Client
from django.urls import reverse

from keys.models import VirtualKey
from spend import services
from spend.models import LedgerEntry
from tests.factories import intent_for, posting_of


@pytest.mark.parametrize("id_of", ["request_id", "hold_id"])
def test_an_entry_is_found_by_either_id_and_no_other(browser: Client, key: VirtualKey, id_of: str) -> None:
    intents = [intent_for(key, request_id=f"call-{n}") for n in range(2)]
    services.write_intents(intents)
    services.post([posting_of(intent, 600) for intent in intents], now=intents[0].admitted_at)
    page = browser.get(reverse("admin:spend_ledgerentry_changelist"), {"q": getattr(intents[0], id_of)})
    assert list(page.context["cl"].result_list) == [LedgerEntry.objects.get(hold=intents[0].hold_id)]
