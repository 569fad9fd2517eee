"""End users and tags that a call is the first to name.

They get a row, so that they have counters and stand in the ledger. That is no change of a policy: nothing is audited or
announced, as many may come with every call.
"""

from collections.abc import Iterable

from teams.models import Customer, Tag
from teams.people_defaults import complete_customer


def make_customer(organization_pk: int, public_id: str, budget: int | None) -> None:
    """`budget`: primary key of the shared one that the key of the call gives to new end users. Two at once make one."""
    new = complete_customer(Customer(organization_id=organization_pk, public_id=public_id), budget)
    given = {"max_budget_nano": new.max_budget_nano, "shared_budget": new.shared_budget}
    Customer.objects.live().get_or_create(organization_id=organization_pk, public_id=public_id, defaults=given)


def make_tags(organization_pk: int, names: Iterable[str]) -> None:
    """Two at once make each of them once."""
    rows = [Tag(organization_id=organization_pk, name=name) for name in sorted(names)]
    Tag.objects.bulk_create(rows, ignore_conflicts=True)
