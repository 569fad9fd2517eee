"""What was posted, in the admin."""

import pytest
from django.test import Client
from django.urls import reverse

from keys.models import VirtualKey
from spend import rollups, services
from spend.models import LedgerEntry
from teams.models import AuditEvent
from tests.factories import intent_for, posting_of


@pytest.mark.parametrize("id_of", ["request_id", "session_id", "hold_id"])
def test_an_entry_is_found_by_each_of_its_ids_and_no_other(browser: Client, key: VirtualKey, id_of: str) -> None:
    intents = [intent_for(key, request_id=f"call-{n}", session_id=f"chat-{n}", log_metadata={"n": n}) for n in range(2)]
    services.write_intents(intents)
    services.post([posting_of(intent, 600) for intent in intents], now=intents[0].admitted_at)
    page = browser.get(reverse("admin:spend_ledgerentry_changelist"), {"q": getattr(intents[0], id_of)})
    [entry] = page.context["cl"].result_list
    assert entry == LedgerEntry.objects.get(hold=intents[0].hold_id)
    shown = browser.get(reverse("admin:spend_ledgerentry_change", args=[entry.pk])).content.decode()
    assert "chat-0" in shown and "Said about it" in shown
    hold = browser.get(reverse("admin:spend_hold_change", args=[intents[0].hold_id])).content.decode()
    assert "Said about it" in hold and "Error status" not in hold


def _charged(key: VirtualKey, nano: int) -> LedgerEntry:
    intent = intent_for(key)
    services.write_intents([intent])
    services.post([posting_of(intent, nano)], now=intent.admitted_at)
    return LedgerEntry.objects.get(hold=intent.hold_id)


def test_a_correction_is_a_new_entry_and_the_budget_follows(browser: Client, key: VirtualKey) -> None:
    entry = _charged(key, 600)
    page = reverse("admin:spend_ledgerentry_correct", args=[entry.pk])
    assert "$0.0000006" in browser.get(page).content.decode()
    assert browser.post(page, {"cost": "0.00000025", "reason": "the provider's invoice"}).status_code == 302
    first, added = LedgerEntry.objects.order_by("pk")
    assert (first.amount_nano, added.amount_nano, added.kind) == (600, -350, "correction")
    assert rollups.spent_between(key.scope, None, None) == 250
    event = AuditEvent.objects.get(action="ledger.corrected")
    assert (event.actor, event.after["reason"]) == ("ada@example.com", "the provider's invoice")
    # Once more, from the correction's own page: what counts is all that the call costs.
    browser.post(reverse("admin:spend_ledgerentry_correct", args=[added.pk]), {"cost": "0.0000004", "reason": "again"})
    assert rollups.spent_between(key.scope, None, None) == 400


@pytest.mark.parametrize(
    ("cost", "reason", "told"),
    [
        ("0.0000006", "same", "already"), ("-1", "less than nothing", "negative"), ("", "none", "required"),
        ("1", "", "required"), ("0.0000000001", "too fine", "nine decimals"),
    ],
)  # fmt: skip
def test_a_correction_that_says_nothing_writes_nothing(
    browser: Client, key: VirtualKey, cost: str, reason: str, told: str
) -> None:
    page = reverse("admin:spend_ledgerentry_correct", args=[_charged(key, 600).pk])
    answer = browser.post(page, {"cost": cost, "reason": reason})
    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert LedgerEntry.objects.count() == 1


def test_who_only_reads_cannot_correct(viewing: Client, key: VirtualKey) -> None:
    entry = _charged(key, 600)
    page = reverse("admin:spend_ledgerentry_correct", args=[entry.pk])
    assert viewing.post(page, {"cost": "1", "reason": "mine"}).status_code in (302, 403)
    assert "/correct" not in viewing.get(reverse("admin:spend_ledgerentry_change", args=[entry.pk])).content.decode()
    assert LedgerEntry.objects.count() == 1
